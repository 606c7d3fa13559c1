//! A TSDB block in the bucket: `index`, and the segments in `chunks/`. Tombstones are ignored: neither a sidecar nor a
//! compactor uploads a block that has any.

mod chunks;
mod eager;
mod entries;
mod header;
mod open;
mod series;
mod sorted;

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicBool},
};

use futures::StreamExt as _;
use model::{AggregateSet, Labels, MatchOp, Matcher, TimeRange};
use parking_lot::RwLock;
use tokio::sync::{Mutex, OnceCell};
use tsdb::{ChunkMeta, IndexHeader, SeriesRef};

use super::{
    BlockError, BlockOrder, BlockQuery, BlockSeries, BlockSource, RequestBudget, prefetch::Prefetch,
};
use crate::{
    catalog::CatalogBlock,
    fetch::{ListedObject, Piece, Wanted},
    usage::DataKind,
};

/// Unwanted bytes of the index that are fetched to save a request.
const INDEX_GAP: u64 = 256 << 10;

/// A TSDB block whose index header has been opened.
pub(super) struct TsdbBlock {
    block: Arc<CatalogBlock>,
    source: BlockSource,
    /// Replaced if it turns out to be damaged.
    header: RwLock<Arc<IndexHeader>>,
    /// Held by the task that rebuilds the header.
    making: Mutex<()>,
    /// Whether the header was just built and no query has used it.
    is_new: AtomicBool,
    /// The index.
    index: ListedObject,
    /// The segments, in the order of chunk references.
    segments: Vec<ListedObject>,
    guesses: Guesses,
    /// Whether labels have empty values, once it is known.
    empty_values: OnceCell<bool>,
}

/// How much to read where the length of a record is unknown.
#[derive(Clone, Copy, Debug)]
struct Guesses {
    entry: u64,
    chunk: u64,
}

/// A series before its chunks are read.
#[derive(Clone, Debug)]
struct PendingSeries {
    labels: Labels,
    /// Those that overlap the range, at least one.
    chunks: Vec<ChunkMeta>,
}

impl TsdbBlock {
    pub(super) fn memory_size(&self) -> usize {
        self.header().heap_size()
    }

    /// The matching series with their chunks, in the order of the query. The stored order is by all labels, so also by
    /// those before `__name__`.
    pub(super) fn series(
        self: &Arc<Self>,
        query: BlockQuery,
        budget: Arc<RequestBudget>,
    ) -> Prefetch<Vec<BlockSeries>> {
        let block = Arc::clone(self);
        Prefetch::start(async move |out| {
            if let BlockOrder::Final(labels) = &query.order {
                return block.send_final(labels, &query, &budget, &out).await;
            }
            let skip_chunks = query.skip_chunks;
            let pending = block.pending_series(query, Arc::clone(&budget));
            if skip_chunks {
                series::send_labels(pending, &out).await
            } else {
                block.send_series(pending, &budget, &out).await
            }
        })
    }

    pub(super) async fn label_names(
        self: &Arc<Self>,
        matchers: Arc<[Matcher]>,
        range: TimeRange,
        budget: Arc<RequestBudget>,
    ) -> Result<Vec<Vec<u8>>, BlockError> {
        if matchers.is_empty() {
            return self.with_header(IndexHeader::label_names).await;
        }
        let pending = self.pending_series(labels_only(matchers, range), budget);
        self.collect(pending, |labels, names| {
            for (name, _) in labels.iter() {
                add(names, name);
            }
        })
        .await
    }

    pub(super) async fn label_values(
        self: &Arc<Self>,
        name: &str,
        matchers: Arc<[Matcher]>,
        range: TimeRange,
        budget: Arc<RequestBudget>,
    ) -> Result<Vec<Vec<u8>>, BlockError> {
        let name = name.to_owned();
        if matchers.is_empty() {
            let values = move |header: &IndexHeader| {
                let mut values = header.label_values(&name)?;
                // An empty value means that the label is absent.
                values.retain(|value| !value.is_empty());
                Ok(values)
            };
            return self.with_header(values).await;
        }
        let having = Matcher::new(MatchOp::NotEqual, name.as_str(), "");
        let matchers = matchers.iter().cloned().chain(having.ok()).collect();
        let pending = self.pending_series(labels_only(matchers, range), budget);
        self.collect(pending, move |labels, values| {
            if let Some(value) = labels.get(&name) {
                add(values, value);
            }
        })
        .await
    }

