//! What can go wrong in the store gateway.

mod block;

use std::time::Duration;

use model::BlockId;
use series::OrderError;
use service::ServiceError;

pub(crate) use self::block::BlockError;

/// Why the store gateway ends, or a synchronization fails.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The gRPC server could not start, or failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The bucket could not be listed; the former blocks stay in service.
    #[error("synchronizing the blocks of the bucket: {reason}")]
    Sync {
        /// The bucket's error.
        reason: String,
    },
    /// Blocks that a request may need could not be read.
    #[error("{reason}")]
    Read {
        /// Which block, what was done, and what was found.
        reason: String,
    },
    /// The store gateway has ended.
    #[error("the store gateway has ended")]
    Ended,
}

/// Why a request gets no answer, or only a part of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// The bucket has not been listed yet.
    #[error("not ready: the bucket has not been listed yet")]
    NotReady,
    /// Too many other requests were running.
    #[error(
        "limit store.grpc.series-max-concurrency: {most} Series requests were running for the {waited:?} that this \
         one waited"
    )]
    Busy {
        /// The number of requests that may run at once.
        most: usize,
        /// How long it waited.
        waited: Duration,
    },
    /// Other requests have all memory.
    #[error(
        "limit store.memory-budget: requests held {used} of {most} bytes for the {waited:?} that this one waited"
    )]
    Memory {
        /// The bytes that requests held at the end.
        used: u64,
        /// The bytes that they may hold.
        most: u64,
        /// How long it waited.
        waited: Duration,
    },
    /// The request is invalid.
    #[error("{0}")]
    Invalid(String),
    /// The `meta.json` of listed blocks that the request may need could not be read.
    #[error("{}", said_of_missing(*count, reason))]
    Missing {
        /// How many blocks.
        count: usize,
        /// What was done for one of them, on which object, and the bucket's error.
        reason: String,
    },
    /// A block cannot answer.
    #[error("block {id}: {source}")]
    Block {
        /// The block.
        id: BlockId,
        /// Why.
        source: Box<SeriesError>,
    },
}

/// Why a block's series cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeriesError {
    /// They cannot be read.
    #[error(transparent)]
    Read(#[from] BlockError),
    /// They are not in order.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// A chunk of aggregates cannot be decoded.
    #[error("{series}: chunk of {min} to {max}: {source}", min = range.min, max = range.max)]
    Chunk {
        /// The labels of its series.
        series: model::Labels,
        /// The times of the chunk.
        range: model::TimeRange,
        /// What is wrong with it.
        source: tsdb::ChunkError,
    },
}

impl AnswerError {
    /// The name of the exceeded limit, if that is the error.
    pub(crate) fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Block { source, .. } => match **source {
                SeriesError::Read(BlockError::Limit { name, .. }) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the other blocks can still answer.
    pub(crate) fn concerns_one_block(&self) -> bool {
        match self {
            Self::Block { .. } => self.limit().is_none(),
            Self::Missing { .. } => true,
            Self::NotReady | Self::Busy { .. } | Self::Memory { .. } | Self::Invalid(_) => false,
        }
    }
}

/// The text that a client gets about missing blocks.
fn said_of_missing(count: usize, reason: &str) -> String {
    match count {
        1 => format!("a block is missing from the answer: {reason}"),
        _ => {
            format!("{count} blocks are missing from the answer, the first: {reason}")
        }
    }
}
