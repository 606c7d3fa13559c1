//! Lines of the log about gRPC calls, with the keys of go-grpc-middleware.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, header::HeaderMap};
use tonic::{Code, body::Body};
use tracing::Span;

use crate::{
    LogLevel,
    connection::Peer,
    logging::now,
    request_log::{Decision, RequestRule},
    traces,
};

/// A call whose end is logged.
#[derive(Debug)]
pub(super) struct CallLog {
    rule: Arc<RequestRule>,
    service: String,
    method: String,
    kind: &'static str,
    peer: Option<SocketAddr>,
    started: String,
    request_id: String,
    deadline: String,
    /// If it is sent.
    trace_id: Option<String>,
}

impl CallLog {
    /// Logs the start of a call, if the rule says so; nothing if not even its end is logged.
    pub(super) fn start(
        rule: &Arc<RequestRule>,
        request: &Request<Body>,
        kind: &'static str,
        span: &Span,
    ) -> Option<Self> {
        let path = request.uri().path();
        let decision = rule.decide(path);
        if decision == Decision::Nothing {
            return None;
        }
        let (service, method) = path.trim_start_matches('/').split_once('/')?;
        let call = Self {
            rule: Arc::clone(rule),
            service: service.to_owned(),
            method: method.to_owned(),
            kind,
            peer: Peer::of(request.extensions()).map(Peer::address),
            started: now(),
            request_id: text(request.headers(), "request-id"),
            deadline: text(request.headers(), "grpc-timeout"),
            trace_id: traces::trace_id(span),
        };
        if decision == Decision::StartAndEnd && rule.allows(LogLevel::Debug) {
            tracing::debug!(
                protocol = "grpc",
                grpc.component = "server",
                grpc.service = call.service,
                grpc.method = call.method,
                grpc.method_type = call.kind,
                peer.address = call.peer(),
                grpc.start_time = call.started,
                grpc.request.timeout = call.deadline,
                traceID = call.trace_id,
                requestID = call.request_id,
                "started call"
            );
        }
        Some(call)
    }

    /// Logs the end of the call.
    pub(super) fn end(&self, code: Code, took: Duration) {
        let level = match code {
            Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => {
                LogLevel::Error
            }
            _ => LogLevel::Debug,
        };
        if !self.rule.allows(level) {
            return;
        }
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    protocol = "grpc",
                    grpc.component = "server",
                    grpc.service = self.service,
                    grpc.method = self.method,
                    grpc.method_type = self.kind,
                    peer.address = self.peer(),
                    grpc.start_time = self.started,
                    grpc.request.timeout = self.deadline,
                    traceID = self.trace_id,
                    requestID = self.request_id,
                    grpc.code = super::methods::code_name(code),
                    grpc.time_ms = took.as_secs_f64() * 1e3,
                    "finished call"
                )
            };
        }
        match level {
            LogLevel::Error => line!(error),
            _ => line!(debug),
        }
    }

    fn peer(&self) -> String {
        self.peer.map(|peer| peer.to_string()).unwrap_or_default()
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}
