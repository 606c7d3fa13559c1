//! What can go wrong in the store gateway.

mod block;

use std::time::Duration;

use ::series::OrderError;
use model::BlockId;
use service::ServiceError;

pub(crate) use self::block::BlockError;

/// Why the store gateway cannot go on, or could not look at the bucket.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The gRPC server could not start, or broke.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The bucket could not be looked at; what was found before is served on.
    #[error("looking at the bucket: {reason}")]
    Sync {
        /// What the bucket says.
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

/// Why a request gets no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// The bucket has not been looked at yet.
    #[error("not ready: the bucket has not been listed yet")]
    NotReady,
    /// There was no place for the request.
    #[error(
        "limit store.grpc.series-max-concurrency: {most} Series requests were under way for the {waited:?} that this \
         one waited"
    )]
    Busy {
        /// Requests at once.
        most: usize,
        /// How long it waited.
        waited: Duration,
    },
    /// The request asks for what cannot be.
    #[error("{0}")]
    Invalid(String),
    /// Blocks that the request may need are listed, and the bucket did not give what says what is in them.
    #[error("{}", said_of_missing(*count, reason))]
    Missing {
        /// How many they are.
        count: usize,
        /// What was done for one of them, on which object, and what the bucket said.
        reason: String,
    },
    /// A block gives no answer.
    #[error("block {id}: {source}")]
    Block {
        /// The block.
        id: BlockId,
        /// Why.
        source: SeriesError,
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
    /// A chunk of aggregates cannot be taken apart.
    #[error("{series}: chunk of {min} to {max}: {source}", min = range.min, max = range.max)]
    Chunk {
        /// Its labels.
        series: model::Labels,
        /// The times of the chunk.
        range: model::TimeRange,
        /// What is wrong with it.
        source: tsdb::ChunkError,
    },
}

impl AnswerError {
    /// The name of the limit that the request goes past, if that is what ails it.
    pub(crate) const fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Block {
                source: SeriesError::Read(BlockError::Limit { name, .. }),
                ..
            } => Some(name),
            _ => None,
        }
    }

    /// Whether the other blocks can still answer.
    pub(crate) const fn concerns_one_block(&self) -> bool {
        match self {
            Self::Block { .. } => self.limit().is_none(),
            Self::Missing { .. } => true,
            Self::NotReady | Self::Busy { .. } | Self::Invalid(_) => false,
        }
    }
}

/// What a client reads about blocks that are missing.
fn said_of_missing(count: usize, reason: &str) -> String {
    match count {
        1 => format!("a block of the bucket is missing in the answer: {reason}"),
        _ => {
            format!("{count} blocks of the bucket are missing in the answer, one of them: {reason}")
        }
    }
}
