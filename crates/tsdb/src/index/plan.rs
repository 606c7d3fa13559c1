//! From matchers to the series they select: first which postings to read, then what they say.
//!
//! All matchers on one label name are one condition on its value, where the empty value stands for
//! series without the label. If the empty value does not meet the condition, the series are those of
//! the values that do: a group to intersect with. If it does, they are all but those of the values
//! that do not: a group to subtract.

use std::{
    collections::BTreeMap,
    iter,
    ops::{ControlFlow, Range},
};

use bytes::Bytes;
use model::{MatchOp, Matcher};

use super::{FILE, label_table::LabelTable, postings::Postings};
use crate::{
    error::{Error, Result},
    refs::SeriesRef,
};

/// Which postings to read for a selection, and how to combine them.
///
/// Made by [`crate::IndexHeader::select`]. Fetch [`PostingsPlan::ranges`], then
/// [`PostingsPlan::evaluate`].
#[derive(Clone, Debug)]
pub struct PostingsPlan {
    /// Series must be in each of these; the smallest first. None: nothing is selected.
    include: Vec<Group>,
    /// Series must be in none of these.
    exclude: Vec<Group>,
    /// Neighbouring lists of a group are read as one.
    ranges: Vec<Range<u64>>,
}

/// The union of some lists.
#[derive(Clone, Debug, Default)]
struct Group {
    lists: Vec<List>,
    /// In bytes.
    size: u64,
}

#[derive(Clone, Debug)]
struct List {
    /// Index of the range that holds it.
    range: usize,
    /// Where it is in the file.
    bytes: Range<u64>,
}

impl PostingsPlan {
    pub(super) fn new(table: &mut LabelTable<'_>, matchers: &[Matcher]) -> Result<Self> {
        let mut plan = Self {
            include: Vec::new(),
            exclude: Vec::new(),
            ranges: Vec::new(),
        };
        let mut conditions: BTreeMap<&[u8], Vec<&Matcher>> = BTreeMap::new();
        for matcher in matchers {
            conditions
                .entry(matcher.name.as_bytes())
                .or_default()
                .push(matcher);
        }
        for (name, condition) in conditions {
            if condition.iter().all(|matcher| matcher.matches_empty()) {
                let group = plan.group(subtracted(table, name, &condition)?);
                if !group.lists.is_empty() {
                    plan.exclude.push(group);
                }
            } else {
                let group = plan.group(selected(table, name, &condition)?);
                if group.lists.is_empty() {
                    return Ok(Self {
                        include: Vec::new(),
                        exclude: Vec::new(),
                        ranges: Vec::new(),
                    });
                }
                plan.include.push(group);
            }
        }
        if plan.include.is_empty() {
            let all = plan.group(these(table, b"", iter::once(&b""[..]))?);
            plan.include.push(all);
        }
        plan.include.sort_by_key(|group| group.size);
        Ok(plan)
    }

