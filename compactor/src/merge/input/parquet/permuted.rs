//! The rows of a Parquet block in another order than they are stored in.
//!
//! A TSDB block has its series in the order of their labels; a Parquet block by metric name first. The two differ
//! where a label's name sorts before `__name__`, as upper-case ones do, and for series without a metric name. It is
//! rare, so it is done simply: all keys are kept in memory, and a cursor reads all its chunks before it gives
//! out its first series.

use std::ops::Range;

use bytes::Bytes;
use model::Ragged;
use tsdb::Chunk;

use super::{
    super::{
        super::{
            MergeError,
            key::{Key, Keys},
        },
        SAMPLE_STEP,
    },
    stored_rows::StoredRows,
};

/// The rows of a block in the order of the output.
#[derive(Debug)]
pub(super) struct Permutation {
    /// By place in the order of the output.
    rows: Vec<usize>,
    /// By row.
    labels: Ragged<(u32, u32)>,
    keys: Keys,
}

/// The chunks of the series that a cursor reads.
#[derive(Debug)]
pub(super) struct Gathered {
    start: usize,
    chunks: Vec<Vec<Chunk>>,
    /// The series that was asked for last.
    taken: (Option<usize>, Vec<Chunk>),
}

impl Permutation {
    /// Reads the labels of all rows.
    pub(super) fn of(input: &StoredRows) -> Result<Self, MergeError> {
        let mut sorted = Self {
            rows: (0..input.len()).collect(),
            labels: Ragged::with_capacity(input.len()),
            keys: input.keys,
        };
        let mut reader = input.reader(0..input.len());
        let mut key = Key::default();
        for row in 0..input.len() {
            reader.key(row, &mut key)?;
            sorted.labels.push(key.labels.iter().copied());
        }
        let mut rows = std::mem::take(&mut sorted.rows);
        // Without a metric name in front, keys compare as their labels.
        rows.sort_unstable_by(|a, b| sorted.labels_of(*a).cmp(sorted.labels_of(*b)));
        sorted.rows = rows;
        Ok(sorted)
    }

    fn labels_of(&self, row: usize) -> &[(u32, u32)] {
        self.labels.get(row).unwrap_or_default()
    }

    /// The key of the series at `place`.
    pub(super) fn key(&self, place: usize, key: &mut Key) {
        let row = self.rows.get(place).copied().unwrap_or(usize::MAX);
        self.keys.set(key, self.labels_of(row));
    }

    /// The keys of every [`SAMPLE_STEP`]th series.
    pub(super) fn sample(&self) -> Vec<Key> {
        let places = (0..self.rows.len()).step_by(SAMPLE_STEP);
        let key = |place| {
            let mut key = Key::default();
            self.key(place, &mut key);
            key
        };
        places.map(key).collect()
    }

    /// For each key, the first place whose key is not before it.
    pub(super) fn positions(&self, keys: &[Key]) -> Vec<usize> {
        let position = |key: &Key| {
            self.rows
                .partition_point(|row| self.labels_of(*row) < key.labels.as_slice())
        };
        keys.iter().map(position).collect()
    }

    /// Reads the chunks of the series at `places`, in the order in which they are stored.
    pub(super) fn gather(
        &self,
        input: &StoredRows,
        places: Range<usize>,
    ) -> Result<Gathered, MergeError> {
        let start = places.start;
        let rows = self.rows.get(places).unwrap_or_default();
        let mut chunks = vec![Vec::new(); rows.len()];
        let mut by_row: Vec<(usize, &mut Vec<Chunk>)> =
            rows.iter().copied().zip(&mut chunks).collect();
        by_row.sort_unstable_by_key(|(row, _)| *row);
        let mut reader = input.reader(0..input.len());
        for (row, chunks) in by_row {
            reader.chunks(row, |chunk| {
                // A copy, so that a page is not kept for one row of it.
                let data = Bytes::copy_from_slice(&chunk.data);
                chunks.push(Chunk { data, ..chunk });
            })?;
        }
        Ok(Gathered {
            start,
            chunks,
            taken: (None, Vec::new()),
        })
    }
}

impl Gathered {
    /// The chunks of the series at `place`, until another is asked for.
    pub(super) fn take(&mut self, place: usize) -> &[Chunk] {
        if self.taken.0 != Some(place) {
            let at = place.checked_sub(self.start);
            let chunks = at.and_then(|at| self.chunks.get_mut(at));
            self.taken = (Some(place), chunks.map(std::mem::take).unwrap_or_default());
        }
        &self.taken.1
    }
}
