//! Puts one block's series in the order of their final labels, keeping one metric in memory at a time.
//!
//! A block gives its series in the order of its own labels. Adding and removing labels changes that order only
//! among series whose labels up to and including `__name__` are the same, as long as those ascend: of two series
//! that differ there, that difference decides. So a metric's series are collected, sorted and given as soon as
//! another metric begins. Where labels before `__name__` do not ascend, everything is collected first; from a
//! series without a name on, everything that follows. What is given is checked to ascend: it would not if a series
//! of a TSDB block without a name lost all its labels, which a client is told.

use std::mem;

use model::{Labels, METRIC_NAME};

use super::{Finish, Series};
use crate::catalog::Format;

/// How series come out of a block, as far as this order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Their labels up to `__name__` ascend.
    ByMetric,
    /// In any order.
    Unordered,
}

/// Sorts the series of one block.
#[derive(Debug)]
pub(crate) struct MetricOrder {
    arrival: Arrival,
    /// Series whose labels are the same up to `__name__`; or everything, if that is what must be sorted.
    held: Vec<Series>,
    /// The labels of the last series that was given.
    given: Option<Labels>,
}

/// A series that should have come before others that were given already.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("series out of order: expected one after {after}, found {found}")]
pub(crate) struct OutOfOrder {
    /// The series before.
    pub(crate) after: Labels,
    /// The series that should have come before it.
    pub(crate) found: Labels,
}

impl Arrival {
    /// How the series of a block come whose own labels have `names`.
    ///
    /// Those of a TSDB block are in the order of all own labels, those of a Parquet block in the order of
    /// `__name__` first. So what comes before it matters: in the one case if it is not sent as it is stored, in
    /// the other if it is.
    pub(crate) fn of<'a>(
        format: Format,
        finish: &Finish,
        names: impl IntoIterator<Item = &'a [u8]>,
    ) -> Self {
        let mut before = names
            .into_iter()
            .filter(|name| *name < METRIC_NAME.as_bytes());
        let disturbs = match format {
            Format::Tsdb => before.any(|name| !finish.keeps(name)),
            Format::Parquet => before.any(|name| finish.keeps(name)),
        };
        // Without the name, what is left need not ascend.
        if disturbs || !finish.keeps(METRIC_NAME.as_bytes()) {
            Self::Unordered
        } else {
            Self::ByMetric
        }
    }
}

impl MetricOrder {
    pub(crate) const fn new(arrival: Arrival) -> Self {
        Self {
            arrival,
            held: Vec::new(),
            given: None,
        }
    }

    /// Takes the block's next series and gives those that no other can come before, in order.
    pub(crate) fn push(&mut self, batch: Vec<Series>) -> Result<Vec<Series>, OutOfOrder> {
        let mut ready = Vec::new();
        for series in batch {
            if self.arrival == Arrival::ByMetric {
                if series.labels.get(METRIC_NAME).is_none() {
                    self.arrival = Arrival::Unordered;
                } else if self.ends_metric(&series.labels) {
                    ready.append(&mut self.release()?);
                }
            }
            self.held.push(series);
        }
        Ok(ready)
    }

    /// What is left, in order.
    pub(crate) fn finish(mut self) -> Result<Vec<Series>, OutOfOrder> {
        self.release()
    }

    /// Whether a series with the labels `next` is of another metric than those that are held.
    fn ends_metric(&self, next: &Labels) -> bool {
        let last = self.held.last();
        last.is_some_and(|last| !metric(&last.labels).eq(metric(next)))
    }

    /// What is held, sorted.
    fn release(&mut self) -> Result<Vec<Series>, OutOfOrder> {
        let mut series = mem::take(&mut self.held);
        // Mostly in order already, which costs one comparison each. Those with equal labels keep their order.
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        if let (Some(after), Some(first)) = (&self.given, series.first())
            && first.labels < *after
        {
            return Err(OutOfOrder {
                after: after.clone(),
                found: first.labels.clone(),
            });
        }
        self.given = series.last().map(|last| last.labels.clone());
        Ok(series)
    }
}

