//! The series of one block, ready to be merged: read, filtered, under their final labels, in order.

use std::{mem, pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _};
use model::{AggregateSet, Labels, TimeRange};
use service::CpuPool;

use super::Reach;
use crate::{
    block::{BlockError, BlockQuery, BlockSeries},
    error::{AnswerError, SeriesError},
    request::SeriesRequest,
    select::Chosen,
    series::{Arrival, Finish, MetricOrder, Series, SeriesChunk, Shard},
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
    order: MetricOrder,
}

/// What becomes of each series.
#[derive(Clone, Debug)]
struct Shape {
    finish: Finish,
    shard: Option<Shard>,
    aggregates: AggregateSet,
    skip_chunks: bool,
    limit: usize,
}

impl Feed {
    pub(crate) fn new(chosen: Chosen, request: &SeriesRequest) -> Self {
        let shape = Shape {
            finish: Finish::new(&chosen.block.labels, &request.selector.without),
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
        while let State::Open(Open { mut series, order }) = mem::replace(state, State::Ended) {
            let Some(batch) = series.next().await.transpose()? else {
                return Ok(reach.pool.run(move || order.finish()).await?);
            };
            let (order, ready) = shaped(shape, batch, order, &reach.pool).await?;
            *state = State::Open(Open { series, order });
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
    let arrival = match reader.is_out_of_order(&names).await? {
        true => Arrival::Unordered,
        false => Arrival::of(block.format, &shape.finish, names.iter().copied()),
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
        order: MetricOrder::new(arrival),
    })
}

/// Makes of a block's series what is sent, and gives those that are next in order.
async fn shaped(
    shape: &Arc<Shape>,
    batch: Vec<BlockSeries>,
    mut order: MetricOrder,
    pool: &CpuPool,
) -> Result<(MetricOrder, Vec<Series>), SeriesError> {
    let shape = Arc::clone(shape);
    pool.run(move || {
        let series = batch
            .into_iter()
            .filter_map(|one| shape.apply(one).transpose());
        let ready = order.push(series.collect::<Result<_, _>>()?)?;
        Ok((order, ready))
    })
    .await
}

impl Shape {
    /// The series as it is sent; `None` if it is not.
    fn apply(&self, own: BlockSeries) -> Result<Option<Series>, SeriesError> {
        let labels = self.finish.apply(own.labels);
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
        let chunks = self.chunks(&labels, own.chunks)?;
        // Of a histogram there may be none of the aggregates.
        Ok((!chunks.is_empty()).then_some(Series { labels, chunks }))
    }

    fn chunks(
        &self,
        series: &Labels,
        own: Vec<tsdb::Chunk>,
    ) -> Result<Vec<SeriesChunk>, SeriesError> {
        let chunk = |chunk: tsdb::Chunk| {
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
            self.shard.is_none() && !names.iter().any(|name| self.finish.removes(name));
        if self.skip_chunks && all_are_sent {
            self.limit
        } else {
            0
        }
    }
}
