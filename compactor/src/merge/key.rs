//! The place of a series in the output.

use model::SeriesOrder;

/// The place of a series in the output: by metric name (0 where it has none, else id + 1), then by
/// labels. Ids follow byte order, so keys compare as the strings would.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    name: u32,
    /// Global ids of names and values, in order of names.
    pub(crate) labels: Vec<(u32, u32)>,
}

/// Makes keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    order: SeriesOrder,
    /// The id of `__name__`, if any series has it.
    metric_name: Option<u32>,
    /// The id of the empty text, if there is one: as a value it means that there is no such label.
    empty: Option<u32>,
}

impl Keys {
    /// Keys of an order; `metric_name` is the id of `__name__`, `empty` that of the empty text.
    pub(crate) const fn new(
        order: SeriesOrder,
        metric_name: Option<u32>,
        empty: Option<u32>,
    ) -> Self {
        Self {
            order,
            metric_name,
            empty,
        }
    }

    /// The order.
    pub(crate) const fn order(self) -> SeriesOrder {
        self.order
    }

    /// The id of the metric's name and one more; 0 where there is none.
    pub(crate) fn metric(self, labels: &[(u32, u32)]) -> u32 {
        let is_name = |(name, _): &&(u32, u32)| Some(*name) == self.metric_name;
        let name = labels.iter().find(is_name);
        name.map_or(0, |(_, value)| value.saturating_add(1))
    }

    /// Makes `key` that of the labels it has, but for those whose value is empty.
    pub(crate) fn complete(self, key: &mut Key) {
        if self.empty.is_some() {
            key.labels.retain(|(_, value)| Some(*value) != self.empty);
        }
        key.name = match self.order {
            SeriesOrder::ByName => self.metric(&key.labels),
            SeriesOrder::ByLabels => 0,
        };
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
