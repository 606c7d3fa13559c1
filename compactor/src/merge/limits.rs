//! How the memory budget is spent.

use model::Resolution;

use super::{MergeOptions, input::Input, rows::Layout};

/// Bytes that are held of each series of each input, about: its reference, and its share of what is known of a block.
/// It is the same for blocks of both formats, as what is written does not depend on them.
const HELD: usize = 4;

/// What one merge takes at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Input series of one key range.
    pub(crate) range_series: usize,
    /// For all row groups of one place in the pipeline, whatever their output.
    row_groups: usize,
    /// The sum of all outputs' weights.
    weights: usize,
}

impl Limits {
    /// What is held of the inputs comes off the budget, up to half of it. Of the rest, a fifth is for a row
    /// group of each output, since the texts of labels are in the file once for each, and a thirty-second for the key
    /// ranges that are merged at once, of which as many are given to the outputs meanwhile. A row group keeps what the
    /// key ranges have made of it until it is written.
    pub(crate) fn of(
        options: &MergeOptions,
        inputs: &[Input],
        outputs: &[(Resolution, Layout)],
        threads: usize,
    ) -> Self {
        let series: usize = inputs.iter().map(Input::len).sum();
        let budget = usize::try_from(options.memory_budget).unwrap_or(usize::MAX);
        let budget = budget - series.saturating_mul(HELD).min(budget / 2);
        let bytes: u64 = inputs.iter().map(Input::chunk_bytes).sum();
        let columns: usize = outputs.iter().map(|(_, layout)| layout.columns()).sum();
        let per_series = usize::try_from(bytes).unwrap_or(usize::MAX) / series.max(1)
            + 64
            + columns * size_of::<usize>();
        Self {
            range_series: (budget / 32 / (threads * 2) / per_series).clamp(256, 32 << 10),
            row_groups: budget / 5,
            weights: outputs.iter().map(|(output, _)| weight(*output)).sum(),
        }
    }

    /// Bytes of a row group of this output. The coarser it is, the less it has to hold for as many rows.
    pub(crate) fn row_group_bytes(&self, output: Resolution) -> usize {
        self.row_groups / self.weights.max(1) * weight(output)
    }
}

/// Bytes of pages that the readers of one row group of an input may leave to one another. Those of two row groups are
/// there at most, where one ends and the next begins.
pub(crate) fn shared_pages(memory_budget: u64, inputs: usize) -> usize {
    usize::try_from(memory_budget).unwrap_or(usize::MAX) / 32 / inputs.max(1)
}

const fn weight(output: Resolution) -> usize {
    match output {
        Resolution::Raw => 4,
        Resolution::FiveMinutes => 2,
        Resolution::OneHour => 1,
    }
}

#[cfg(test)]
mod tests {
    use model::{TimeRange, Timestamp};
    use parquet_block::Slices;
    use tsdb::AGGREGATES;

    use super::*;

    const DAY: i64 = 24 * 3_600_000;
    const ALL: [Resolution; 3] = [
        Resolution::Raw,
        Resolution::FiveMinutes,
        Resolution::OneHour,
    ];

    fn layout(resolution: Resolution, length: i64) -> Layout {
        let range = TimeRange::new(0, length - 1);
        let duration = Slices::duration_at(resolution, range);
        let slices = Slices::new(Timestamp(0), Timestamp(length), duration);
        Layout::in_slices(resolution, slices)
    }

    #[test]
    fn an_output_has_so_many_columns_and_no_more_however_long_it_is() {
        let lengths = [
            1,
            DAY,
            14 * DAY,
            366 * DAY,
            3653 * DAY,
            3_653_000 * DAY,
            i64::MAX,
        ];
        for length in lengths {
            for (resolution, of_slice) in ALL.into_iter().zip([1, AGGREGATES, AGGREGATES]) {
                let columns = layout(resolution, length).columns();
                assert!(
                    columns <= 129 * of_slice,
                    "{resolution:?}, {length}: {columns}"
                );
            }
        }
    }

    #[test]
    fn the_longest_output_takes_no_more_than_its_part_of_the_budget() {
        let options = MergeOptions::default();
        let budget = usize::try_from(options.memory_budget).unwrap();
        for threads in [1, 2, 8] {
            for length in [DAY, 3653 * DAY, i64::MAX] {
                let outputs = ALL.map(|resolution| (resolution, layout(resolution, length)));
                let limits = Limits::of(&options, &[], &outputs, threads);
                let row_groups = ALL.map(|resolution| limits.row_group_bytes(resolution));
                assert!(
                    row_groups.iter().sum::<usize>() <= budget / 5,
                    "{row_groups:?}"
                );
                let columns: usize = outputs.iter().map(|(_, layout)| layout.columns()).sum();
                let ranges = limits.range_series * columns * size_of::<usize>() * threads * 2;
                assert!(
                    ranges <= budget / 4,
                    "{threads} threads, {length} ms: {ranges}"
                );
            }
        }
    }
}