    /// Whether a series has an empty value for one of these labels. Such labels are dropped from their series, so
    /// `names` must be all of them.
    pub(super) async fn has_empty_values(&self, names: &[&[u8]]) -> Result<bool, BlockError> {
        let look = async || {
            let names: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
            let any = move |header: &IndexHeader| {
                for name in &names {
                    if header.postings_range(name, "")?.is_some() {
                        return Ok(true);
                    }
                }
                Ok(false)
            };
            self.with_header(any).await
        };
        self.empty_values.get_or_try_init(look).await.copied()
    }

    /// Collects what `take` takes from the labels of each series.
    async fn collect(
        &self,
        mut pending: Prefetch<Vec<PendingSeries>>,
        take: impl Fn(&Labels, &mut BTreeSet<Vec<u8>>) + Send + Sync + 'static,
    ) -> Result<Vec<Vec<u8>>, BlockError> {
        let take = Arc::new(take);
        let mut texts = BTreeSet::new();
        while let Some(pending) = pending.next().await {
            let pending = pending?;
            let take = Arc::clone(&take);
            let add_all = move || {
                for one in &pending {
                    take(&one.labels, &mut texts);
                }
                texts
            };
            texts = self.source.pool.run(add_all).await;
        }
        Ok(texts.into_iter().collect())
    }

    /// The matching series, ascending, and some of their entries if those were fetched too.
    async fn refs(
        &self,
        matchers: &Arc<[Matcher]>,
        budget: &RequestBudget,
    ) -> Result<(Vec<SeriesRef>, Option<Piece>), BlockError> {
        let of_select = Arc::clone(matchers);
        let select = move |header: &IndexHeader| header.select(&of_select);
        let plan = self.with_header(select).await?;
        if plan.is_empty() {
            return Ok((Vec::new(), None));
        }
        let eager = self.eager_range(matchers).await?;
        let ranges = plan.ranges();
        // The plan's ranges are not sorted.
        let mut order: Vec<usize> = (0..ranges.len()).collect();
        order.sort_by_key(|i| ranges.get(*i).map(|range| range.start));
        let sorted: Vec<_> = order
            .iter()
            .filter_map(|i| ranges.get(*i))
            .cloned()
            .collect();
        let wanted = Wanted {
            object: &self.index,
            ranges: &sorted,
            gap: INDEX_GAP,
            kind: DataKind::Postings,
            budget: Some(budget),
        };
        let pages = &self.source.pages;
        let (bytes, entries) = futures::join!(
            self.source.fetcher.fetch_through(pages, wanted),
            self.eager(eager, budget.usage())
        );
        let bytes = bytes?;
        let mut placed: Vec<_> = order.into_iter().zip(bytes).collect();
        placed.sort_by_key(|(i, _)| *i);
        let bytes: Vec<_> = placed.into_iter().map(|(_, bytes)| bytes).collect();
        let refs = self.source.pool.run(move || plan.evaluate(&bytes)).await;
        let refs = refs.map_err(|source| {
            self.forget_index();
            damaged(&self.block, source)
        })?;
        Ok((refs, entries))
    }

    /// Whether each series of the block has a chunk in the range.
    fn within(&self, range: TimeRange) -> bool {
        range.covers(self.block.meta.time_range())
    }
}

/// The error for a damaged index, chunk or index header.
fn damaged(block: &CatalogBlock, source: tsdb::Error) -> BlockError {
    match source {
        // The header is not a file of the block.
        tsdb::Error::Header(_) => BlockError::Header(source),
        source => BlockError::Tsdb {
            root: block.root().to_string(),
            source,
        },
    }
}

fn labels_only(matchers: Arc<[Matcher]>, range: TimeRange) -> BlockQuery {
    BlockQuery {
        matchers,
        range,
        aggregates: AggregateSet::default(),
        skip_chunks: true,
        limit: 0,
        order: BlockOrder::Stored,
    }
}

fn add(texts: &mut BTreeSet<Vec<u8>>, text: &[u8]) {
    if !texts.contains(text) {
        texts.insert(text.to_owned());
    }
}
