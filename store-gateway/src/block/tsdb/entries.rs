//! Reading series entries of the index, in groups of bounded size.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use model::TimeRange;
use tokio::sync::mpsc::Sender;
use tsdb::{Fetched, IndexHeader, SeriesEntry, SeriesRef, SymbolReader};

use super::{Ahead, BlockError, BlockQuery, Head, INDEX_GAP, RequestBudget, TsdbBlock};
use crate::fetch::{Wanted, leading, size};

/// Series of the first group: few, so that the first answer is soon there.
const FIRST: usize = 128;
/// Series of a group.
const MOST: usize = 4096;
/// Bytes of the index that are fetched for a group. A chunk takes 4 bytes or more there, and 24 in memory.
const MAX_BYTES: u64 = 1 << 20;
/// The longest entry: one of a few million chunks.
const MAX_ENTRY: u64 = 64 << 20;

/// An entry to be read, and how much of the index for it.
struct Asked {
    /// Where the result belongs.
    place: usize,
    series: SeriesRef,
    range: Range<u64>,
}

/// What has become of entries.
struct Decoded {
    /// Those with chunks in the range, and where they belong.
    heads: Vec<(usize, Head)>,
    /// Those that need more bytes.
    short: Vec<Asked>,
}

impl TsdbBlock {
    /// The series that match and have chunks in the range.
    pub(super) fn heads(
        self: &Arc<Self>,
        query: BlockQuery,
        budget: Arc<RequestBudget>,
    ) -> Ahead<Vec<Head>> {
        let block = Arc::clone(self);
        Ahead::start(async move |out| block.send_heads(query, &budget, &out).await)
    }

    async fn send_heads(
        &self,
        query: BlockQuery,
        budget: &RequestBudget,
        out: &Sender<Vec<Head>>,
    ) -> Result<(), BlockError> {
        let mut refs = self.refs(&query.matchers, budget).await?;
        let mut left = if query.limit == 0 {
            usize::MAX
        } else {
            query.limit
        };
        if self.within(query.range) {
            refs.truncate(left);
        }
        budget.add_series(refs.len() as u64)?;
        let mut rest = refs.as_slice();
        let mut most = FIRST;
        while !rest.is_empty() && left > 0 {
            let (group, ranges) = self.group(rest, most);
            let mut heads = self.entries(group, &ranges, query.range, budget).await?;
            heads.truncate(left);
            left -= heads.len();
            rest = rest.get(group.len()..).unwrap_or_default();
            most = (most * 4).min(MOST);
            if !heads.is_empty() && out.send(heads).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// How many of `refs` to read now, and what of the index for each.
    fn group<'a>(&self, refs: &'a [SeriesRef], most: usize) -> (&'a [SeriesRef], Vec<Range<u64>>) {
        let header = self.header();
        let range = |i: usize, series: SeriesRef| {
            let mut range = header.series_range(series, self.guesses.entry);
            // No entry goes on into the next one.
            if let Some(next) = refs.get(i + 1) {
                let next = header.series_offset(*next);
                range.end = range.end.min(next.max(range.start));
            }
            range
        };
        let first = refs.iter().take(most).enumerate();
        let mut ranges: Vec<_> = first.map(|(i, series)| range(i, *series)).collect();
        ranges.truncate(leading(&ranges, INDEX_GAP, MAX_BYTES));
        (refs.get(..ranges.len()).unwrap_or(refs), ranges)
    }

    /// Reads a group; series without a chunk in the range are left out.
    async fn entries(
        &self,
        refs: &[SeriesRef],
        ranges: &[Range<u64>],
        range: TimeRange,
        budget: &RequestBudget,
    ) -> Result<Vec<Head>, BlockError> {
        let mut found: Vec<Option<Head>> = vec![None; refs.len()];
        let asked = refs.iter().zip(ranges).enumerate();
        let mut asked: Vec<_> = asked
            .map(|(place, (series, range))| Asked {
                place,
                series: *series,
                range: range.clone(),
            })
            .collect();
        while !asked.is_empty() {
            let ranges: Vec<_> = asked.iter().map(|asked| asked.range.clone()).collect();
            let wanted = Wanted {
                object: &self.index,
                ranges: &ranges,
                gap: INDEX_GAP,
                budget: Some(budget),
            };
            let bytes = self.source.fetcher.fetch_kept(wanted).await?;
            let decode = move |header: &IndexHeader| decode(header, &asked, &bytes, range);
            let decoded = self.with_header(decode).await;
            let decoded = decoded.inspect_err(|_| self.forget_index())?;
            for (place, head) in decoded.heads {
                if let Some(slot) = found.get_mut(place) {
                    *slot = Some(head);
                }
            }
            asked = decoded.short;
            self.refuse_long(&asked)?;
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Forgets the index if it was fetched whole.
    pub(super) fn forget_index(&self) {
        self.source.fetcher.forget(&self.index);
    }

    fn refuse_long(&self, asked: &[Asked]) -> Result<(), BlockError> {
        match asked.iter().find(|asked| size(&asked.range) > MAX_ENTRY) {
            None => Ok(()),
            Some(long) => Err(BlockError::TooLarge {
                key: self.index.key.to_string(),
                offset: long.range.start,
                what: "a series",
                size: size(&long.range),
                limit: MAX_ENTRY,
            }),
        }
    }
}

/// Decodes entries.
fn decode(
    header: &IndexHeader,
    asked: &[Asked],
    bytes: &[Bytes],
    range: TimeRange,
) -> tsdb::Result<Decoded> {
    let mut symbols = header.symbols();
    let mut entry = SeriesEntry::default();
    let mut decoded = Decoded {
        heads: Vec::with_capacity(asked.len()),
        short: Vec::new(),
    };
    for (asked, bytes) in asked.iter().zip(bytes) {
        match header.decode_series_into(bytes, asked.series, &mut entry)? {
            Fetched::Done(()) => {
                if let Some(head) = head(&mut symbols, &entry, range)? {
                    decoded.heads.push((asked.place, head));
                }
            }
            Fetched::Short { needed } => decoded.short.push(Asked {
                range: header.series_range(asked.series, needed),
                ..*asked
            }),
        }
    }
    Ok(decoded)
}

fn head(
    symbols: &mut SymbolReader<'_>,
    entry: &SeriesEntry,
    range: TimeRange,
) -> tsdb::Result<Option<Head>> {
    let chunks = entry.chunks.iter().filter(|c| c.range().overlaps(range));
    let chunks: Vec<_> = chunks.copied().collect();
    if chunks.is_empty() {
        return Ok(None);
    }
    let labels = symbols.labels(entry)?;
    Ok(Some(Head { labels, chunks }))
}
