//! Names and values of labels of both halves.

use std::sync::Arc;

use bytes::Bytes;
use futures::future;
use prost_types::Any;
use proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
    PartialResponseStrategy,
};
use service::CpuPool;
use tonic::{Request, Response, Status};

use super::{Half, failures::Failures};

/// What both kinds of answers have.
#[derive(Default)]
struct Texts {
    texts: Vec<Bytes>,
    warnings: Vec<String>,
    hints: Option<Any>,
}

pub(super) async fn names(
    halves: &[Arc<dyn Half>],
    wire: LabelNamesRequest,
    pool: &CpuPool,
) -> Result<LabelNamesResponse, Status> {
    let partial = partial(
        wire.partial_response_disabled,
        wire.partial_response_strategy(),
    );
    let limit = wire.limit;
    let asked = halves.iter().map(|half| async {
        let answer = half.label_names(Request::new(wire.clone())).await;
        answer.map(Response::into_inner).map(Texts::from)
    });
    let answers = future::join_all(asked).await;
    let Texts {
        texts: names,
        warnings,
        hints,
    } = joined(answers, partial, limit, pool).await?;
    Ok(LabelNamesResponse {
        names,
        warnings,
        hints,
    })
}

pub(super) async fn values(
    halves: &[Arc<dyn Half>],
    wire: LabelValuesRequest,
    pool: &CpuPool,
) -> Result<LabelValuesResponse, Status> {
    let partial = partial(
        wire.partial_response_disabled,
        wire.partial_response_strategy(),
    );
    let limit = wire.limit;
    let asked = halves.iter().map(|half| async {
        let answer = half.label_values(Request::new(wire.clone())).await;
        answer.map(Response::into_inner).map(Texts::from)
    });
    let answers = future::join_all(asked).await;
    let Texts {
        texts: values,
        warnings,
        hints,
    } = joined(answers, partial, limit, pool).await?;
    Ok(LabelValuesResponse {
        values,
        warnings,
        hints,
    })
}

fn partial(disabled: bool, strategy: PartialResponseStrategy) -> Failures {
    Failures::new(proto::allows_partial(disabled, strategy))
}

/// The texts of all answers, each once and in order, `limit` at most.
async fn joined(
    answers: Vec<Result<Texts, Status>>,
    mut failures: Failures,
    limit: i64,
    pool: &CpuPool,
) -> Result<Texts, Status> {
    let mut all = Texts::default();
    for answer in answers {
        match answer {
            Ok(some) => {
                all.texts.extend(some.texts);
                all.warnings.extend(some.warnings);
                all.hints = all.hints.or(some.hints);
            }
            Err(status) => all.warnings.push(failures.warning(status)?),
        }
    }
    // A limit below 1 is none.
    let most = usize::try_from(limit).ok().filter(|limit| *limit > 0);
    let sort = move || {
        all.texts.sort_unstable();
        all.texts.dedup();
        all.texts.truncate(most.unwrap_or(usize::MAX));
        all
    };
    Ok(pool.run(sort).await)
}

impl From<LabelNamesResponse> for Texts {
    fn from(answer: LabelNamesResponse) -> Self {
        Self {
            texts: answer.names,
            warnings: answer.warnings,
            hints: answer.hints,
        }
    }
}

impl From<LabelValuesResponse> for Texts {
    fn from(answer: LabelValuesResponse) -> Self {
        Self {
            texts: answer.values,
            warnings: answer.warnings,
            hints: answer.hints,
        }
    }
}
