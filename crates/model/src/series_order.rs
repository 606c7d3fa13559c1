//! The two orders in which the series of a block are stored.

use std::cmp::Ordering;

use crate::{Labels, METRIC_NAME};

/// The order in which the series of a block are stored.
///
/// The two orders differ only if a label's name sorts before `__name__`, or a series has no metric name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesOrder {
    /// By metric name, those without one first, then by labels: the rows of Parquet.
    ByName,
    /// By labels alone: the series of TSDB.
    ByLabels,
}

impl SeriesOrder {
    /// Compares two series.
    #[must_use]
    pub fn compare(self, a: &Labels, b: &Labels) -> Ordering {
        match self {
            Self::ByName => metric(a).cmp(metric(b)).then_with(|| a.cmp(b)),
            Self::ByLabels => a.cmp(b),
        }
    }
}

fn metric(labels: &Labels) -> &[u8] {
    labels.get(METRIC_NAME).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_orders_differ_where_a_label_sorts_before_the_metric_name() {
        let [upper, plain, unnamed] = [
            Labels::from_pairs([("A", "1"), ("__name__", "b")]),
            Labels::from_pairs([("__name__", "a"), ("z", "1")]),
            Labels::from_pairs([("z", "1")]),
        ];
        let sorted = |order: SeriesOrder| {
            let mut series = [&plain, &unnamed, &upper];
            series.sort_by(|a, b| order.compare(a, b));
            series
        };
        assert_eq!(sorted(SeriesOrder::ByName), [&unnamed, &plain, &upper]);
        assert_eq!(sorted(SeriesOrder::ByLabels), [&upper, &plain, &unnamed]);
    }
}
