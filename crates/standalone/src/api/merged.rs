//! Series of both halves, merged as they come.
//!
//! Of each half one part is held, and the merge of the two goes out before the next is asked for. Order, limits of
//! the request and partial answers are kept; what is removed or left out of each series, the halves have done.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, future, stream, stream::BoxStream};
use proto::thanos::SeriesRequest;
use series::{AnswerPart, Merge, Series};
use service::CpuPool;
use tonic::Status;

use super::{Half, Parts, failures::Failures};

/// How many series are merged before they are handed on.
const MERGED: usize = 1024;

/// An answer being made. `encode` makes messages of its parts, on the pool.
struct Merged<E> {
    /// None once a half has ended.
    inputs: Vec<Option<Parts>>,
    merge: Merge<Series>,
    failures: Failures,
    /// Warnings that are still to be sent.
    warnings: Vec<String>,
    /// How many series may still be sent.
    remaining: usize,
    encode: Arc<E>,
    pool: CpuPool,
}

/// What a half has next.
struct Next {
    /// Without any, the half has ended.
    series: Vec<Series>,
    warnings: Vec<String>,
    failed: Option<Status>,
}

pub(super) async fn series<T, E>(
    halves: &[Arc<dyn Half>],
    wire: SeriesRequest,
    pool: &CpuPool,
    encode: E,
) -> Result<BoxStream<'static, Result<T, Status>>, Status>
where
    T: Send + 'static,
    E: Fn(AnswerPart) -> Vec<T> + Send + Sync + 'static,
{
    let partial = proto::allows_partial(
        wire.partial_response_disabled,
        wire.partial_response_strategy(),
    );
    let mut merged = Merged {
        inputs: Vec::with_capacity(halves.len()),
        merge: Merge::new(halves.len()),
        failures: Failures::new(partial),
        warnings: Vec::new(),
        // A limit below 1 is none.
        remaining: match usize::try_from(wire.limit) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(limit) => limit,
        },
        encode: Arc::new(encode),
        pool: pool.clone(),
    };
    // One after the other: the first lets as many in as may be under way, before the second is asked.
    for half in halves {
        match half.series_parts(wire.clone()).await {
            Ok(parts) => merged.inputs.push(Some(parts)),
            Err(status) => {
                merged.inputs.push(None);
                merged.warn(status)?;
            }
        }
    }
    Ok(merged.messages())
}

impl<E: Send + Sync + 'static> Merged<E> {
    fn messages<T>(self) -> BoxStream<'static, Result<T, Status>>
    where
        T: Send + 'static,
        E: Fn(AnswerPart) -> Vec<T>,
    {
        let steps = stream::try_unfold(self, |mut merged| async move {
            let messages = merged.next().await?;
            let messages = messages.map(|some| stream::iter(some.into_iter().map(Ok)));
            Ok::<_, Status>(messages.map(|some| (some, merged)))
        });
        steps.try_flatten().boxed()
    }

    fn warn(&mut self, status: Status) -> Result<(), Status> {
        self.warnings.push(self.failures.warning(status)?);
        Ok(())
    }

    /// The next messages; `None` at the end.
    async fn next<T>(&mut self) -> Result<Option<Vec<T>>, Status>
    where
        T: Send + 'static,
        E: Fn(AnswerPart) -> Vec<T>,
    {
        loop {
            self.feed().await?;
            if !self.warnings.is_empty() {
                let warnings = std::mem::take(&mut self.warnings).into_iter();
                let parts = warnings.map(AnswerPart::Warning);
                return Ok(Some(parts.flat_map(|part| (self.encode)(part)).collect()));
            }
            if self.remaining == 0 || self.merge.is_done() {
                return Ok(None);
            }
            let mut merge = std::mem::replace(&mut self.merge, Merge::new(0));
            let (most, encode) = (self.remaining.min(MERGED), Arc::clone(&self.encode));
            let (merge, count, messages) = self
                .pool
                .run(move || {
                    let series = merge.take(most);
                    (merge, series.len(), encode(AnswerPart::Series(series)))
                })
                .await;
            self.merge = merge;
            self.remaining -= count;
            if !messages.is_empty() {
                return Ok(Some(messages));
            }
        }
    }

    /// Gives the merge what it waits for.
    async fn feed(&mut self) -> Result<(), Status> {
        let waiting = self.merge.take_waiting();
        let asked = self.inputs.iter_mut().enumerate();
        let asked = asked.filter(|(i, _)| waiting.contains(i));
        let asked = asked.map(|(i, input)| async move { (i, next(input).await) });
        for (i, next) in future::join_all(asked).await {
            self.warnings.extend(next.warnings);
            if !next.series.is_empty() {
                self.merge.feed(i, next.series);
            }
            if let Some(status) = next.failed {
                self.warn(status)?;
            }
        }
        Ok(())
    }
}

/// The next series of a half, and what it says besides on the way.
async fn next(input: &mut Option<Parts>) -> Next {
    let mut next = Next {
        series: Vec::new(),
        warnings: Vec::new(),
        failed: None,
    };
    while next.series.is_empty()
        && let Some(parts) = input
    {
        match parts.next().await {
            Some(Ok(AnswerPart::Series(series))) => next.series = series,
            Some(Ok(AnswerPart::Warning(warning))) => next.warnings.push(warning),
            None => *input = None,
            Some(Err(status)) => {
                *input = None;
                next.failed = Some(status);
            }
        }
    }
    next
}
