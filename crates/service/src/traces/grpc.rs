//! OTLP over gRPC.
//!
//! A collector that has too much to do says when to try again in the details of its status: a `google.rpc.Status` with
//! a `google.rpc.RetryInfo` among its details.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, trace_service_client::TraceServiceClient,
};
use prost::Message;
use prost_types::Any;
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

/// `google.rpc.Status`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Details {
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RetryInfo {
    /// The time to wait at least.
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<prost_types::Duration>,
}

impl RetryInfo {
    /// The end of the name of its type.
    pub(super) const TYPE: &str = "/google.rpc.RetryInfo";

    /// That of a status, if it has one that can be read.
    fn of(status: &Status) -> Option<Self> {
        let details = Details::decode(status.details()).ok()?;
        let mut details = details.details.iter();
        let info = details.find(|any| any.type_url.ends_with(Self::TYPE))?;
        Self::decode(info.value.as_slice()).ok()
    }

    /// The time to wait. A negative one is none.
    fn delay(self) -> Duration {
        let delay = self.retry_delay.unwrap_or_default();
        Duration::try_from(delay).unwrap_or_default()
    }
}

/// Which codes are tried again and when, as OTLP's specification has it: `RESOURCE_EXHAUSTED` only if the collector
/// says when.
fn failure(status: &Status) -> Failure {
    let after = RetryInfo::of(status).map(|info| Again::After(info.delay()));
    let again = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => after.unwrap_or(Again::Yes),
        Code::ResourceExhausted => after.unwrap_or(Again::No),
        _ => Again::No,
    };
    let code = crate::grpc::code_name(status.code());
    Failure {
        reason: format!("{code}: {}", status.message()),
        again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: Code, details: &[Any]) -> Status {
        let details = Details {
            details: details.to_vec(),
        };
        Status::with_details(code, "", details.encode_to_vec().into())
    }

    fn retry_info(seconds: i64) -> Any {
        let delay = prost_types::Duration { seconds, nanos: 0 };
        let info = RetryInfo {
            retry_delay: Some(delay),
        };
        Any {
            type_url: format!("type.googleapis.com{}", RetryInfo::TYPE),
            value: info.encode_to_vec(),
        }
    }

    #[test]
    fn a_collector_says_by_retry_info_when_to_try_again() {
        let other = Any {
            type_url: "type.googleapis.com/google.rpc.Help".to_owned(),
            value: vec![0xff],
        };
        let seven = [other.clone(), retry_info(7)];
        let after = |seconds| Again::After(Duration::from_secs(seconds));
        for (code, details, expected) in [
            (Code::ResourceExhausted, seven.as_slice(), after(7)),
            (Code::ResourceExhausted, &[retry_info(-7)], after(0)),
            (Code::ResourceExhausted, &[other], Again::No),
            (Code::ResourceExhausted, &[], Again::No),
            (Code::Unavailable, &seven, after(7)),
            (Code::Unavailable, &[], Again::Yes),
            (Code::InvalidArgument, &seven, Again::No),
        ] {
            let found = failure(&status(code, details)).again;
            assert_eq!(found, expected, "{code:?} {details:?}");
        }
    }

    #[test]
    fn details_that_cannot_be_read_say_nothing() {
        let damaged = |code| Status::with_details(code, "", vec![0xff; 9].into());
        assert_eq!(failure(&damaged(Code::ResourceExhausted)).again, Again::No);
        assert_eq!(failure(&damaged(Code::Unavailable)).again, Again::Yes);
    }
}