    /// Whether it is known without reading that no series is selected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.include.iter().all(|group| group.lists.is_empty())
    }

    /// What to fetch from the index.
    #[must_use]
    pub fn ranges(&self) -> Vec<Range<u64>> {
        self.ranges.clone()
    }

    /// How many bytes there are to fetch.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.ranges
            .iter()
            .map(|r| r.end.saturating_sub(r.start))
            .sum()
    }

    /// The series selected, ascending, from the bytes of [`PostingsPlan::ranges`] in their order.
    ///
    /// # Errors
    /// When the bytes are not those of the ranges, or are damaged.
    pub fn evaluate(&self, bytes: &[Bytes]) -> Result<Vec<SeriesRef>> {
        let Some((smallest, include)) = self.include.split_first() else {
            return Ok(Vec::new());
        };
        let mut series = self.union(smallest, bytes)?;
        let mut marks = Vec::new();
        let groups = include.iter().map(|group| (group, true));
        for (group, kept) in groups.chain(self.exclude.iter().map(|group| (group, false))) {
            if series.is_empty() {
                break;
            }
            marks.clear();
            marks.resize(series.len(), false);
            for list in &group.lists {
                self.postings(list, bytes)?.mark(&series, &mut marks);
            }
            let mut mark = marks.iter();
            series.retain(|_| mark.next() == Some(&kept));
        }
        Ok(series)
    }

    fn union(&self, group: &Group, bytes: &[Bytes]) -> Result<Vec<SeriesRef>> {
        let mut series = Vec::new();
        for list in &group.lists {
            let postings = self.postings(list, bytes)?;
            series.reserve(postings.len());
            series.extend(postings.iter());
        }
        // Ascending runs, which the stable sort merges.
        series.sort();
        series.dedup();
        Ok(series)
    }

    fn postings<'a>(&self, list: &List, bytes: &'a [Bytes]) -> Result<Postings<'a>> {
        let start = list.bytes.start;
        let found = self.ranges.get(list.range).and_then(|range| {
            let from = usize::try_from(start.checked_sub(range.start)?).ok()?;
            let to = usize::try_from(list.bytes.end.checked_sub(range.start)?).ok()?;
            bytes.get(list.range)?.get(from..to)
        });
        let missing = || {
            let expected = format!("the bytes up to {} of postings", list.bytes.end);
            Error::corrupt(FILE, start, expected, "fewer")
        };
        Postings::decode(found.ok_or_else(missing)?, start)
    }

    /// A group of the lists in `ranges`; neighbours among them are read as one.
    fn group(&mut self, mut ranges: Vec<Range<u64>>) -> Group {
        ranges.sort_unstable_by_key(|bytes| bytes.start);
        ranges.dedup();
        let mut group = Group::default();
        for bytes in ranges {
            match self.ranges.last_mut() {
                Some(last) if !group.lists.is_empty() && last.end == bytes.start => {
                    last.end = bytes.end;
                }
                _ => self.ranges.push(bytes.clone()),
            }
            group.size += bytes.end.saturating_sub(bytes.start);
            group.lists.push(List {
                range: self.ranges.len() - 1,
                bytes,
            });
        }
        group
    }
}

/// The postings of all values that meet a condition which the empty value does not meet.
fn selected(
    table: &mut LabelTable<'_>,
    name: &[u8],
    condition: &[&Matcher],
) -> Result<Vec<Range<u64>>> {
    let meets = |value: &[u8]| condition.iter().all(|matcher| matcher.matches(value));
    if let Some(set) = condition.iter().find_map(|matcher| matcher.set_matches()) {
        let values = set.iter().map(Vec::as_slice);
        return these(table, name, values.filter(|value| meets(value)));
    }
    let prefix = condition
        .iter()
        .filter_map(|matcher| matcher.prefix())
        .max_by_key(|prefix| prefix.len())
        .unwrap_or_default();
    of_values(table, name, prefix, meets)
}

/// The postings of all values that do not meet a condition which the empty value meets.
fn subtracted(
    table: &mut LabelTable<'_>,
    name: &[u8],
    condition: &[&Matcher],
) -> Result<Vec<Range<u64>>> {
    let fails = |value: &[u8]| !condition.iter().all(|matcher| matcher.matches(value));
    if condition.iter().all(|m| m.op == MatchOp::NotEqual) {
        let values = condition.iter().map(|matcher| matcher.value.as_slice());
        return these(table, name, values);
    }
    of_values(table, name, b"", fails)
}

/// The postings of those of `values` that there are.
fn these<'a>(
    table: &mut LabelTable<'_>,
    name: &[u8],
    values: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Range<u64>>> {
    let Some(name) = table.name(name)? else {
        return Ok(Vec::new());
    };
    let found = values.map(|value| table.postings(name, value));
    found.filter_map(Result::transpose).collect()
}

/// The postings of the values that begin with `prefix` and are wanted.
fn of_values(
    table: &mut LabelTable<'_>,
    name: &[u8],
    prefix: &[u8],
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    let Some(name) = table.name(name)? else {
        return Ok(ranges);
    };
    table.each_value(name, prefix, &mut |value, postings| {
        if value < prefix {
            return ControlFlow::Continue(());
        }
        if !value.starts_with(prefix) {
            return ControlFlow::Break(());
        }
        if wanted(value) {
            ranges.push(postings);
        }
        ControlFlow::Continue(())
    })?;
    Ok(ranges)
}
