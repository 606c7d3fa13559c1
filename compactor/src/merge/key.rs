//! The place of a series in the output.

use crate::OutputFormat;

/// The place of a series in the output: by metric name (0 where it has none, else id + 1), then by
/// labels. Ids follow byte order, so keys compare as the strings would.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    name: u32,
    /// Global ids of names and values, in order of names.
    pub(crate) labels: Vec<(u32, u32)>,
}

/// What series are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// By metric name, then by labels: the rows of Parquet.
    ByName,
    /// By labels alone: the series of TSDB. It is another order only where a label's name sorts before
    /// `__name__`, or a series has no metric name.
    ByLabels,
}

/// Makes keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    /// The id of `__name__`, if series are ordered by its value first and any has it.
    by: Option<u32>,
}

impl Order {
    /// The order in which series are written.
    pub(crate) const fn of(format: OutputFormat) -> Self {
        match format {
            OutputFormat::Parquet => Self::ByName,
            OutputFormat::Tsdb => Self::ByLabels,
        }
    }
}

impl Keys {
    /// Keys of an order; `metric_name` is the id of `__name__`.
    pub(crate) fn new(order: Order, metric_name: Option<u32>) -> Self {
        Self {
            by: metric_name.filter(|_| order == Order::ByName),
        }
    }

    /// The metric name as a key has it.
    fn name(self, labels: &[(u32, u32)]) -> u32 {
        let name = labels.iter().find(|(name, _)| Some(*name) == self.by);
        name.map_or(0, |(_, value)| value + 1)
    }

    /// Makes `key` that of the labels it has.
    pub(crate) fn complete(self, key: &mut Key) {
        key.name = self.name(&key.labels);
    }

    /// Makes `key` that of these labels.
    pub(crate) fn set(self, key: &mut Key, labels: &[(u32, u32)]) {
        key.labels.clear();
        key.labels.extend_from_slice(labels);
        self.complete(key);
    }
}

impl Key {
    /// Makes this what `other` is, in memory that is used again.
    pub(crate) fn copy(&mut self, other: &Self) {
        self.name = other.name;
        self.labels.clone_from(&other.labels);
    }
}
