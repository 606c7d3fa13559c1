//! The series of one block, ready to be merged: read, filtered, under their final labels, in order.

use std::{mem, pin::Pin, sync::Arc};

use ::series::{FinalLabels, FinalOrder, Shard};
use futures::{Stream, StreamExt as _};
use model::{AggregateSet, Labels, METRIC_NAME, TimeRange};
use tsdb::Chunk;

use super::Reach;
use crate::{
    block::{BlockError, BlockQuery, BlockSeries},
    catalog::Format,
    error::{AnswerError, SeriesError},
    request::SeriesRequest,
    select::Chosen,
    series::{Series, SeriesChunk},
};

type BlockStream = Pin<Box<dyn Stream<Item = Result<Vec<BlockSeries>, BlockError>> + Send>>;

/// One block of an answer. It is opened when it is first asked.
pub(crate) struct Feed {
    chosen: Chosen,
    shape: Arc<Shape>,
    state: State,
}

enum State {
    /// Not opened yet.
    New,
    Open(Open),
    /// Everything was given.
    Ended,
}

struct Open {
    series: BlockStream,
    order: FinalOrder<Vec<Chunk>>,
    /// Own labels that are not sent, and before which there is no order of the series.
    left_out: Arc<[Vec<u8>]>,
}

/// What becomes of each series.
#[derive(Clone, Debug)]
struct Shape {
    labels: FinalLabels,
    shard: Option<Shard>,
    aggregates: AggregateSet,
    skip_chunks: bool,
    limit: usize,
}

impl Feed {
    pub(crate) fn new(chosen: Chosen, request: &SeriesRequest) -> Self {
        let shape = Shape {
            labels: FinalLabels::new(&chosen.block.labels, &request.selector.without),
            shard: request.shard.clone(),
            aggregates: request.aggregates,
            skip_chunks: request.skip_chunks,
            limit: request.selector.limit,
        };
        Self {
            chosen,
            shape: Arc::new(shape),
            state: State::New,
        }
    }

    /// The next series; at the end none. After an error there are no more.
    pub(crate) async fn next(&mut self, reach: &Reach) -> Result<Vec<Series>, AnswerError> {
        self.advance(reach).await.map_err(|source| {
            self.state = State::Ended;
            AnswerError::Block {
                block: Arc::clone(&self.chosen.block),
                source,
            }
        })
    }

    async fn advance(&mut self, reach: &Reach) -> Result<Vec<Series>, SeriesError> {
        let Self {
            chosen,
            shape,
            state,
        } = self;
        if matches!(state, State::New) {
            *state = State::Open(open(chosen, shape, reach).await?);
        }
        while let State::Open(mut open) = mem::replace(state, State::Ended) {
            let batch = open.series.next().await.transpose()?;
            let shape = Arc::clone(shape);
            let Some(batch) = batch else {
                return reach
                    .pool
                    .run(move || shape.apply(open.order.finish()?))
                    .await;
            };
            let (open, ready) = reach.pool.run(move || open.take(batch, &shape)).await?;
            *state = State::Open(open);
            if !ready.is_empty() {
                return Ok(ready);
            }
        }
        Ok(Vec::new())
    }
}

async fn open(chosen: &Chosen, shape: &Shape, reach: &Reach) -> Result<Open, SeriesError> {
    let block = &chosen.block;
    let reader = reach.open(block).await?;
    // Of all series: what is known of the block as soon as it is open.
    let all = reader.label_names(Arc::from([]), TimeRange::ALL, Arc::clone(&reach.budget));
    let names = all.await?;
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    // In a Parquet block the labels before `__name__` do not decide first; those that are not sent need not.
    let early = |name: &&[u8]| block.format == Format::Parquet && *name < METRIC_NAME.as_bytes();
    let (sent, not_sent): (Vec<&[u8]>, Vec<&[u8]>) = names
        .iter()
        .filter(|name| early(name))
        .partition(|name| shape.labels.keeps(name));
    let left_out = not_sent.iter().map(|name| name.to_vec()).collect();
    let order = if !sent.is_empty() || reader.is_out_of_order(&names).await? {
        FinalOrder::unsorted(shape.labels.clone(), None, |chunks: &Vec<Chunk>| {
            bytes(chunks)
        })
    } else {
        let has = |name: &[u8]| names.contains(&name) && !not_sent.contains(&name);
        FinalOrder::new(shape.labels.clone(), has, None, |chunks: &Vec<Chunk>| {
            bytes(chunks)
        })
    };
    let query = BlockQuery {
        matchers: Arc::clone(&chosen.matchers),
        range: chosen.range,
        aggregates: shape.aggregates,
        skip_chunks: shape.skip_chunks,
        limit: shape.limit_for_block(&names),
    };
    Ok(Open {
        series: Box::pin(reader.series(query, Arc::clone(&reach.budget))),
        order,
        left_out,
    })
}

/// Bytes of chunks.
fn bytes(chunks: &[Chunk]) -> usize {
    chunks.iter().map(|chunk| chunk.data.len()).sum()
}

impl Open {
    /// Makes of a block's series what is sent, and gives those that are next in order.
    fn take(
        mut self,
        batch: Vec<BlockSeries>,
        shape: &Shape,
    ) -> Result<(Self, Vec<Series>), SeriesError> {
        let left_out = &self.left_out;
        let own = |labels: Labels| match left_out.is_empty() {
            true => labels,
            false => Labels::from_sorted(
                labels
                    .iter()
                    .filter(|(name, _)| !left_out.iter().any(|out| out == name)),
            ),
        };
        let batch = batch.into_iter().map(|one| (own(one.labels), one.chunks));
        let ready = shape.apply(self.order.push(batch)?)?;
        Ok((self, ready))
    }
}

impl Shape {
    /// The series as they are sent; without those that are not.
    fn apply(&self, series: Vec<(Labels, Vec<Chunk>)>) -> Result<Vec<Series>, SeriesError> {
        let shaped = series
            .into_iter()
            .filter_map(|(labels, chunks)| self.shaped(labels, chunks).transpose());
        shaped.collect()
    }

    /// The series as it is sent; `None` if it is not.
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
        // Of a histogram there may be none of the aggregates.
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

    /// How many of the block's series are enough, whichever they are; 0 for all.
    ///
    /// Where chunks are sent, another block's series may be the same as one that would be cut off here. Where a
    /// label of the block's own is removed, series may become one.
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
