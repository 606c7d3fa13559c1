//! How the memory budget is spent.

use model::Resolution;

use super::{MergeOptions, input::Input};

/// What one merge takes at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Input series of one span.
    pub(crate) span_series: usize,
    /// For all row groups of one place in the pipeline, whatever their output.
    row_groups: usize,
    /// The sum of all outputs' weights.
    weights: usize,
}

impl Limits {
    /// An eighth of the budget for a row group of each output (three exist at once: filling, being
    /// encoded, encoded), a sixteenth for the spans that are merged at once.
    pub(crate) fn of(
        options: &MergeOptions,
        inputs: &[Input],
        outputs: &[Resolution],
        threads: usize,
    ) -> Self {
        let budget = usize::try_from(options.memory_budget).unwrap_or(usize::MAX);
        let series: usize = inputs.iter().map(Input::len).sum();
        let bytes: u64 = inputs.iter().map(Input::chunk_bytes).sum();
        let per_series = usize::try_from(bytes).unwrap_or(usize::MAX) / series.max(1) + 64;
        Self {
            span_series: (budget / 16 / (threads * 2) / per_series).clamp(256, 32 << 10),
            row_groups: budget / 8,
            weights: outputs.iter().map(|output| weight(*output)).sum(),
        }
    }

    /// Bytes of a row group of this output. The coarser it is, the less it has to hold for as many rows.
    pub(crate) fn row_group_bytes(&self, output: Resolution) -> usize {
        self.row_groups / self.weights.max(1) * weight(output)
    }
}

const fn weight(output: Resolution) -> usize {
    match output {
        Resolution::Raw => 4,
        Resolution::FiveMinutes => 2,
        Resolution::OneHour => 1,
    }
}
