//! The series of one block, ready to be merged: filtered, in order, under their final labels.

use std::{mem, pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _};
use model::{AggregateSet, BlockId, Labels, METRIC_NAME, TimeRange};
use series::{FinalLabels, FinalOrder, Series, SeriesChunk, Shard};
use service::{in_span, span};
use tracing::{Span, field::Empty};
use tsdb::Chunk;

use super::context::RequestContext;
use crate::{
    block::{BlockOrder, BlockQuery, BlockSeries},
    catalog::{CatalogBlock, Format},
    error::{AnswerError, BlockError, SeriesError},
    request::SeriesRequest,
    select::Chosen,
};

type SeriesBatches = Pin<Box<dyn Stream<Item = Result<Vec<BlockSeries>, BlockError>> + Send>>;

/// One block of an answer. It is opened at the first read.
pub(crate) struct BlockStream {
    chosen: Chosen,
    shape: Arc<Shape>,
    state: State,
    /// From the first read to the end of the block.
    span: Option<Span>,
    /// Series that were read.
    read: usize,
}

enum State {
    /// Not opened yet.
    New,
    Open(Open),
    /// All series were given.
    Ended,
}

struct Open {
    series: SeriesBatches,
    order: Order,
}

/// The order in which series come.
enum Order {
    /// That of their final labels, under which they come.
    Final,
    Own(Box<Own>),
    /// The last batch has it.
    Lent,
}

/// The order of series that come under their own labels.
pub(crate) struct Own {
    order: FinalOrder<Vec<Chunk>>,
    /// Labels that are not sent and are ignored in that order.
    left_out: Arc<[Vec<u8>]>,
}

/// Series of a block as they were read.
pub(crate) struct ReadBatch {
    block: BlockId,
    shape: Arc<Shape>,
    own: Option<Box<Own>>,
    /// `None` at the end of the block.
    series: Option<Vec<BlockSeries>>,
}

/// What is done to each series.
#[derive(Clone, Debug)]
struct Shape {
    labels: Arc<FinalLabels>,
    shard: Option<Shard>,
    aggregates: AggregateSet,
    skip_chunks: bool,
    limit: usize,
}

impl BlockStream {
    pub(crate) fn new(chosen: Chosen, request: &SeriesRequest) -> Self {
        let shape = Shape {
            labels: Arc::new(FinalLabels::new(
                &chosen.block.labels,
                &request.selector.without,
            )),
            shard: request.shard.clone(),
            aggregates: request.aggregates,
            skip_chunks: request.skip_chunks,
            limit: request.selector.limit,
        };
        Self {
            chosen,
            shape: Arc::new(shape),
            state: State::New,
            span: None,
            read: 0,
        }
    }

    /// The next batch; `None` at the end or after an error. The order of the batch before must have been put back.
    pub(crate) async fn next(
        &mut self,
        context: &RequestContext,
    ) -> Result<Option<ReadBatch>, AnswerError> {
        let block = &self.chosen.block;
        let span = self.span.get_or_insert_with(|| block_span(block)).clone();
        let read = in_span(span.clone(), self.advance(context)).await;
        let read = read.map_err(|source| {
            self.state = State::Ended;
            failed(self.chosen.block.id, source)
        });
        let series = read.as_ref().ok().and_then(Option::as_ref);
        let series = series.and_then(|batch| batch.series.as_ref());
        self.read += series.map_or(0, Vec::len);
        if matches!(self.state, State::Ended) {
            self.end();
        }
        read
    }

    /// Puts back the order that a batch had.
    pub(crate) fn put_back(&mut self, own: Option<Box<Own>>) {
        if let State::Open(open) = &mut self.state {
            open.order = own.map_or(Order::Final, Order::Own);
        }
    }

    /// Gives nothing more.
    pub(crate) fn end(&mut self) {
        self.state = State::Ended;
        if let Some(span) = self.span.replace(Span::none()) {
            span.record("series", self.read);
        }
    }

    async fn advance(
        &mut self,
        context: &RequestContext,
    ) -> Result<Option<ReadBatch>, SeriesError> {
        let Self {
            chosen,
            shape,
            state,
            ..
        } = self;
        if matches!(state, State::New) {
            *state = State::Open(open(chosen, shape, context).await?);
        }
        let State::Open(open) = state else {
            return Ok(None);
        };
        let series = open.series.next().await.transpose()?;
        let own = match mem::replace(&mut open.order, Order::Lent) {
            Order::Final => None,
            Order::Own(own) => Some(own),
            Order::Lent => return Err(BlockError::Stopped.into()),
        };
        if series.is_none() {
            *state = State::Ended;
        }
        let is_left = series.is_some() || own.is_some();
        Ok(is_left.then(|| ReadBatch {
            block: chosen.block.id,
            shape: Arc::clone(shape),
            own,
            series,
        }))
    }
}

impl ReadBatch {
    /// How many series it has.
    pub(crate) fn len(&self) -> usize {
        self.series.as_ref().map_or(0, Vec::len)
    }

    /// Final series: those that no later one can precede; and the order, to be put back. A loop over series.
    ///
    /// # Errors
    /// When series are out of order, or a chunk is damaged.
    pub(crate) fn finish(self) -> Result<(Vec<Series>, Option<Box<Own>>), AnswerError> {
        let Self {
            block,
            shape,
            mut own,
            series,
        } = self;
        let finish = || {
            let ready = match (series, &mut own) {
                (Some(series), Some(own)) => own.push(series)?,
                (Some(series), None) => {
                    let series = series.into_iter();
                    series.map(|one| (one.labels, one.chunks)).collect()
                }
                (None, own) => match own.take() {
                    Some(own) => own.order.finish()?,
                    None => Vec::new(),
                },
            };
            shape.apply(ready)
        };
        let series = finish().map_err(|source| failed(block, source))?;
        Ok((series, own))
    }
}

