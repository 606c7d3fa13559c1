//! The StoreAPI and the info API over gRPC. Only this module knows their messages.

mod info;
mod request;
mod response;
mod status;
#[cfg(test)]
mod tests;

use futures::{StreamExt as _, stream::BoxStream};
use proto::{
    SeriesAnswers, StoreService,
    info::{InfoResponse, info_server::InfoServer},
    thanos::{
        LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
        SeriesRequest, SeriesResponse, store_server,
    },
};
use series::AnswerPart;
use service::{GrpcOptions, MAX_MESSAGE_BYTES};
use tonic::{Request, Response, Status, service::Routes};

use crate::store::Store;

/// The options of their server.
pub(crate) fn grpc_options(told: GrpcOptions) -> GrpcOptions {
    GrpcOptions {
        descriptors: vec![proto::FILE_DESCRIPTOR_SET],
        ..told
    }
}

/// Answers the StoreAPI with the blocks of a bucket. Clones share everything.
#[derive(Clone)]
pub struct StoreApi(Store);

impl StoreApi {
    pub(crate) const fn new(store: Store) -> Self {
        Self(store)
    }

    /// The services, to be added to a server.
    #[must_use]
    pub fn routes(self) -> Routes {
        let info = InfoServer::new(info::InfoApi(self.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Routes::new(StoreService::new(self, MAX_MESSAGE_BYTES)).add_service(info)
    }

    /// What the store gateway says of itself.
    #[must_use]
    pub fn info(&self) -> InfoResponse {
        info::response(&self.0.advertised())
    }
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
        let asked = request::series(&wire).map_err(|error| status::of(&error))?;
        let answer = self.0.series(&asked, encode).await;
        let answer = answer.map_err(|error| status::of(&error))?;
        let answer = answer.map(|message| message.map_err(|error| status::of(&error)));
        Ok(answer.boxed())
    }
}

#[tonic::async_trait]
impl store_server::Store for StoreApi {
    type SeriesStream = BoxStream<'static, Result<SeriesResponse, Status>>;

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
        let asked = request::names(&wire.into_inner()).map_err(|error| status::of(&error))?;
        let answer = self.0.label_names(&asked).await;
        let answer = answer.map_err(|error| status::of(&error))?;
        Ok(Response::new(response::names(answer)))
    }

    async fn label_values(
        &self,
        wire: Request<LabelValuesRequest>,
    ) -> Result<Response<LabelValuesResponse>, Status> {
        let asked = request::values(&wire.into_inner()).map_err(|error| status::of(&error))?;
        let answer = self.0.label_values(&asked).await;
        let answer = answer.map_err(|error| status::of(&error))?;
        Ok(Response::new(response::values(answer)))
    }
}
