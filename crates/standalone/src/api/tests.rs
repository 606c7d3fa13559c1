//! Two halves whose answers are in the test's hands.

mod info;
mod labels;
mod series;

use std::{sync::Arc, time::Duration};

use ::series::{AnswerPart, Coding, Encoded, Samples, Series, SeriesChunk};
use bytes::Bytes;
use futures::{StreamExt as _, stream, stream::BoxStream};
use model::{Labels, Timestamp};
use proto::{
    SeriesAnswers,
    thanos::{
        LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
        SeriesRequest, store_server::Store,
    },
};
use service::CpuPool;
use tonic::{Request, Response, Status};

use super::{Answer, StoreApi};

/// What a half answers.
#[derive(Clone, Debug, Default)]
struct Script {
    /// In place of any answer.
    refuses: Option<Status>,
    parts: Vec<AnswerPart>,
    /// What ends the answer.
    breaks: Option<Status>,
    texts: Vec<&'static str>,
    warnings: Vec<String>,
}

#[tonic::async_trait]
impl Store for Script {
    type SeriesStream = Answer;

    async fn series(&self, wire: Request<SeriesRequest>) -> Result<Response<Answer>, Status> {
        Ok(Response::new(self.messages(wire.into_inner()).await?))
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

#[tonic::async_trait]
impl SeriesAnswers for Script {
    async fn answer<T, E>(
        &self,
        _: SeriesRequest,
        encode: E,
    ) -> Result<BoxStream<'static, Result<T, Status>>, Status>
    where
        T: Send + 'static,
        E: Fn(AnswerPart) -> Vec<T> + Send + Sync + 'static,
    {
        if let Some(status) = &self.refuses {
            return Err(status.clone());
        }
        let messages = self.parts.clone().into_iter().flat_map(encode).map(Ok);
        let all: Vec<_> = messages.chain(self.breaks.clone().map(Err)).collect();
        let slow = stream::iter(all).then(|message| async {
            // As if it came from elsewhere.
            tokio::time::sleep(Duration::from_millis(1)).await;
            message
        });
        Ok(slow.boxed())
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
    let chunk = |&(at, data): &(i64, &'static str)| SeriesChunk {
        min: Timestamp(at),
        max: Timestamp(at + 10),
        samples: Samples::Raw(Encoded {
            coding: Coding::Xor,
            data: data.into(),
        }),
    };
    Series {
        labels: Labels::from_pairs([("n", name)]),
        chunks: chunks.iter().map(chunk).collect(),
    }
}

/// One part for each group of series.
fn parts<const N: usize>(groups: [Vec<Series>; N]) -> Vec<AnswerPart> {
    groups.into_iter().map(AnswerPart::Series).collect()
}
