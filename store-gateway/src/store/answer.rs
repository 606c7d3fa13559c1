//! The answer to a request for series. It is made while it is read: each block is read ahead by a batch, everything
//! else waits for the client. Dropping the answer stops all work for it.

use std::{mem, sync::Arc};

use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use rayon::prelude::*;
use series::{AnswerPart, Merge, Series};
use service::{in_span, span, to_the_pool};
use tracing::{Instrument as _, Span};

use super::{
    block_stream::{BlockStream, Own, ReadBatch},
    context::RequestContext,
    gate::GatePermit,
};
use crate::{
    error::AnswerError,
    metrics::Cost,
    request::{OnFailure, SeriesRequest},
    select::Chosen,
};

/// How many series are merged at once.
const BATCH: usize = 1024;

/// Batches of several blocks that have more series together are finished side by side.
const SIDE_BY_SIDE: usize = 2048;

/// An answer in progress. `encode` makes messages of its parts.
pub(super) struct Answer<E> {
    context: RequestContext,
    streams: Vec<BlockStream>,
    /// Batches for the merge, with the numbers of their blocks.
    read: Vec<(usize, ReadBatch)>,
    merge: Merge<Series>,
    on_failure: OnFailure,
    /// Warnings that were not sent yet.
    warnings: Vec<String>,
    /// How many series may still be sent.
    remaining: usize,
    sent: usize,
    encode: Arc<E>,
    cost: Cost,
    /// From the first merge to the end of the answer.
    merging: Option<Span>,
    _permit: Option<GatePermit>,
}

