//! What can go wrong in running a daemon.

use std::{io, time::Duration};

/// Why a part of the service could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The gRPC server ended.
    #[error("grpc server: {0}")]
    Grpc(#[from] tonic::transport::Error),
    /// A descriptor set that was built into the program does not decode.
    #[error("grpc reflection: descriptor set {index} does not decode: {source}")]
    Descriptors {
        /// Its position among the sets given.
        index: usize,
        /// What protobuf says.
        source: prost::DecodeError,
    },
    /// Reflection refused the descriptor sets.
    #[error("grpc reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The pool of CPU threads could not be made.
    #[error("cpu pool of {threads} threads: {source}")]
    CpuPool {
        /// Threads asked for.
        threads: usize,
        /// What rayon says.
        source: rayon::ThreadPoolBuildError,
    },
    /// A log level or format that is none.
    #[error("log {what}: expected {expected}, found {found:?}")]
    Log {
        /// `level` or `format`.
        what: &'static str,
        /// The word that was given.
        found: String,
        /// The words that are known.
        expected: &'static str,
    },
    /// Logging was set up before.
    #[error("logging: {0}")]
    Logging(#[from] tracing_subscriber::util::TryInitError),
    /// Signals could not be listened for.
    #[error("signals: {0}")]
    Signals(#[source] io::Error),
    /// Connections were still open when the grace period was over.
    #[error("{server} server: connections still open after the grace period of {grace:?}")]
    Drain {
        /// `http` or `grpc`.
        server: &'static str,
        /// How long they were waited for.
        grace: Duration,
    },
}
