//! The gRPC status of each error. No other module makes one. The codes are those of Thanos's sidecar.

use service::HttpClientError;
use tonic::{Code, Status};

use crate::{
    SidecarError,
    error::{AnswerError, ReadError},
};

pub(super) fn of(error: &AnswerError) -> Status {
    Status::new(code(error), error.to_string())
}

fn code(error: &AnswerError) -> Code {
    match error {
        AnswerError::NotReady => Code::Unavailable,
        AnswerError::Busy { .. } | AnswerError::Limit { .. } => Code::ResourceExhausted,
        AnswerError::Invalid(_) => Code::InvalidArgument,
        AnswerError::Api(SidecarError::Client(HttpClientError::Status { status, .. })) => {
            of_http(*status)
        }
        AnswerError::Api(_) => Code::Internal,
        AnswerError::Read(
            ReadError::TooLarge { .. }
            | ReadError::Order {
                source: series::OrderError::Budget { .. },
                ..
            },
        ) => Code::ResourceExhausted,
        // A client cannot tell these apart by the code, but by the text.
        AnswerError::Read(_) => Code::Unknown,
    }
}

/// The code for an HTTP status of Prometheus's API.
const fn of_http(status: u16) -> Code {
    match status {
        400 => Code::InvalidArgument,
        404 => Code::NotFound,
        503 => Code::Unavailable,
        _ => Code::Internal,
    }
}
