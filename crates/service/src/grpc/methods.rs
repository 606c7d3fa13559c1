//! The methods of a server and their metrics, under the names of go-grpc-middleware.

use std::{collections::HashMap, sync::Arc};

use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};
use prost::Message as _;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};

use crate::{Metrics, ServiceError};

/// The codes of gRPC as Go prints them, by their number.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// Thanos's buckets.
const SECONDS: [f64; 14] = [
    0.001, 0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0,
];

type MethodLabels = [(&'static str, String); 3];
type CodeLabels = [(&'static str, String); 4];

/// The methods of a server by path. Calls of other paths are not counted: names chosen by clients must not become
/// labels.
#[derive(Clone, Debug)]
pub(super) struct Methods {
    by_path: Arc<HashMap<String, MethodMetrics>>,
    /// Panics that were turned into errors.
    pub(super) panics: Counter,
}

/// The metrics of one method.
#[derive(Clone, Debug)]
pub(super) struct MethodMetrics {
    started: Counter,
    /// By the number of the code.
    handled: Arc<[Counter]>,
    seconds: Histogram,
    /// The kind of the method, by its streams.
    pub(super) kind: &'static str,
    /// Messages of requests.
    pub(super) received: Counter,
    /// Messages of answers.
    pub(super) sent: Counter,
}

impl Methods {
    /// Registers the metrics of all methods in `sets`, each at 0.
    pub(super) fn new(sets: &[&[u8]], metrics: &Metrics) -> Result<Self, ServiceError> {
        let started: Family<MethodLabels, Counter> = metrics.register(
            "grpc_server_started_total",
            "Total number of RPCs started on the server",
            Family::default(),
        );
        let handled: Family<CodeLabels, Counter> = metrics.register(
            "grpc_server_handled_total",
            "Total number of RPCs completed on the server, regardless of success or failure",
            Family::default(),
        );
        let seconds: Family<MethodLabels, Histogram, fn() -> Histogram> = metrics.register(
            "grpc_server_handling_seconds",
            "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server",
            Family::new_with_constructor(|| Histogram::new(SECONDS)),
        );
        let received: Family<MethodLabels, Counter> = metrics.register(
            "grpc_server_msg_received_total",
            "Total number of RPC stream messages received on the server",
            Family::default(),
        );
        let sent: Family<MethodLabels, Counter> = metrics.register(
            "grpc_server_msg_sent_total",
            "Total number of gRPC stream messages sent by the server",
            Family::default(),
        );
        let panics = metrics.register(
            "grpc_req_panics_recovered_total",
            "Total number of gRPC requests recovered from internal panic",
            Counter::default(),
        );
        let mut by_path = HashMap::new();
        for (index, set) in sets.iter().enumerate() {
            let set = FileDescriptorSet::decode(*set)
                .map_err(|source| ServiceError::Descriptors { index, source })?;
            for file in &set.file {
                for service in &file.service {
                    let full = format!("{}.{}", file.package(), service.name());
                    for method in &service.method {
                        let labels = [
                            ("grpc_type", kind(method).to_owned()),
                            ("grpc_service", full.clone()),
                            ("grpc_method", method.name().to_owned()),
                        ];
                        let counter = |code: &&str| {
                            let [kind, service, method] = labels.clone();
                            let code = ("grpc_code", (*code).to_owned());
                            handled.get_or_create_owned(&[kind, service, method, code])
                        };
                        let counted = MethodMetrics {
                            started: started.get_or_create_owned(&labels),
                            handled: CODES.iter().map(counter).collect(),
                            seconds: seconds.get_or_create_owned(&labels),
                            kind: kind(method),
                            received: received.get_or_create_owned(&labels),
                            sent: sent.get_or_create_owned(&labels),
                        };
                        by_path.insert(format!("/{full}/{}", method.name()), counted);
                    }
                }
            }
        }
        Ok(Self {
            by_path: Arc::new(by_path),
            panics,
        })
    }

    /// The metrics of the method at `path`, if it exists.
    pub(super) fn get(&self, path: &str) -> Option<&MethodMetrics> {
        self.by_path.get(path)
    }
}

impl MethodMetrics {
    /// Counts the start of a call.
    pub(super) fn started(&self) {
        self.started.inc();
    }

    /// Counts the end of a call with this code after so many seconds.
    pub(super) fn handled(&self, code: tonic::Code, seconds: f64) {
        let counter = usize::try_from(i32::from(code)).ok();
        if let Some(counter) = counter.and_then(|at| self.handled.get(at)) {
            counter.inc();
        }
        self.seconds.observe(seconds);
    }
}

/// A code as Go prints it.
pub(crate) fn code_name(code: tonic::Code) -> &'static str {
    let place = usize::try_from(i32::from(code)).ok();
    let name = place.and_then(|place| CODES.get(place));
    name.copied().unwrap_or("Unknown")
}

/// The kind of a method by its streams.
fn kind(method: &MethodDescriptorProto) -> &'static str {
    match (method.client_streaming(), method.server_streaming()) {
        (false, false) => "unary",
        (true, false) => "client_stream",
        (false, true) => "server_stream",
        (true, true) => "bidi_stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exposition;

    #[test]
    fn every_code_has_the_place_of_its_number() {
        let name = |code: tonic::Code| CODES[usize::try_from(i32::from(code)).unwrap()];
        assert_eq!(name(tonic::Code::Cancelled), "Canceled");
        assert_eq!(name(tonic::Code::ResourceExhausted), "ResourceExhausted");
        assert_eq!(name(tonic::Code::Unauthenticated), "Unauthenticated");
    }

    #[test]
    fn metrics_of_known_methods_are_there_from_the_start() {
        let metrics = Metrics::new();
        let methods = Methods::new(&[tonic_health::pb::FILE_DESCRIPTOR_SET], &metrics).unwrap();
        assert!(methods.get("/grpc.health.v1.Health/Check").is_some());
        assert!(methods.get("/grpc.health.v1.Health/Other").is_none());
        let text = metrics.encode(Exposition::Prometheus);
        for line in [
            r#"grpc_server_started_total{grpc_type="unary",grpc_service="grpc.health.v1.Health",grpc_method="Check"} 0"#,
            r#"grpc_server_handled_total{grpc_type="server_stream",grpc_service="grpc.health.v1.Health",grpc_method="Watch",grpc_code="OK"} 0"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn a_descriptor_set_that_does_not_decode_is_named_by_its_index() {
        let error = Methods::new(&[b"", b"\xff"], &Metrics::new()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("grpc reflection: descriptor set 1 "),
            "{error}"
        );
    }
}
