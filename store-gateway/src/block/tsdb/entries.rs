//! Reading series entries of the index, in groups of bounded size.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use model::{Labels, TimeRange};
use tokio::sync::mpsc::Sender;
use tsdb::{Fetched, IndexHeader, SeriesEntry, SeriesRef};

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
        let range = |i: usize, series: SeriesRef| {
            let mut range = self.header.series_range(series, self.guesses.entry);
            // No entry goes on into the next one.
            if let Some(next) = refs.get(i + 1) {
                let next = self.header.series_offset(*next);
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
                key: &self.index,
                ranges: &ranges,
                gap: INDEX_GAP,
                budget: Some(budget),
            };
            let bytes = self.source.fetcher.fetch(wanted).await?;
            let header = Arc::clone(&self.header);
            let decode = move || decode(&header, asked, &bytes, range, found);
            let decoded = self.source.pool.run(decode).await;
            (found, asked) = decoded.map_err(|source| self.damaged(source))?;
            self.refuse_long(&asked)?;
        }
        Ok(found.into_iter().flatten().collect())
    }

    fn refuse_long(&self, asked: &[Asked]) -> Result<(), BlockError> {
        match asked.iter().find(|asked| size(&asked.range) > MAX_ENTRY) {
            None => Ok(()),
            Some(long) => Err(BlockError::TooLarge {
                key: self.index.to_string(),
                offset: long.range.start,
                what: "a series",
                size: size(&long.range),
                limit: MAX_ENTRY,
            }),
        }
    }
}

/// Decodes entries into their places, and tells which need more bytes.
fn decode(
    header: &IndexHeader,
    asked: Vec<Asked>,
    bytes: &[Bytes],
    range: TimeRange,
    mut found: Vec<Option<Head>>,
) -> tsdb::Result<(Vec<Option<Head>>, Vec<Asked>)> {
    let mut entry = SeriesEntry::default();
    let mut short = Vec::new();
    for (asked, bytes) in asked.into_iter().zip(bytes) {
        match header.decode_series_into(bytes, asked.series, &mut entry)? {
            Fetched::Done(()) => {
                if let Some(place) = found.get_mut(asked.place) {
                    *place = head(header, &entry, range);
                }
            }
            Fetched::Short { needed } => short.push(Asked {
                range: header.series_range(asked.series, needed),
                ..asked
            }),
        }
    }
    Ok((found, short))
}

fn head(header: &IndexHeader, entry: &SeriesEntry, range: TimeRange) -> Option<Head> {
    let chunks = entry.chunks.iter().filter(|c| c.range().overlaps(range));
    let chunks: Vec<_> = chunks.copied().collect();
    if chunks.is_empty() {
        return None;
    }
    let symbols = header.symbols();
    let labels = entry.labels.iter();
    let labels = labels.map(|(name, value)| (symbols.get(*name), symbols.get(*value)));
    // An empty value means the same as no label.
    let labels = Labels::from_sorted(labels.filter(|(_, value)| !value.is_empty()));
    Some(Head { labels, chunks })
}
