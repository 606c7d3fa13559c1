//! One StoreAPI of both halves: what Prometheus has, and what the bucket has. The one place that knows the messages.

mod failures;
mod info;
mod labels;
mod merged;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::stream::BoxStream;
use proto::{
    SeriesAnswers, StoreService,
    info::info_server::InfoServer,
    thanos::{
        LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
        SeriesRequest, SeriesResponse, store_server::Store,
    },
};
use series::AnswerPart;
use service::{CpuPool, MAX_MESSAGE_BYTES};
use tonic::{Request, Response, Status, service::Routes};

/// The messages of an answer, as they are made.
type Answer = BoxStream<'static, Result<SeriesResponse, Status>>;

/// The parts of an answer, as they are made.
type Parts = BoxStream<'static, Result<AnswerPart, Status>>;

/// One half.
#[tonic::async_trait]
trait Half: Store<SeriesStream = Answer> {
    async fn series_parts(&self, wire: SeriesRequest) -> Result<Parts, Status>;
}

#[tonic::async_trait]
impl<T: SeriesAnswers<SeriesStream = Answer>> Half for T {
    async fn series_parts(&self, wire: SeriesRequest) -> Result<Parts, Status> {
        self.answer(wire, |part| vec![part]).await
    }
}

/// Answers the StoreAPI from both halves.
#[derive(Clone)]
struct StoreApi {
    /// The bucket's first: its gate lets requests in.
    halves: [Arc<dyn Half>; 2],
    pool: CpuPool,
}

/// The services, to be added to a server. Without a Prometheus they are those of the bucket alone.
pub(crate) fn routes(
    recent: Option<sidecar::StoreApi>,
    bucket: store_gateway::StoreApi,
    pool: &CpuPool,
) -> Routes {
    let Some(recent) = recent else {
        return bucket.routes();
    };
    let store = StoreApi {
        halves: [Arc::new(bucket.clone()), Arc::new(recent.clone())],
        pool: pool.clone(),
    };
    let store = StoreService::new(store, MAX_MESSAGE_BYTES);
    let info = info::InfoApi {
        recent: recent.clone(),
        bucket,
    };
    let info = InfoServer::new(info)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    recent.add_other_services(Routes::new(store).add_service(info))
}

/// What the services are made of, for reflection.
pub(crate) fn descriptors() -> Vec<&'static [u8]> {
    vec![proto::FILE_DESCRIPTOR_SET, proto::SIDECAR_DESCRIPTOR_SET]
}

#[tonic::async_trait]
impl SeriesAnswers for StoreApi {
    async fn answer<T, E>(
        &self,
        wire: SeriesRequest,
        encode: E,
    ) -> Result<BoxStream<'static, Result<T, Status>>, Status>
    where
        T: Send + 'static,
        E: Fn(AnswerPart) -> Vec<T> + Send + Sync + 'static,
    {
        merged::series(&self.halves, wire, &self.pool, encode).await
    }
}

#[tonic::async_trait]
impl Store for StoreApi {
    type SeriesStream = Answer;

    async fn series(
        &self,
        wire: Request<SeriesRequest>,
    ) -> Result<Response<Self::SeriesStream>, Status> {
        Ok(Response::new(self.messages(wire.into_inner()).await?))
    }

    async fn label_names(
        &self,
        wire: Request<LabelNamesRequest>,
    ) -> Result<Response<LabelNamesResponse>, Status> {
        let answer = labels::names(&self.halves, wire.into_inner(), &self.pool);
        Ok(Response::new(answer.await?))
    }

    async fn label_values(
        &self,
        wire: Request<LabelValuesRequest>,
    ) -> Result<Response<LabelValuesResponse>, Status> {
        let answer = labels::values(&self.halves, wire.into_inner(), &self.pool);
        Ok(Response::new(answer.await?))
    }
}
