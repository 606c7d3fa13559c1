//! Speculative reads of series entries, before it is known which are wanted. A query that had to build the header of a
//! block has waited for that already; reading postings and entries together saves a wait.
//!
//! Series are in the order of their labels, and `__name__` sorts before most, so the series of a metric are
//! neighbours. The lengths of the postings tell how many series have a smaller name, and so about where the metric is.

use std::{ops::Range, sync::atomic::Ordering};

use model::{METRIC_NAME, MatchOp, Matcher};
use tsdb::IndexHeader;

use super::{BlockError, TsdbBlock};
use crate::{
    fetch::{Piece, Wanted, size},
    usage::{Amount, DataKind, Usage},
};

/// The most bytes that are fetched.
const MAX_EAGER: u64 = 8 << 20;
/// The error of the estimate: a part of the section, and a number of bytes.
const WRONG: (u64, u64) = (8, 64 << 10);

impl TsdbBlock {
    /// The range of the entries that the matchers may select, if a speculative read of them pays: for the first query
    /// of a block whose header was just built.
    pub(super) async fn eager_range(
        &self,
        matchers: &[Matcher],
    ) -> Result<Option<Range<u64>>, BlockError> {
        if !self.is_new.swap(false, Ordering::Relaxed) {
            return Ok(None);
        }
        let names: Vec<Matcher> = matchers
            .iter()
            .filter(|one| one.name == METRIC_NAME && !one.matches_empty())
            .filter(|one| matches!(one.op, MatchOp::Equal | MatchOp::Regex))
            .cloned()
            .collect();
        let range = move |header: &IndexHeader| place(header, &names);
        let range = self.with_header(range).await?;
        Ok((size(&range) <= MAX_EAGER).then_some(range))
    }

    /// Fetches the entries, unless too many speculative bytes are in flight. Errors are left to the reads of wanted
    /// entries.
    pub(super) async fn eager(&self, range: Option<Range<u64>>, usage: &Usage) -> Option<Piece> {
        let range = range?;
        let _room = self.source.fetcher.eager(size(&range))?;
        let start = range.start;
        let wanted = Wanted {
            object: &self.index,
            ranges: &[range],
            gap: 0,
            kind: DataKind::Series,
            // Without a budget: unwanted bytes must not use up a request's limit.
            budget: None,
        };
        let bytes = self.source.fetcher.fetch(wanted).await.ok()?.pop()?;
        let read = Amount {
            items: 1,
            bytes: bytes.len() as u64,
        };
        usage.fetch(DataKind::Series, read);
        Some(Piece { start, bytes })
    }
}

/// About the range of the series whose metric names match all of `names`; of all series if there are none.
fn place(header: &IndexHeader, names: &[Matcher]) -> tsdb::Result<Range<u64>> {
    let section = header.toc().series_range();
    if names.is_empty() {
        return Ok(section);
    }
    let values = header.label_values(METRIC_NAME)?;
    let lists = header.postings_ranges(METRIC_NAME)?;
    let (mut total, mut wanted) = (0u64, None::<Range<u64>>);
    for (value, list) in values.iter().zip(&lists) {
        let before = total;
        // The length of a list is proportional to its number of series, nearly.
        total = total.saturating_add(size(list));
        if names.iter().all(|matcher| matcher.matches(value)) {
            let start = wanted.map_or(before, |wanted| wanted.start);
            wanted = Some(start..total);
        }
    }
    let wanted = wanted.unwrap_or_default();
    Ok(widened(&section, &wanted, total))
}

/// The part of `section` that corresponds to `wanted` of `total`, widened by the error of the estimate.
fn widened(section: &Range<u64>, wanted: &Range<u64>, total: u64) -> Range<u64> {
    let all = size(section);
    let share = |at: u64| {
        let share = u128::from(all) * u128::from(at) / u128::from(total.max(1));
        u64::try_from(share).unwrap_or(all).min(all)
    };
    let wrong = all / WRONG.0 + WRONG.1;
    let start = share(wanted.start).saturating_sub(wrong);
    let end = share(wanted.end).saturating_add(wrong).min(all);
    section.start.saturating_add(start)..section.start.saturating_add(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_widened_within_its_section() {
        let section = 1000..1000 + (16 << 20);
        let wrong = (2 << 20) + (64 << 10);
        let range = widened(&section, &(500..510), 1000);
        let middle = 1000 + (8 << 20);
        assert_eq!(range.start, middle - wrong);
        assert_eq!(size(&range), (16 << 20) / 100 + 2 * wrong);
        assert_eq!(widened(&section, &(0..1000), 1000), section);
        assert_eq!(widened(&(5..10), &(0..0), 0), 5..10);
        assert_eq!(widened(&(7..7), &(3..4), 9), 7..7);
    }
}
