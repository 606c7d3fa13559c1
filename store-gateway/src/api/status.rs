//! The gRPC status of each error. No other module makes one.

use bucket::BucketError;
use tonic::{Code, Status};

use crate::error::{AnswerError, BlockError, SeriesError};

pub(super) fn of(error: &AnswerError) -> Status {
    Status::new(code(error), error.to_string())
}

fn code(error: &AnswerError) -> Code {
    match error {
        AnswerError::NotReady | AnswerError::Missing { .. } => Code::Unavailable,
        AnswerError::Busy { .. } | AnswerError::Memory { .. } => Code::ResourceExhausted,
        AnswerError::Invalid(_) => Code::InvalidArgument,
        AnswerError::Block { source, .. } => match &**source {
            SeriesError::Read(BlockError::Limit { .. }) => Code::ResourceExhausted,
            SeriesError::Read(BlockError::Stopped) => Code::Unavailable,
            // The block was deleted after the last synchronization; trying again does not help.
            SeriesError::Read(BlockError::Fetch(BucketError::NotFound { .. })) => Code::Aborted,
            SeriesError::Read(BlockError::Fetch(_)) => Code::Unavailable,
            SeriesError::Read(_) | SeriesError::Order(_) | SeriesError::Chunk { .. } => {
                Code::Aborted
            }
        },
    }
}
