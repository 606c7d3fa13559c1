//! The key space cut into ranges of about equal work.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    MergeError,
    column_sets::ColumnSet,
    input::{Input, SAMPLE_STEP},
    key::Key,
};

/// For each input, those of its series whose keys lie in a range.
#[derive(Debug)]
pub(crate) struct KeyRange {
    series: Vec<Range<usize>>,
    /// The column set that all of it belongs to.
    pub(crate) column_set: usize,
}

impl KeyRange {
    /// The series of each input.
    pub(crate) fn series(&self) -> &[Range<usize>] {
        &self.series
    }

    /// How many input series there are.
    pub(crate) fn len(&self) -> usize {
        self.series.iter().map(Range::len).sum()
    }
}

/// Cuts the key space so that a range holds about `series` series, all inputs counted, and none crosses from one
/// column set to the next.
///
/// # Errors
/// When an index cannot be read.
pub(crate) fn cut(
    inputs: &[Input],
    series: usize,
    column_sets: &[ColumnSet],
) -> Result<Vec<KeyRange>, MergeError> {
    let samples = inputs.par_iter().map(Input::sample);
    let samples: Vec<Vec<Key>> = samples.collect::<Result<_, _>>()?;
    let mut sorted: Vec<&Key> = samples.iter().flatten().collect();
    sorted.sort_unstable();
    let step = (series / SAMPLE_STEP).max(1);
    let cuts = sorted.into_iter().step_by(step).skip(1);
    let mut cuts: Vec<Key> = cuts.cloned().collect();
    cuts.extend(
        column_sets
            .iter()
            .filter_map(|column_set| column_set.start.clone()),
    );
    cuts.sort_unstable();
    cuts.dedup();

    let positions = inputs
        .par_iter()
        .zip(&samples)
        .map(|(input, samples)| input.positions(&cuts, samples));
    let positions: Vec<Vec<usize>> = positions.collect::<Result<_, _>>()?;
    let mut starts = vec![0; inputs.len()];
    let mut key_ranges = Vec::with_capacity(cuts.len() + 1);
    let mut column_set = 0;
    for cut in 0..=cuts.len() {
        let mut series = Vec::with_capacity(inputs.len());
        for ((input, positions), start) in inputs.iter().zip(&positions).zip(&mut starts) {
            let end = positions.get(cut).copied().unwrap_or(input.len());
            series.push(*start..end);
            *start = end;
        }
        let key_range = KeyRange { series, column_set };
        if key_range.len() > 0 {
            key_ranges.push(key_range);
        }
        let next = column_sets
            .get(column_set + 1)
            .and_then(|column_set| column_set.start.as_ref());
        if next.is_some() && next == cuts.get(cut) {
            column_set += 1;
        }
    }
    Ok(key_ranges)
}
