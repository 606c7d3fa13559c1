//! Series of both halves, merged as they come.
//!
//! Of each half one message is held, and the merge of the two goes out before the next is asked for. Order, limits of
//! the request and partial answers are kept; what is removed or left out of each series, the halves have done.

use futures::{StreamExt as _, TryStreamExt as _, future, stream};
use proto::thanos::{Series, SeriesRequest, SeriesResponse, series_response::Result as Frame};
use series::Merge;
use service::CpuPool;
use tonic::{Request, Status};

use super::{Answer, Half, failures::Failures, wire::WireSeries};

/// How many series a half sends in one message, at most.
const BATCH: i64 = 512;
/// How many series are merged before they are handed on.
const MERGED: usize = 1024;

/// An answer being made.
struct Merged {
    /// None once a half has ended.
    inputs: Vec<Option<Answer>>,
    merge: Merge<WireSeries>,
    failures: Failures,
    /// Messages that are no series, still to be sent.
    said: Vec<SeriesResponse>,
    /// How many series may still be sent.
    remaining: usize,
    batch_size: i64,
    pool: CpuPool,
}

/// What a half has next.
struct Next {
    /// Without any, the half has ended.
    series: Vec<Series>,
    said: Vec<SeriesResponse>,
    failed: Option<Status>,
}

pub(super) async fn series(
    halves: &[Half],
    wire: SeriesRequest,
    pool: &CpuPool,
) -> Result<Answer, Status> {
    let partial = proto::allows_partial(
        wire.partial_response_disabled,
        wire.partial_response_strategy(),
    );
    let mut merged = Merged {
        inputs: Vec::with_capacity(halves.len()),
        merge: Merge::new(halves.len()),
        failures: Failures::new(partial),
        said: Vec::new(),
        // A limit below 1 is none.
        remaining: match usize::try_from(wire.limit) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(limit) => limit,
        },
        batch_size: wire.response_batch_size,
        pool: pool.clone(),
    };
    let asked = SeriesRequest {
        response_batch_size: BATCH,
        ..wire
    };
    // One after the other: the first lets as many in as may be under way, before the second is asked.
    for half in halves {
        match half.series(Request::new(asked.clone())).await {
            Ok(answer) => merged.inputs.push(Some(answer.into_inner())),
            Err(status) => {
                merged.inputs.push(None);
                merged.warn(status)?;
            }
        }
    }
    Ok(merged.messages())
}

impl Merged {
    fn messages(self) -> Answer {
        let steps = stream::try_unfold(self, |mut merged| async move {
            let messages = merged.next().await?;
            let messages = messages.map(|some| stream::iter(some.into_iter().map(Ok)));
            Ok::<_, Status>(messages.map(|some| (some, merged)))
        });
        steps.try_flatten().boxed()
    }

    fn warn(&mut self, status: Status) -> Result<(), Status> {
        let warning = self.failures.warning(status)?;
        self.said.push(proto::warning(warning));
        Ok(())
    }

    /// The next messages; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<SeriesResponse>>, Status> {
        loop {
            self.feed().await?;
            if !self.said.is_empty() {
                return Ok(Some(std::mem::take(&mut self.said)));
            }
            if self.remaining == 0 || self.merge.is_done() {
                return Ok(None);
            }
            let mut merge = std::mem::replace(&mut self.merge, Merge::new(0));
            let (most, batch_size) = (self.remaining.min(MERGED), self.batch_size);
            let (merge, count, messages) = self
                .pool
                .run(move || {
                    let series = merge.take(most);
                    let count = series.len();
                    let series = series.into_iter().map(|one| one.0);
                    (merge, count, proto::series_messages(series, batch_size))
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
            self.said.extend(next.said);
            if !next.series.is_empty() {
                let series = next.series.into_iter().map(WireSeries);
                self.merge.feed(i, series.collect());
            }
            if let Some(status) = next.failed {
                self.warn(status)?;
            }
        }
        Ok(())
    }
}

/// The next series of a half, and what it says besides on the way.
async fn next(input: &mut Option<Answer>) -> Next {
    let mut next = Next {
        series: Vec::new(),
        said: Vec::new(),
        failed: None,
    };
    while next.series.is_empty()
        && let Some(answer) = input
    {
        let message = answer.next().await;
        match message.transpose().map(|m| m.map(|m| m.result)) {
            Ok(Some(Some(Frame::Series(one)))) => next.series.push(one),
            Ok(Some(Some(Frame::Batch(batch)))) => next.series = batch.series,
            Ok(Some(Some(other))) => next.said.push(SeriesResponse {
                result: Some(other),
            }),
            Ok(Some(None)) => {}
            Ok(None) => *input = None,
            Err(status) => {
                *input = None;
                next.failed = Some(status);
            }
        }
    }
    next
}
