//! Counting and cutting selections of rows.

use parquet_block::Selection;

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

#[cfg(test)]
mod tests {
    use parquet_block::RowRanges;

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
}
