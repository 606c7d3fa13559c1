//! Series entries that are fetched before it is known which of them are wanted. Whoever asks a block whose header had
//! to be made has waited for that already; reading postings and entries at once spares the wait that it cost.
//!
//! Series are in the order of their labels, and `__name__` sorts before most: those of a metric lie together. How many
//! have a smaller name is known from the lengths of the postings, so about where the metric is.

use std::{ops::Range, sync::atomic::Ordering};

use model::{METRIC_NAME, MatchOp, Matcher};
use tsdb::IndexHeader;

use super::{BlockError, TsdbBlock};
use crate::fetch::{Piece, Wanted, size};

/// At most so many bytes are fetched.
const MAX_EAGER: u64 = 8 << 20;
/// By how much the place of a metric may be wrong: such a part of the section, and so many bytes.
const WRONG: (u64, u64) = (8, 64 << 10);

impl TsdbBlock {
    /// Where the entries are that matchers may select, if it is worth while to fetch all these at once: the first time,
    /// of a block whose header has just been made.
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

    /// Fetches such entries, unless others fetch so much that there is no room. What goes wrong is left to who reads
    /// what is really wanted.
    pub(super) async fn eager(&self, range: Option<Range<u64>>) -> Option<Piece> {
        let range = range?;
        let _room = self.source.fetcher.eager(size(&range))?;
        let start = range.start;
        let wanted = Wanted {
            object: &self.index,
            ranges: &[range],
            gap: 0,
            // Of no request: what is not wanted must not use up what it may cost.
            budget: None,
        };
        let bytes = self.source.fetcher.fetch(wanted).await.ok()?.pop()?;
        Some(Piece { start, bytes })
    }
}

/// About where the series of the metrics are whose names all of `names` match; without any, all.
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
        // A list takes its length in bytes, but for a few.
        total = total.saturating_add(size(list));
        if names.iter().all(|matcher| matcher.matches(value)) {
            let start = wanted.map_or(before, |wanted| wanted.start);
            wanted = Some(start..total);
        }
    }
    let wanted = wanted.unwrap_or_default();
    Ok(widened(&section, &wanted, total))
}

/// The part of `section` that `wanted` is of `total`, and what may be wrong with that.
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
