//! The common parts of all daemons: logs, metrics, health, HTTP, gRPC, a pool for CPU work, time and shutdown.
//!
//! This crate knows no blocks and no bucket, and imports no other crate of ours.

mod blocking;
mod clock;
mod connection;
mod cpu;
mod drain;
mod error;
mod go_duration;
mod grpc;
mod http;
mod http_client;
mod logging;
mod metrics;
mod probe;
mod process;
mod reload;
mod request_log;
mod secret;
mod shutdown;
mod tls;
mod traces;
mod web;
mod yaml_fields;

pub use crate::{
    blocking::blocking,
    clock::{Clock, ManualClock, SystemClock},
    connection::ConnectionLimits,
    cpu::{CpuPool, runs_at_once, to_the_pool},
    error::ServiceError,
    grpc::{GrpcEncoding, GrpcMessageError, GrpcOptions, MAX_MESSAGE_BYTES, serve_grpc},
    http::{HttpOptions, HttpRoutes, Profiles, RESERVED_PATHS, accepts_gzip, serve_http},
    http_client::{
        HttpClient, HttpClientConfig, HttpClientError, read_answer, url_below, without_password,
    },
    logging::{LogFormat, LogLevel, init_logging},
    metrics::{Exposition, Metrics},
    probe::{Probe, Status},
    reload::{Reload, ReloadedFile},
    request_log::RequestLog,
    shutdown::shutdown_signal,
    tls::{
        GrpcClientTls, GrpcConnector, GrpcTls, GrpcTlsOptions, TlsClient, TlsVersion, Verification,
        install_crypto_provider,
    },
    traces::{Traces, add_context, fail_span, in_span},
    web::WebConfig,
    yaml_fields::YamlFields,
};