fn failed(id: BlockId, source: SeriesError) -> AnswerError {
    AnswerError::Block {
        id,
        source: source.into(),
    }
}

fn block_span(block: &CatalogBlock) -> Span {
    span!(
        "bucket_store_block_series",
        block.id = %block.id,
        block.mint = block.meta.min_time.0,
        block.maxt = block.meta.max_time.0,
        block.resolution = block.meta.resolution().millis(),
        series = Empty,
    )
}

async fn open(
    chosen: &Chosen,
    shape: &Shape,
    context: &RequestContext,
) -> Result<Open, SeriesError> {
    let block = &chosen.block;
    let reader = context.open(block).await?;
    // Without matchers the names are known as soon as the block is open.
    let all = reader.label_names(Arc::from([]), TimeRange::ALL, Arc::clone(&context.budget));
    let names = all.await?;
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    // A Parquet block is not sorted by labels before `__name__`. Those that are not sent need no sorting.
    let before_name =
        |name: &&[u8]| block.format == Format::Parquet && *name < METRIC_NAME.as_bytes();
    let (kept, changed): (Vec<&[u8]>, Vec<&[u8]>) =
        names.iter().partition(|name| shape.labels.keeps(name));
    let (kept_before, left_out) = (owned(&kept, before_name), owned(&changed, before_name));
    let order = if changed.len() > left_out.len() || reader.is_out_of_order(&names).await? {
        BlockOrder::Final(Arc::clone(&shape.labels))
    } else if kept_before.is_empty() {
        BlockOrder::Stored
    } else {
        BlockOrder::BeforeName(kept_before)
    };
    let own = !matches!(order, BlockOrder::Final(_));
    let query = BlockQuery {
        matchers: Arc::clone(&chosen.matchers),
        range: chosen.range,
        aggregates: shape.aggregates,
        skip_chunks: shape.skip_chunks,
        limit: shape.limit_for_block(&names),
        order,
    };
    Ok(Open {
        series: Box::pin(reader.series(query, Arc::clone(&context.budget))),
        order: match own {
            true => Order::Own(Box::new(Own {
                order: shape.order(),
                left_out,
            })),
            false => Order::Final,
        },
    })
}

/// The names that are `wanted`.
fn owned(names: &[&[u8]], wanted: impl Fn(&&[u8]) -> bool) -> Arc<[Vec<u8>]> {
    let names = names.iter().filter(|name| wanted(name));
    names.map(|name| name.to_vec()).collect()
}

/// Bytes of chunks.
fn bytes(chunks: &[Chunk]) -> usize {
    chunks.iter().map(|chunk| chunk.data.len()).sum()
}

impl Own {
    /// Takes a block's next series, and gives those that no later one can precede.
    fn push(&mut self, series: Vec<BlockSeries>) -> Result<Vec<(Labels, Vec<Chunk>)>, SeriesError> {
        let left_out = &self.left_out;
        let series = series.into_iter();
        let series = series.map(|one| (without(one.labels, left_out), one.chunks));
        Ok(self.order.push(series)?)
    }
}

/// The labels without those of `names`.
fn without(labels: Labels, names: &[Vec<u8>]) -> Labels {
    let named = |name: &[u8]| names.iter().any(|other| other == name);
    match names.is_empty() {
        true => labels,
        false => Labels::from_sorted(labels.iter().filter(|(name, _)| !named(name))),
    }
}

impl Shape {
    /// The order of series whose labels are not changed. Only series with which others begin wait: at most as many as
    /// a series has labels.
    fn order(&self) -> FinalOrder<Vec<Chunk>> {
        let labels = FinalLabels::clone(&self.labels);
        FinalOrder::of_kept(labels, None, |chunks| bytes(chunks))
    }

    /// Final series; those that are not sent are left out.
    fn apply(&self, series: Vec<(Labels, Vec<Chunk>)>) -> Result<Vec<Series>, SeriesError> {
        let shaped = series
            .into_iter()
            .filter_map(|(labels, chunks)| self.shaped(labels, chunks).transpose());
        shaped.collect()
    }

    /// The final series; `None` if it is not sent.
    fn shaped(&self, labels: Labels, own: Vec<Chunk>) -> Result<Option<Series>, SeriesError> {
        if self
            .shard
            .as_ref()
            .is_some_and(|shard| !shard.holds(&labels))
        {
            return Ok(None);
        }
        if self.skip_chunks {
            let chunks = Vec::new();
            return Ok(Some(Series { labels, chunks }));
        }
        let chunks = self.chunks(&labels, own)?;
        // A chunk of histograms may have none of the requested aggregates.
        Ok((!chunks.is_empty()).then_some(Series { labels, chunks }))
    }

    fn chunks(&self, series: &Labels, own: Vec<Chunk>) -> Result<Vec<SeriesChunk>, SeriesError> {
        let chunk = |chunk: Chunk| {
            let range = TimeRange {
                min: chunk.min,
                max: chunk.max,
            };
            SeriesChunk::new(chunk, self.aggregates).map_err(|source| SeriesError::Chunk {
                series: series.clone(),
                range,
                source,
            })
        };
        own.into_iter()
            .filter_map(|one| chunk(one).transpose())
            .collect()
    }

    /// The number of the block's series that is enough, whichever they are; 0 for all.
    ///
    /// Where chunks are sent, a series that would be cut off may also be in another block. Where one of the block's
    /// own labels is removed, several series may become one.
    fn limit_for_block(&self, names: &[&[u8]]) -> usize {
        let all_are_sent =
            self.shard.is_none() && !names.iter().any(|name| self.labels.removes(name));
        if self.skip_chunks && all_are_sent {
            self.limit
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests;
