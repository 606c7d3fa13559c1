//! The order of rows by labels that sort before `__name__`, by which rows are not stored.
//!
//! Such labels (upper-case ones) decide before the name does. Rows with the same values of them are stored in the
//! requested order, and all come before or after the rows with other values. So the order is that of the combinations
//! of these labels. Each combination is ranked once, and a row needs only its rank.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use model::{Labels, METRIC_NAME};
use parquet_block::{Projection, Selection};

use super::{
    BlockError, BlockQuery, ParquetBlock, RequestBudget,
    pending_rows::MOST_ROWS,
    rows::{self, Row, number},
};
use crate::{block::order::scaled, memory::HeldFor, usage::DataKind};

/// Bytes of distinct combinations that are compared.
const COMBINATIONS_BYTES: usize = scaled(2 << 20);

/// Batches of rows whose labels are read at once. They are small, as few labels sort before `__name__`.
const BATCHES_AT_ONCE: usize = 4;

/// The matching rows, in order if possible.
pub(super) enum RowsInOrder {
    /// All have the same labels before `__name__`: the rows of shards, in order.
    Same(Vec<(usize, Selection)>),
    /// The rows in order.
    Rows(Vec<Row>),
    /// Too many combinations to hold.
    TooMany,
}

/// Distinct sets of labels before `__name__`.
#[derive(Debug, Default)]
struct Combinations {
    ids: HashMap<Labels, u32>,
    bytes: usize,
}

impl ParquetBlock {
    /// The matching rows in the order of the labels `names`, all of which sort before `__name__`.
    pub(super) async fn rows_in_order(
        &self,
        names: &[Vec<u8>],
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
    ) -> Result<RowsInOrder, BlockError> {
        let selected = self.selected(query, budget).await?;
        let count = selected.iter().map(|(_, selection)| rows::count(selection));
        let mut found = Vec::with_capacity(usize::try_from(count.sum::<u64>()).unwrap_or_default());
        let mut combinations = Combinations::default();
        let mut hold = budget.hold(HeldFor::Order);
        let mut batches = Vec::new();
        for (place, selection) in &selected {
            for (group, rows) in selection {
                let mut rest = rows.clone();
                while !rest.is_empty() {
                    let (rows, others) = rest.split_at(MOST_ROWS);
                    rest = others;
                    batches.push((*place, *group, rows));
                }
            }
        }
        let read = batches.into_iter().map(|(place, group, rows)| async move {
            let labels = match self.shards.get(place) {
                Some(shard) => {
                    let only = Projection::Only(names.to_vec());
                    let lookup = shard.shard.labels(group, rows.clone(), only);
                    self.answer(shard, lookup, DataKind::Series, budget).await?
                }
                None => Vec::new(),
            };
            Ok::<_, BlockError>((number(place), number(group), rows, labels))
        });
        let mut read = stream::iter(read).buffered(BATCHES_AT_ONCE);
        while let Some((shard, group, rows, labels)) = read.try_next().await? {
            let identify = move || {
                for (row, labels) in rows.rows().zip(labels) {
                    found.push(Row {
                        rank: combinations.id(labels),
                        shard,
                        group,
                        row,
                    });
                    if combinations.bytes > COMBINATIONS_BYTES {
                        return (combinations, found, false);
                    }
                }
                (combinations, found, true)
            };
            let fit;
            (combinations, found, fit) = self.source.pool.run(identify).await;
            if !fit {
                return Ok(RowsInOrder::TooMany);
            }
            hold.set((combinations.bytes + size_of_val(found.as_slice())) as u64);
        }
        if combinations.ids.len() <= 1 {
            return Ok(RowsInOrder::Same(selected));
        }
        let sort = move || {
            let ranks = combinations.ranks();
            for row in &mut found {
                row.rank = ranks.get(row.rank as usize).copied().unwrap_or_default();
            }
            found.sort_unstable();
            found
        };
        Ok(RowsInOrder::Rows(self.source.pool.run(sort).await))
    }
}

impl Combinations {
    fn id(&mut self, labels: Labels) -> u32 {
        let next = number(self.ids.len());
        if let Some(id) = self.ids.get(&labels) {
            return *id;
        }
        self.bytes += labels.heap_size() + size_of::<(Labels, u32)>();
        self.ids.insert(labels, next);
        next
    }

    /// The rank of each combination, by its id.
    fn ranks(self) -> Vec<u32> {
        let mut sorted: Vec<(Labels, u32)> = self.ids.into_iter().collect();
        sorted.sort_unstable_by(|(a, _), (b, _)| before_name(a, b));
        let mut ranks = vec![0; sorted.len()];
        for (rank, (_, id)) in (0..).zip(sorted) {
            if let Some(slot) = ranks.get_mut(id as usize) {
                *slot = rank;
            }
        }
        ranks
    }
}

/// The order of series with these labels, followed by `__name__`.
fn before_name(a: &Labels, b: &Labels) -> Ordering {
    let name = (METRIC_NAME.as_bytes(), &b""[..]);
    let (a, b) = (a.iter().chain([name]), b.iter().chain([name]));
    a.cmp(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_ranked_as_series_with_a_name_behind_them_are() {
        let mut combinations = Combinations::default();
        let all = [
            &[][..],
            &[("Zone", "b")],
            &[("Cluster", "c"), ("Zone", "a")],
            &[("Cluster", "c")],
            &[("Zone", "a")],
        ]
        .map(|pairs| Labels::from_pairs(pairs.iter().copied()));
        for (id, labels) in (0..).zip(&all) {
            assert_eq!(combinations.id(labels.clone()), id);
        }
        assert_eq!(combinations.id(all[3].clone()), 3);
        let mut expected = all.clone();
        expected.sort_by_key(|labels| {
            let name = (METRIC_NAME.as_bytes(), &b"up"[..]);
            Labels::from_pairs(labels.iter().chain([name]))
        });
        let ranks = combinations.ranks();
        let ranked = (0..all.len()).map(|id| (ranks[id], all[id].clone()));
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        assert!(ranked.into_iter().map(|(_, labels)| labels).eq(expected));
    }
}
