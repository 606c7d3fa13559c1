//! What can go wrong in the sidecar.

use std::{io, path::PathBuf, time::Duration};

use bucket::BucketError;
use model::MetaError;
use series::OrderError;
use service::{HttpClientError, ServiceError};

use crate::{prometheus::FrameError, reloader::RenderError};

/// Why the sidecar cannot go on, or a part of it not now.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// Prometheus cannot be asked, was not reached, did not answer in time, or answered with an error.
    #[error(transparent)]
    Client(#[from] HttpClientError),
    /// The system gave no thread for remote reads.
    #[error("starting the thread for remote reads: {0}")]
    ReadThread(#[source] io::Error),
    /// Prometheus answered something that cannot be read.
    #[error("{url}: {reason}")]
    Answer {
        /// What was asked.
        url: String,
        /// What was expected and found.
        reason: String,
    },
    /// Prometheus compacts its own blocks.
    #[error(
        "prometheus must not compact: found storage.tsdb.min-block-duration {min} and \
         storage.tsdb.max-block-duration {max}, expected equal ones"
    )]
    Compaction {
        /// The least duration of a block.
        min: String,
        /// The greatest.
        max: String,
    },
    /// Prometheus waits for another file to tell what was uploaded.
    #[error(
        "prometheus delays compaction by {}, expected the shipper file {}",
        found.display(),
        expected.display()
    )]
    DelayCompactFile {
        /// The file that Prometheus was given.
        found: PathBuf,
        /// The file that is written here.
        expected: PathBuf,
    },
    /// Blocks without external labels cannot be told from those of another Prometheus.
    #[error(
        "no external labels: without them the blocks of this prometheus look like those of another"
    )]
    NoExternalLabels,
    /// Prometheus did not become ready.
    #[error("prometheus is not ready after {after:?}: {last}")]
    NotReady {
        /// How long it was waited for.
        after: Duration,
        /// The last error.
        last: Box<Self>,
    },
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no configuration for Prometheus.
    #[error("{}: {source}", path.display())]
    Render {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: RenderError,
    },
    /// A process cannot be signalled.
    #[error("process {name:?}: {reason}")]
    Process {
        /// The name of its executable.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Prometheus took the request to reload and did not reload.
    #[error("prometheus reload: {reason}")]
    Reload {
        /// What came of it.
        reason: String,
    },
    /// A local block's `meta.json` cannot be used.
    #[error("{}: {source}", path.display())]
    Meta {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: MetaError,
    },
    /// A local block's `meta.json` is of another block.
    #[error("{}: ulid: expected the name of its folder, found {found}", path.display())]
    WrongBlock {
        /// The file.
        path: PathBuf,
        /// The ulid in it.
        found: model::BlockId,
    },
    /// A compacted block would overlap what is in the bucket.
    #[error("compacted block overlaps block {other} in the bucket")]
    Overlap {
        /// A block that it overlaps.
        other: model::BlockId,
    },
    /// A local block cannot be read or is damaged.
    #[error(transparent)]
    Block(#[from] tsdb::Error),
    /// The gRPC server could not start, or broke.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The bucket refused.
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

impl SidecarError {
    /// Whether asking again cannot help.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Client(HttpClientError::Url { .. } | HttpClientError::Config { .. })
                | Self::Compaction { .. }
                | Self::DelayCompactFile { .. }
                | Self::NoExternalLabels
        )
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// Prometheus has not answered, or does not at the moment.
    #[error("not ready: prometheus does not answer")]
    NotReady,
    /// There was no place for the request.
    #[error(
        "limit store.grpc.series-max-concurrency: no request ended within the {waited:?} that this one waited"
    )]
    Busy {
        /// How long it waited.
        waited: Duration,
    },
    /// The request asks for what cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The answer goes past a limit.
    #[error("failed to send series: {name} limit {limit} violated (got {got})")]
    Limit {
        /// The flag.
        name: &'static str,
        /// What is allowed.
        limit: u64,
        /// What the answer has come to.
        got: u64,
    },
    /// Prometheus's API gives no answer.
    #[error(transparent)]
    Api(#[from] SidecarError),
    /// A remote read fails.
    #[error("query Prometheus: {0}")]
    Read(#[from] ReadError),
}

/// Why a remote read fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Prometheus is not reached, or refuses.
    #[error(transparent)]
    Peer(#[from] SidecarError),
    /// The answer is of a kind that is not known.
    #[error("{url}: not supported remote read content type: {found:?}")]
    ContentType {
        /// What was asked.
        url: String,
        /// The kind.
        found: String,
    },
    /// A frame of the answer is damaged.
    #[error("{url}: {source}")]
    Frame {
        /// What was asked.
        url: String,
        /// Which, and how.
        source: FrameError,
    },
    /// The answer is not what it should be.
    #[error("{url}: {place}: {reason}")]
    Content {
        /// What was asked.
        url: String,
        /// Where in the answer.
        place: String,
        /// What was expected and found.
        reason: String,
    },
    /// The answer has to be taken whole, and is too large for that.
    #[error(
        "{url}: exceeded {name} limit: limit {limit} violated (an answer in samples has {found} bytes or more)"
    )]
    TooLarge {
        /// What was asked.
        url: String,
        /// The flag.
        name: &'static str,
        /// What is allowed, in bytes.
        limit: usize,
        /// How many there are, as far as is known.
        found: usize,
    },
    /// The series are not in order, or too many wait to be sorted.
    #[error("{url}: {source}")]
    Order {
        /// What was asked.
        url: String,
        /// Which.
        source: OrderError,
    },
}