/// The labels up to and including `__name__`.
fn metric(labels: &Labels) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = labels.iter();
    pairs.take_while(|(name, _)| *name <= METRIC_NAME.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn one(labels: &Labels) -> Series {
        Series {
            labels: labels.clone(),
            chunks: Vec::new(),
        }
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    fn finish(external: &Labels, without: &[&str]) -> Finish {
        Finish::new(external, &without.iter().map(|&n| n.into()).collect())
    }

    fn lines(series: &[Series]) -> Vec<String> {
        series.iter().map(|s| s.labels.to_string()).collect()
    }

    #[test]
    fn a_metric_is_given_sorted_as_soon_as_the_next_begins() {
        let mut order = MetricOrder::new(Arrival::ByMetric);
        let a = |rest: &[(&str, &str)]| one(&labels(&[&[("__name__", "a")], rest].concat()));
        // Own labels {}, {b="1"}; the external label goes between.
        let first = vec![a(&[("q", "x")]), a(&[("b", "1"), ("q", "x")])];
        assert_eq!(order.push(first).unwrap(), []);
        let next = vec![one(&labels(&[("__name__", "b"), ("q", "x")]))];
        assert_eq!(
            lines(&order.push(next).unwrap()),
            [
                r#"{__name__="a", b="1", q="x"}"#,
                r#"{__name__="a", q="x"}"#
            ]
        );
        assert_eq!(
            lines(&order.finish().unwrap()),
            [r#"{__name__="b", q="x"}"#]
        );
    }

    #[test]
    fn labels_before_the_name_matter_by_the_format_and_what_is_done_to_them() {
        let none = finish(&labels(&[]), &[]);
        let removing = finish(&labels(&[("cluster", "eu")]), &["Zone"]);
        let overriding = finish(&labels(&[("Zone", "1")]), &[]);
        let nameless = finish(&labels(&[]), &["__name__"]);
        let names = ["Zone", "__name__", "a"];
        for (format, finish, names, expected) in [
            (Format::Tsdb, &none, &names[..], Arrival::ByMetric),
            (Format::Parquet, &none, &names[..], Arrival::Unordered),
            (Format::Parquet, &none, &names[1..], Arrival::ByMetric),
            (Format::Tsdb, &removing, &names[..], Arrival::Unordered),
            (Format::Parquet, &removing, &names[..], Arrival::ByMetric),
            (Format::Tsdb, &overriding, &names[..], Arrival::Unordered),
            (Format::Parquet, &overriding, &names[..], Arrival::ByMetric),
            (Format::Tsdb, &overriding, &names[1..], Arrival::ByMetric),
            (Format::Tsdb, &nameless, &names[1..], Arrival::Unordered),
        ] {
            let arrival = Arrival::of(format, finish, names.iter().map(|n| n.as_bytes()));
            assert_eq!(arrival, expected, "{format:?} {finish:?} {names:?}");
        }
    }

    #[test]
    fn a_series_that_comes_too_late_is_an_error() {
        let mut order = MetricOrder::new(Arrival::ByMetric);
        let (a, b) = (labels(&[("__name__", "a")]), labels(&[("__name__", "b")]));
        assert_eq!(order.push(vec![one(&b), one(&a)]).unwrap(), [one(&b)]);
        assert_eq!(
            order.finish().unwrap_err().to_string(),
            r#"series out of order: expected one after {__name__="b"}, found {__name__="a"}"#
        );
        // All labels of a series that has no name were removed.
        let mut order = MetricOrder::new(Arrival::ByMetric);
        order
            .push(vec![one(&a), one(&b), one(&labels(&[]))])
            .unwrap();
        assert!(order.finish().is_err());
    }

    fn sort_as(all: &mut [Labels], format: Format) {
        all.sort();
        if format == Format::Parquet {
            all.sort_by_key(|l| l.get(METRIC_NAME).unwrap_or_default().to_owned());
        }
    }

    fn some_labels() -> impl Strategy<Value = Labels> {
        let rest = prop::sample::select(vec!["A", "Zone", "_a", "b", "q", "z"]);
        let pairs = prop::collection::vec((rest, "[123]"), 0..4);
        let name = prop::option::weighted(0.9, "[abc]");
        (pairs, name).prop_map(|(pairs, name)| {
            let pairs = pairs.into_iter().map(|(n, v)| (n.to_owned(), v));
            let name = name.map(|name| (METRIC_NAME.to_owned(), name));
            Labels::from_pairs(pairs.chain(name))
        })
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_a_sort_of_everything(
            own in prop::collection::btree_set(some_labels(), 0..40),
            external in some_labels(),
            without in prop::collection::btree_set("A|Zone|b|q|__name__".prop_map(String::into_bytes), 0..3),
            parquet: bool,
            batch in 1_usize..10,
        ) {
            let format = if parquet { Format::Parquet } else { Format::Tsdb };
            let finish = Finish::new(&external, &without);
            // Each series has its name or another label behind it left.
            let is_left = |l: &Labels| finish.apply(l.clone()).iter().any(|(n, _)| n >= METRIC_NAME.as_bytes());
            let mut own: Vec<_> = own.into_iter().filter(is_left).collect();
            sort_as(&mut own, format);
            let names: BTreeSet<_> = own.iter().flat_map(|l| l.iter().map(|(n, _)| n)).collect();
            let mut order = MetricOrder::new(Arrival::of(format, &finish, names));

            let sent: Vec<_> = own.iter().map(|l| one(&finish.apply(l.clone()))).collect();
            let mut got = Vec::new();
            for batch in sent.chunks(batch) {
                got.extend(order.push(batch.to_vec()).unwrap());
            }
            got.extend(order.finish().unwrap());
            let mut expected = sent;
            expected.sort_by(|a, b| a.labels.cmp(&b.labels));
            prop_assert_eq!(lines(&got), lines(&expected));
        }
    }
}
