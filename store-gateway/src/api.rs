//! The StoreAPI and the info API over gRPC. Only this module knows their messages.

mod info;
mod request;
mod response;
mod status;
#[cfg(test)]
mod tests;

use std::pin::Pin;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream::BoxStream};
use proto::{
    EncodedSeries, StoreService,
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

    /// The parts of the answer to a request for series.
    ///
    /// # Errors
    /// The call and each part, as the StoreAPI's. An error is the last item.
    pub async fn series_parts(
        &self,
        wire: SeriesRequest,
    ) -> Result<BoxStream<'static, Result<AnswerPart, Status>>, Status> {
        Ok(self.messages(wire, |part| vec![part]).await?.boxed())
    }

    /// What the store gateway says of itself.
    #[must_use]
    pub fn info(&self) -> InfoResponse {
        info::response(&self.0.advertised())
    }
}

#[tonic::async_trait]
impl EncodedSeries for StoreApi {
    async fn encoded_series(
        &self,
        wire: SeriesRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
        let batch_size = wire.response_batch_size;
        let encode = move |part| proto::encoded_messages(part, batch_size);
        Ok(self.messages(wire, encode).await?.boxed())
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
        let batch_size = wire.response_batch_size;
        let encode = move |part| proto::messages(part, batch_size);
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
