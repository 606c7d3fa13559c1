//! Two halves whose answers are in the test's hands.

mod info;
mod labels;
mod series;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use proto::thanos::{
    AggrChunk, Chunk, Label, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest,
    LabelValuesResponse, Series, SeriesRequest, SeriesResponse, store_server::Store,
};
use service::CpuPool;
use tonic::{Request, Response, Status};

use super::{Answer, StoreApi};

/// What a half answers.
#[derive(Clone, Debug, Default)]
struct Script {
    /// In place of any answer.
    refuses: Option<Status>,
    messages: Vec<SeriesResponse>,
    /// What ends the answer.
    breaks: Option<Status>,
    texts: Vec<&'static str>,
    warnings: Vec<String>,
}

#[tonic::async_trait]
impl Store for Script {
    type SeriesStream = Answer;

    async fn series(&self, wire: Request<SeriesRequest>) -> Result<Response<Answer>, Status> {
        assert!(wire.into_inner().response_batch_size > 1);
        if let Some(status) = &self.refuses {
            return Err(status.clone());
        }
        let messages = self.messages.clone().into_iter().map(Ok);
        let all = messages.chain(self.breaks.clone().map(Err));
        let slow = stream::iter(all).then(|message| async {
            // As if it came from elsewhere.
            tokio::time::sleep(Duration::from_millis(1)).await;
            message
        });
        Ok(Response::new(slow.boxed()))
    }

    async fn label_names(
        &self,
        _: Request<LabelNamesRequest>,
    ) -> Result<Response<LabelNamesResponse>, Status> {
        match &self.refuses {
            Some(status) => Err(status.clone()),
            None => Ok(Response::new(LabelNamesResponse {
                names: self.texts.iter().map(|&t| Bytes::from(t)).collect(),
                warnings: self.warnings.clone(),
                hints: None,
            })),
        }
    }

    async fn label_values(
        &self,
        _: Request<LabelValuesRequest>,
    ) -> Result<Response<LabelValuesResponse>, Status> {
        match &self.refuses {
            Some(status) => Err(status.clone()),
            None => Ok(Response::new(LabelValuesResponse {
                values: self.texts.iter().map(|&t| Bytes::from(t)).collect(),
                warnings: self.warnings.clone(),
                hints: None,
            })),
        }
    }
}

fn api(bucket: Script, recent: Script) -> StoreApi {
    StoreApi {
        halves: [Arc::new(bucket), Arc::new(recent)],
        pool: CpuPool::new("test", 1).unwrap(),
    }
}

/// A series `{n="name"}` with a chunk for each time and text.
fn series(name: &str, chunks: &[(i64, &'static str)]) -> Series {
    Series {
        labels: vec![Label {
            name: "n".into(),
            value: name.to_owned().into(),
        }],
        chunks: chunks
            .iter()
            .map(|&(at, data)| AggrChunk {
                min_time: at,
                max_time: at + 10,
                raw: Some(Chunk {
                    data: data.into(),
                    ..Chunk::default()
                }),
                ..AggrChunk::default()
            })
            .collect(),
    }
}

/// One message for each group of series.
fn messages<const N: usize>(groups: [Vec<Series>; N]) -> Vec<SeriesResponse> {
    let groups = groups.into_iter();
    groups
        .flat_map(|group| proto::series_messages(group, 64))
        .collect()
}
