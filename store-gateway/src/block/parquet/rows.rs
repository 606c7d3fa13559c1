//! Rows of a block: one by one, and in selections.

use parquet_block::{RowRanges, Selection};

/// A row, and where it comes in the order wanted. Those of one rank come as they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) rank: u32,
    /// The shard's place in the block.
    pub(super) shard: u32,
    pub(super) group: u32,
    pub(super) row: u32,
}

/// There are fewer shards, and fewer row groups in one, than this can count.
pub(super) fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// How many rows are selected.
pub(super) fn count(selection: &Selection) -> u64 {
    selection.iter().map(|(_, rows)| rows.len() as u64).sum()
}

/// Keeps the first `left` rows, and returns how many more there might have been.
pub(super) fn truncate(selection: &mut Selection, mut left: usize) -> usize {
    selection.retain_mut(|(_, rows)| {
        *rows = rows.split_at(left).0;
        left -= rows.len();
        !rows.is_empty()
    });
    left
}

/// The rows found in row groups, which ascend; those of one group may come in parts.
pub(super) fn joined(found: Vec<(usize, Vec<u32>)>) -> Selection {
    let groups = found.chunk_by(|a, b| a.0 == b.0);
    let joined = groups.filter_map(|parts| {
        let (group, _) = parts.first()?;
        let rows = parts.iter().flat_map(|(_, rows)| rows);
        let rows: RowRanges = rows.map(|row| *row..row.saturating_add(1)).collect();
        (!rows.is_empty()).then_some((*group, rows))
    });
    joined.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_are_kept() {
        let all = vec![(0, RowRanges::all(5)), (2, RowRanges::from(3..7))];
        for (limit, expected, left) in [(7, 7, 0), (5, 5, 0), (0, 0, 0), (100, 9, 91)] {
            let mut selection = all.clone();
            assert_eq!(truncate(&mut selection, limit), left);
            assert_eq!(count(&selection), expected);
            assert!(selection.iter().all(|(_, rows)| !rows.is_empty()));
        }
    }

    #[test]
    fn rows_found_in_parts_are_joined_group_by_group() {
        let found = vec![
            (0, vec![1, 2]),
            (0, vec![3, 7]),
            (1, vec![]),
            (4, vec![]),
            (4, vec![0]),
        ];
        let expected = [
            (0, RowRanges::from_iter([1..4, 7..8])),
            (4, RowRanges::from(0..1)),
        ];
        assert_eq!(joined(found), expected);
        assert!(joined(Vec::new()).is_empty());
    }
}
