//! OTLP over gRPC.

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, trace_service_client::TraceServiceClient,
};
use tonic::{
    Code, Request, Status,
    codec::CompressionEncoding,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

use super::{
    config::{Compression, Settings},
    export::{Again, Failure, Taken},
};
use crate::GrpcConnector;

/// Sends requests over one connection, which is made when it is needed.
pub(super) struct Grpc {
    client: Result<TraceServiceClient<Channel>, String>,
    metadata: MetadataMap,
}

impl Grpc {
    /// For the collector at `HOST:PORT`. It needs a runtime.
    pub(super) fn new(address: &str, settings: &Settings) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let client = endpoint.map_err(|error| error.to_string()).map(|endpoint| {
            let endpoint = endpoint
                .timeout(settings.timeout)
                .connect_timeout(settings.connect_timeout);
            let channel = match &settings.tls {
                Some(tls) => GrpcConnector::lazy(tls.clone(), &endpoint),
                None => endpoint.connect_lazy(),
            };
            let client = TraceServiceClient::new(channel);
            match settings.compression {
                Compression::Gzip => client.send_compressed(CompressionEncoding::Gzip),
                Compression::None => client,
            }
        });
        Self {
            client,
            metadata: MetadataMap::from_headers(settings.headers.clone()),
        }
    }

    pub(super) async fn send(
        &mut self,
        request: &ExportTraceServiceRequest,
    ) -> Result<Taken, Failure> {
        let client = self.client.as_mut().map_err(|reason| Failure {
            reason: reason.clone(),
            again: Again::No,
        })?;
        let mut request = Request::new(request.clone());
        *request.metadata_mut() = self.metadata.clone();
        let answer = client
            .export(request)
            .await
            .map_err(|status| failure(&status))?;
        let part = answer.into_inner().partial_success;
        Ok(Taken::rejecting(part.map(|part| part.rejected_spans)))
    }
}

/// Which codes are tried again, as OTLP's specification has it. `RESOURCE_EXHAUSTED` is not, as the collector would
/// have to say when.
fn failure(status: &Status) -> Failure {
    let again = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Again::Yes,
        _ => Again::No,
    };
    let code = crate::grpc::code_name(status.code());
    Failure {
        reason: format!("{code}: {}", status.message()),
        again,
    }
}
