//! The StoreAPI and the info API over gRPC. Only this module knows their messages.

mod frames;
mod info;
mod request;
mod response;
mod service;
mod status;
#[cfg(test)]
mod tests;

use std::pin::Pin;

use ::service::{GrpcOptions, MAX_MESSAGE_BYTES};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use proto::{
    info::{InfoResponse, info_server::InfoServer},
    thanos::{
        LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
        SeriesRequest, SeriesResponse, store_server,
    },
};
use tonic::{Request, Response, Status, service::Routes};

use self::service::StoreService;
use crate::store::{AnswerPart, Store};

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
        Routes::new(StoreService::new(self)).add_service(info)
    }

    /// The messages that answer a request for series.
    async fn messages<T, E>(
        &self,
        wire: SeriesRequest,
        encode: E,
    ) -> Result<impl Stream<Item = Result<T, Status>> + Send + use<T, E>, Status>
    where
        T: Send + 'static,
        E: Fn(AnswerPart) -> Vec<T> + Send + Sync + 'static,
    {
        let asked = request::series(&wire).map_err(|error| status::of(&error))?;
        let answer = self.0.series(&asked, encode).await;
        let answer = answer.map_err(|error| status::of(&error))?;
        Ok(answer.map(|message| message.map_err(|error| status::of(&error))))
    }

    /// The same, encoded.
    async fn encoded_series(
        &self,
        wire: SeriesRequest,
    ) -> Result<impl Stream<Item = Result<Bytes, Status>> + Send + use<>, Status> {
        let encode = frames::encoded(wire.response_batch_size);
        self.messages(wire, encode).await
    }

    /// What the store gateway says of itself.
    #[must_use]
    pub fn info(&self) -> InfoResponse {
        info::response(&self.0.advertised())
    }
}

#[tonic::async_trait]
impl store_server::Store for StoreApi {
    type SeriesStream = Pin<Box<dyn Stream<Item = Result<SeriesResponse, Status>> + Send>>;

    async fn series(
        &self,
        wire: Request<SeriesRequest>,
    ) -> Result<Response<Self::SeriesStream>, Status> {
        let wire = wire.into_inner();
        let encode = response::frames(wire.response_batch_size);
        Ok(Response::new(Box::pin(self.messages(wire, encode).await?)))
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
