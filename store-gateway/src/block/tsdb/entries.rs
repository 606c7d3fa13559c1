//! Reads series entries of the index, in groups of bounded size.

use std::{ops::Range, pin::pin, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use model::TimeRange;
use tokio::sync::mpsc::Sender;
use tsdb::{Fetched, IndexHeader, SeriesEntry, SeriesRef, SymbolReader};

use super::{BlockError, BlockQuery, INDEX_GAP, PendingSeries, Prefetch, RequestBudget, TsdbBlock};
use crate::{
    fetch::{Piece, Wanted, leading, size},
    memory::{HeldFor, SERIES_BYTES},
    usage::DataKind,
};

/// Series that are decoded first: few, so that the first answer is early.
const FIRST: usize = 128;
/// Series of a group; and if there is no room for so many.
const MOST: usize = 4096;
const FEWER: usize = 512;
/// Groups that are fetched at once.
const AT_ONCE: usize = 4;
/// Bytes of the index that are fetched for a group. A chunk takes 4 bytes or more there, and 24 in memory.
const MAX_BYTES: u64 = 1 << 20;
/// The longest entry: one of a few million chunks.
const MAX_ENTRY: u64 = 64 << 20;

/// An entry to read, and its range in the index.
struct EntryRead {
    /// The position of the result.
    place: usize,
    series: SeriesRef,
    range: Range<u64>,
}

/// The outcome of decoding entries.
struct Decoded {
    /// Those with chunks in the range, and their positions.
    pending: Vec<(usize, PendingSeries)>,
    /// Those that need more bytes.
    short: Vec<EntryRead>,
}

impl TsdbBlock {
    /// The series that match and have chunks in the range.
    pub(super) fn pending_series(
        self: &Arc<Self>,
        query: BlockQuery,
        budget: Arc<RequestBudget>,
    ) -> Prefetch<Vec<PendingSeries>> {
        let block = Arc::clone(self);
        Prefetch::start(async move |out| block.send_pending(query, &budget, &out).await)
    }

    async fn send_pending(
        &self,
        query: BlockQuery,
        budget: &RequestBudget,
        out: &Sender<Vec<PendingSeries>>,
    ) -> Result<(), BlockError> {
        let (mut refs, piece) = self.refs(&query.matchers, budget).await?;
        let limited = query.limit > 0;
        let mut left = if limited { query.limit } else { usize::MAX };
        if self.within(query.range) {
            refs.truncate(left);
        }
        budget.add_series(refs.len() as u64)?;
        let (refs, piece) = (refs.as_slice(), piece.as_ref());
        let mut hold = budget.hold(HeldFor::Batches);
        let of_refs = size_of_val(refs) as u64;
        let most_now = || if budget.has_room() { MOST } else { FEWER };
        // Entries beyond a limit must not be fetched.
        let at_once = if limited || !budget.has_room() {
            1
        } else {
            AT_ONCE
        };
        let mut next = 0;
        let groups = std::iter::from_fn(|| {
            let most = if limited { FIRST } else { most_now() };
            let ranges = self.group(refs.get(next..)?, most);
            let first = next;
            next += ranges.len();
            (!ranges.is_empty()).then_some((first, ranges))
        });
        let fetched = groups.map(|(first, ranges)| async move {
            let bytes = self.fetch_entries(&ranges, piece, budget).await?;
            Ok::<_, BlockError>((first, ranges, bytes))
        });
        let mut fetched = pin!(stream::iter(fetched).buffered(at_once));
        let mut first = FIRST;
        while left > 0
            && let Some((place, ranges, bytes)) = fetched.try_next().await?
        {
            let group = refs.get(place..).unwrap_or_default();
            let mut all = group.iter().zip(ranges).zip(bytes);
            while all.len() > 0 && left > 0 {
                let part = all.by_ref().take(first);
                let part = part.enumerate().map(|(place, ((series, range), bytes))| {
                    let series = *series;
                    let read = EntryRead {
                        place,
                        series,
                        range,
                    };
                    (read, bytes)
                });
                let (reads, bytes) = part.unzip();
                let mut pending = self.entries(reads, bytes, query.range, budget).await?;
                pending.truncate(left);
                left -= pending.len();
                first = most_now();
                // One group is here, one waits to be taken.
                hold.set(of_refs + 2 * SERIES_BYTES * pending.len() as u64);
                if !pending.is_empty() && out.send(pending).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The ranges of the first of `refs`, of as many as are read together.
    fn group(&self, refs: &[SeriesRef], most: usize) -> Vec<Range<u64>> {
        let header = self.header();
        let range = |i: usize, series: SeriesRef| {
            let mut range = header.series_range(series, self.guesses.entry);
            // No entry reaches into the next one.
            if let Some(next) = refs.get(i + 1) {
                let next = header.series_offset(*next);
                range.end = range.end.min(next.max(range.start));
            }
            range
        };
        let first = refs.iter().take(most).enumerate();
        let mut ranges: Vec<_> = first.map(|(i, series)| range(i, *series)).collect();
        ranges.truncate(leading(&ranges, INDEX_GAP, MAX_BYTES));
        ranges
    }

    /// The bytes of the ranges, from `piece` if they are there.
    async fn fetch_entries(
        &self,
        ranges: &[Range<u64>],
        piece: Option<&Piece>,
        budget: &RequestBudget,
    ) -> Result<Vec<Bytes>, BlockError> {
        let wanted = Wanted {
            object: &self.index,
            ranges,
            gap: INDEX_GAP,
            kind: DataKind::Series,
            budget: Some(budget),
        };
        if let Some(piece) = piece {
            self.source.fetcher.keep(wanted, piece);
        }
        self.source.fetcher.fetch_kept(wanted).await
    }

    /// Decodes entries, and reads more where one is longer than expected. Series without a chunk in the range are left
    /// out.
    async fn entries(
        &self,
        mut reads: Vec<EntryRead>,
        mut bytes: Vec<Bytes>,
        range: TimeRange,
        budget: &RequestBudget,
    ) -> Result<Vec<PendingSeries>, BlockError> {
        let mut found: Vec<Option<PendingSeries>> = vec![None; reads.len()];
        loop {
            let decode = move |header: &IndexHeader| decode(header, &reads, &bytes, range);
            let decoded = self.with_header(decode).await;
            let decoded = decoded.inspect_err(|_| self.forget_index())?;
            for (place, one) in decoded.pending {
                if let Some(slot) = found.get_mut(place) {
                    *slot = Some(one);
                }
            }
            reads = decoded.short;
            if reads.is_empty() {
                return Ok(found.into_iter().flatten().collect());
            }
            self.refuse_long(&reads)?;
            let ranges: Vec<_> = reads.iter().map(|read| read.range.clone()).collect();
            bytes = self.fetch_entries(&ranges, None, budget).await?;
        }
    }

    /// Forgets the index if it was fetched whole.
    pub(super) fn forget_index(&self) {
        self.source.fetcher.forget(&self.index);
    }

    fn refuse_long(&self, reads: &[EntryRead]) -> Result<(), BlockError> {
        match reads.iter().find(|read| size(&read.range) > MAX_ENTRY) {
            None => Ok(()),
            Some(long) => Err(BlockError::TooLarge {
                key: self.index.key.to_string(),
                offset: long.range.start,
                what: "series entry",
                size: size(&long.range),
                limit: MAX_ENTRY,
            }),
        }
    }
}

/// Decodes entries.
fn decode(
    header: &IndexHeader,
    reads: &[EntryRead],
    bytes: &[Bytes],
    range: TimeRange,
) -> tsdb::Result<Decoded> {
    let mut symbols = header.symbols();
    let mut entry = SeriesEntry::default();
    let mut decoded = Decoded {
        pending: Vec::with_capacity(reads.len()),
        short: Vec::new(),
    };
    for (read, bytes) in reads.iter().zip(bytes) {
        match header.decode_series_into(bytes, read.series, &mut entry)? {
            Fetched::Done(()) => {
                if let Some(one) = within(&mut symbols, &entry, range)? {
                    decoded.pending.push((read.place, one));
                }
            }
            Fetched::Short { needed } => decoded.short.push(EntryRead {
                range: header.series_range(read.series, needed),
                ..*read
            }),
        }
    }
    Ok(decoded)
}

fn within(
    symbols: &mut SymbolReader<'_>,
    entry: &SeriesEntry,
    range: TimeRange,
) -> tsdb::Result<Option<PendingSeries>> {
    let chunks = entry.chunks.iter().filter(|c| c.range().overlaps(range));
    let chunks: Vec<_> = chunks.copied().collect();
    if chunks.is_empty() {
        return Ok(None);
    }
    let labels = symbols.labels(entry)?;
    Ok(Some(PendingSeries { labels, chunks }))
}