impl<E: Send + Sync + 'static> Answer<E> {
    pub(super) fn new(
        chosen: Vec<Chosen>,
        request: &SeriesRequest,
        context: RequestContext,
        cost: Cost,
        permit: Option<GatePermit>,
        encode: E,
    ) -> Self {
        let limit = request.selector.limit;
        Self {
            context,
            merge: Merge::new(chosen.len()),
            streams: chosen
                .into_iter()
                .map(|one| BlockStream::new(one, request))
                .collect(),
            read: Vec::new(),
            on_failure: request.selector.on_failure,
            warnings: Vec::new(),
            remaining: if limit == 0 { usize::MAX } else { limit },
            sent: 0,
            encode: Arc::new(encode),
            cost,
            merging: None,
            _permit: permit,
        }
    }

    /// The same answer, which sends `warning` first.
    pub(super) fn warned(mut self, warning: Option<String>) -> Self {
        self.warnings.extend(warning);
        self
    }

    /// The messages. They are begun where they are asked for: a small answer from memory is made there at once.
    pub(super) fn messages<T>(self) -> impl Stream<Item = Result<T, AnswerError>> + Send
    where
        T: Send + 'static,
        E: Fn(AnswerPart) -> Vec<T> + Send + Sync + 'static,
    {
        let pool = self.context.pool.clone();
        let steps = stream::try_unfold(self, |mut answer| async move {
            let messages = answer.next().await?;
            Ok::<_, AnswerError>(messages.map(|some| (some, answer)))
        });
        let mut steps = steps.boxed();
        // Only the first: later ones are made while the client reads.
        let begun = async move {
            let first = async move { (steps.next().await, steps) };
            pool.begin_here(first).await
        };
        let steps = stream::once(begun).map(|(first, rest)| stream::iter(first).chain(rest));
        let steps = steps.flatten();
        steps
            .map_ok(|messages| stream::iter(messages.into_iter().map(Ok)))
            .try_flatten()
    }

    /// The next messages; `None` at the end.
    async fn next<T>(&mut self) -> Result<Option<Vec<T>>, AnswerError>
    where
        T: Send + 'static,
        E: Fn(AnswerPart) -> Vec<T> + Send + Sync + 'static,
    {
        loop {
            if self.warnings.is_empty() {
                // The first of each block; later ones are read beside the merge.
                let filling = match self.merging {
                    None => span!("bucket_store_preload_all"),
                    Some(_) => Span::current(),
                };
                in_span(filling, self.read_waiting()).await?;
                self.cost.all_given();
            }
            let warnings = mem::take(&mut self.warnings);
            if !warnings.is_empty() {
                let parts = warnings.into_iter().map(AnswerPart::Warning);
                return Ok(Some(parts.flat_map(|part| (self.encode)(part)).collect()));
            }
            if self.remaining == 0 || (self.read.is_empty() && self.merge.is_done()) {
                self.cost.answered(self.sent);
                return Ok(None);
            }
            let mut merge = mem::replace(&mut self.merge, Merge::new(0));
            let read = mem::take(&mut self.read);
            let side_by_side = is_much(&read);
            if side_by_side {
                to_the_pool().await;
            }
            let (encode, most) = (Arc::clone(&self.encode), self.remaining.min(BATCH));
            let chunk_bytes = self.cost.chunk_bytes();
            let merging = self
                .merging
                .get_or_insert_with(|| span!("bucket_store_merge_all"));
            // All that is done for some series is one job: each costs a change of threads.
            let (merge, left, count, messages) = self
                .context
                .pool
                .run(move || {
                    let left = feed(&mut merge, read, side_by_side);
                    let series = match left.iter().any(|(_, left)| left.is_err()) {
                        // A warning comes first.
                        true => Vec::new(),
                        false => merge.take(most),
                    };
                    let count = series.len();
                    chunk_bytes.sent(&series);
                    let messages = match count {
                        0 => Vec::new(),
                        _ => encode(AnswerPart::Series(series)),
                    };
                    (merge, left, count, messages)
                })
                .instrument(merging.clone())
                .await;
            self.merge = merge;
            self.put_back(left)?;
            self.remaining -= count;
            self.sent += count;
            if !messages.is_empty() {
                return Ok(Some(messages));
            }
        }
    }

    /// Reads the batches that the merge waits for.
    async fn read_waiting(&mut self) -> Result<(), AnswerError> {
        let waiting = self.merge.take_waiting();
        if waiting.is_empty() {
            return Ok(());
        }
        let context = &self.context;
        let mut asked = Vec::new();
        for (i, stream) in self.streams.iter_mut().enumerate() {
            if waiting.binary_search(&i).is_ok() {
                asked.push(async move { (i, stream.next(context).await) }.boxed());
            }
        }
        let mut batches = stream::iter(asked).buffer_unordered(context.concurrency);
        while let Some((i, batch)) = batches.next().await {
            match batch {
                // An input without a batch has ended.
                Ok(None) => {}
                Ok(Some(batch)) => self.read.push((i, batch)),
                Err(error) => self.warnings.push(context.warning(error, self.on_failure)?),
            }
        }
        Ok(())
    }

    /// Puts back the orders of batches; a block whose batch is damaged gives a warning, and nothing more.
    fn put_back(&mut self, left: Vec<(usize, Left)>) -> Result<(), AnswerError> {
        for (i, left) in left {
            let Some(stream) = self.streams.get_mut(i) else {
                continue;
            };
            match left {
                Ok(own) => stream.put_back(own),
                Err(error) => {
                    stream.end();
                    self.warnings
                        .push(self.context.warning(error, self.on_failure)?);
                }
            }
        }
        Ok(())
    }
}

/// The order of a batch, to be put back.
type Left = Result<Option<Box<Own>>, AnswerError>;

/// Whether batches of several blocks are worth more than one thread.
fn is_much(read: &[(usize, ReadBatch)]) -> bool {
    read.len() > 1 && read.iter().map(|(_, batch)| batch.len()).sum::<usize>() > SIDE_BY_SIDE
}

/// Feeds the merge with final series; gives the order of each batch. An input whose batch is damaged has ended.
fn feed(
    merge: &mut Merge<Series>,
    read: Vec<(usize, ReadBatch)>,
    side_by_side: bool,
) -> Vec<(usize, Left)> {
    let finish = |(i, batch): (usize, ReadBatch)| (i, batch.finish());
    let finished: Vec<_> = match side_by_side {
        true => read.into_par_iter().map(finish).collect(),
        false => read.into_iter().map(finish).collect(),
    };
    let fed = finished.into_iter().map(|(i, finished)| {
        let left = finished.map(|(series, own)| {
            merge.feed(i, series);
            own
        });
        (i, left)
    });
    fed.collect()
}
