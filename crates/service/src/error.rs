//! What can go wrong in running a daemon.

use std::{fmt, io, time::Duration};

/// Why a part of the service could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The gRPC server ended.
    #[error("grpc server: {0}")]
    Grpc(#[from] tonic::transport::Error),
    /// A built-in descriptor set does not decode.
    #[error("grpc reflection: descriptor set {index} does not decode: {source}")]
    Descriptors {
        /// Its index among the given sets.
        index: usize,
        /// The error of protobuf.
        source: prost::DecodeError,
    },
    /// Reflection refused the descriptor sets.
    #[error("grpc reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The pool of CPU threads could not be made.
    #[error("cpu pool of {threads} threads: {source}")]
    CpuPool {
        /// The requested number of threads.
        threads: usize,
        /// The error of rayon.
        source: rayon::ThreadPoolBuildError,
    },
    /// An unknown log level or format.
    #[error("log {what}: expected {expected}, found {found:?}")]
    Log {
        /// `level` or `format`.
        what: &'static str,
        /// The given word.
        found: String,
        /// The known words.
        expected: &'static str,
    },
    /// The journal cannot be logged to.
    #[error("log format journald: systemd's journal at /run/systemd/journal/socket: {0}")]
    Journal(#[source] io::Error),
    /// Logging was set up before.
    #[error("logging: {0}")]
    Logging(#[from] tracing_subscriber::util::TryInitError),
    /// Signals could not be listened for.
    #[error("signals: {0}")]
    Signals(#[source] io::Error),
    /// A file of settings, certificates or keys cannot be used.
    #[error("{place}: {found}")]
    File {
        /// The file, with the field in it if there is one.
        place: String,
        /// What was found, without secrets.
        found: String,
    },
    /// Connections were still open when the grace period was over.
    #[error("{server} server: connections still open after the grace period of {grace:?}")]
    Drain {
        /// `http` or `grpc`.
        server: &'static str,
        /// The grace period.
        grace: Duration,
    },
}

impl ServiceError {
    pub(crate) fn file(place: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::File {
            place: place.to_string(),
            found: found.to_string(),
        }
    }
}
