//! Finds the rows that matchers mean.
//!
//! Conditions are applied one after the other, the cheapest first, each to the rows that the ones before
//! have left. What a condition costs grows from step to step, and most rows do not come far:
//! 1. a label that no row has; the bounds of the column chunk, then of each page;
//! 2. the bloom filter, where few values are asked for and the dictionary is large;
//! 3. the dictionary: each distinct value is tested once;
//! 4. the ids in the pages that still hold rows.
//!
//! A row without the label (null) has the empty value, as Prometheus means it. Row groups are searched side
//! by side, so that what all of them need next is fetched at once.

mod constraint;
mod group;

use bytes::Bytes;
use model::Matcher;
use rayon::prelude::*;

use self::{
    constraint::Constraint,
    group::{Condition, GroupSearch},
};
use super::{
    lookup::{Lookup, ShardFile, Step, tasks_per_thread},
    shard::{Selection, Shard},
};
use crate::error::Error;

/// A search in progress. Its answer is the row groups with matching rows, and these rows.
#[derive(Debug)]
pub struct Search {
    shard: Shard,
    conditions: Vec<Condition>,
    groups: Vec<GroupSearch>,
}

impl Search {
    pub(crate) fn new(shard: Shard, matchers: &[Matcher]) -> Self {
        let mut conditions = Vec::new();
        let mut impossible = false;
        for constraint in Constraint::of(matchers) {
            match shard.label_column(constraint.name.as_bytes()) {
                Some(column) => conditions.push(Condition { constraint, column }),
                // No row has the label.
                None => impossible |= !constraint.matches_null,
            }
        }
        let footer = shard.labels_file();
        let size = |column: usize| -> u64 {
            let chunks = footer
                .row_groups()
                .iter()
                .filter_map(|g| g.columns.get(column));
            chunks
                .map(|chunk| chunk.pages.end - chunk.pages.start)
                .sum()
        };
        conditions.sort_by_cached_key(|c| (c.constraint.cost(), size(c.column)));
        let groups = if impossible { 0 } else { shard.row_groups() };
        let groups = (0..groups)
            .map(|group| GroupSearch::new(group, shard.rows(group)))
            .collect();
        Self {
            shard,
            conditions,
            groups,
        }
    }
}

impl Lookup for Search {
    type Answer = Selection;

    fn next(&mut self) -> Result<Step<Selection>, Error> {
        let (footer, conditions) = (self.shard.labels_file(), &self.conditions);
        let bytes = self.groups.iter().map(|group| group.supply.bytes()).sum();
        let per_thread = tasks_per_thread(self.groups.len(), bytes);
        self.groups
            .par_iter_mut()
            .with_min_len(per_thread)
            .try_for_each(|group| group.advance(footer, conditions))?;
        let mut ranges: Vec<_> = self
            .groups
            .iter()
            .flat_map(|group| group.supply.asked().iter().cloned())
            .collect();
        if !ranges.is_empty() {
            // Row groups follow one another in the file, and so do their ranges.
            ranges.sort_unstable_by_key(|range| range.start);
            return Ok(Step::Fetch {
                file: ShardFile::Labels,
                ranges,
            });
        }
        let groups = std::mem::take(&mut self.groups);
        Ok(Step::Done(
            groups
                .into_iter()
                .filter(|group| !group.alive.is_empty())
                .map(|group| (group.group, group.alive))
                .collect(),
        ))
    }

    fn supply(&mut self, bytes: Vec<Bytes>) -> Result<(), Error> {
        let mut bytes = bytes.into_iter();
        for group in &mut self.groups {
            group.supply.supply(&mut bytes)?;
        }
        Ok(())
    }
}
