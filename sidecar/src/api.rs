//! The gRPC services of the sidecar: the StoreAPI, and the answers of Prometheus's own API. Only this module knows
//! their messages.

mod fields;
mod info;
mod labels;
mod order;
mod read;
mod samples;
mod sender;
mod series;
mod status;
#[cfg(test)]
mod tests;
mod told;

use ::series::AnswerPart;
use futures::stream::BoxStream;
use proto::{
    SeriesAnswers, StoreService,
    info::{InfoResponse, info_server::InfoServer},
    thanos::{
        LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
        SeriesRequest, SeriesResponse, store_server,
    },
};
use service::{GrpcOptions, MAX_MESSAGE_BYTES};
use tonic::{Request, Response, Status, service::Routes};

use crate::recent::Recent;

/// The messages of an answer.
type Answer<T> = BoxStream<'static, Result<T, Status>>;

/// The services, to be added to a server.
pub(crate) fn routes(recent: Recent) -> Routes {
    let api = StoreApi::new(recent);
    let info = InfoServer::new(info::InfoApi(api.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let store = StoreService::new(api.clone(), MAX_MESSAGE_BYTES);
    api.add_other_services(Routes::new(store).add_service(info))
}

/// The options of their server.
pub(crate) fn grpc_options(told: GrpcOptions) -> GrpcOptions {
    GrpcOptions {
        descriptors: vec![proto::FILE_DESCRIPTOR_SET, proto::SIDECAR_DESCRIPTOR_SET],
        ..told
    }
}

/// Answers the StoreAPI from Prometheus. Clones share everything.
#[derive(Clone, Debug)]
pub struct StoreApi(Recent);

impl StoreApi {
    pub(crate) const fn new(recent: Recent) -> Self {
        Self(recent)
    }

    /// The answer of the info API.
    ///
    /// # Errors
    /// While Prometheus does not answer.
    pub fn info(&self) -> Result<InfoResponse, Status> {
        let view = self.0.ready().map_err(|error| status::of(&error))?;
        Ok(info::response(&self.0, &view))
    }

    /// The last answer of the info API; `None` before Prometheus has answered.
    #[must_use]
    pub fn last_info(&self) -> Option<InfoResponse> {
        let view = self.0.view().ok()?;
        Some(info::response(&self.0, &view))
    }

    /// The answer of the info API before Prometheus has answered: all times, and a set of no labels.
    #[must_use]
    pub fn unknown_info() -> InfoResponse {
        info::unknown()
    }

    /// Adds the sidecar's services besides the StoreAPI and Info: rules, targets, metadata, exemplars and status.
    #[must_use]
    pub fn add_other_services(&self, routes: Routes) -> Routes {
        told::routes(routes, &self.0)
    }
}

#[tonic::async_trait]
impl SeriesAnswers for StoreApi {
    async fn answer<T, E>(&self, wire: SeriesRequest, encode: E) -> Result<Answer<T>, Status>
    where
        T: Send + 'static,
        E: Fn(AnswerPart) -> Vec<T> + Send + Sync + 'static,
    {
        let answer = series::series(&self.0, wire, encode).await;
        answer.map_err(|error| status::of(&error))
    }
}

#[tonic::async_trait]
impl store_server::Store for StoreApi {
    type SeriesStream = Answer<SeriesResponse>;

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
        let answer = labels::names(&self.0, wire.into_inner()).await;
        Ok(Response::new(answer.map_err(|error| status::of(&error))?))
    }

    async fn label_values(
        &self,
        wire: Request<LabelValuesRequest>,
    ) -> Result<Response<LabelValuesResponse>, Status> {
        let answer = labels::values(&self.0, wire.into_inner()).await;
        Ok(Response::new(answer.map_err(|error| status::of(&error))?))
    }
}
