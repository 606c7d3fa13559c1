//! Which histograms can be counted together.

use std::{ops::Range, sync::Arc};

use model::{CUSTOM_BUCKETS, CounterReset, Histogram};

/// What the histograms of a downsampled chunk have in common. Schemas and zero buckets may differ,
/// since they can be made the same.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    /// Whether they are gauges, whose buckets may go down.
    pub(super) is_gauge: bool,
    /// The bounds, where they are custom.
    bounds: Option<Arc<[f64]>>,
}

impl Scale {
    pub(super) fn of(histogram: &Histogram) -> Self {
        Self {
            is_gauge: histogram.reset == CounterReset::Gauge,
            bounds: (histogram.schema == CUSTOM_BUCKETS)
                .then(|| Arc::clone(&histogram.custom_bounds)),
        }
    }
}

/// Places that follow one another and have one scale. Where nothing is known of a place, it goes with
/// the one before.
pub(super) fn runs(scales: &[Option<Scale>]) -> Vec<(Range<usize>, Option<&Scale>)> {
    let mut runs: Vec<(Range<usize>, Option<&Scale>)> = Vec::new();
    for (place, scale) in scales.iter().enumerate() {
        let scale = scale.as_ref();
        match runs.last_mut() {
            Some((range, of)) if of.is_none() || scale.is_none() || *of == scale => {
                range.end = place + 1;
                *of = of.or(scale);
            }
            _ => runs.push((place..place + 1, scale)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(is_gauge: bool, bounds: Option<&[f64]>) -> Option<Scale> {
        let bounds = bounds.map(Into::into);
        Some(Scale { is_gauge, bounds })
    }

    #[test]
    fn a_run_ends_where_bounds_change_or_a_counter_becomes_a_gauge() {
        let (counter, gauge) = (scale(false, None), scale(true, None));
        let (one, two) = (scale(false, Some(&[1.0])), scale(false, Some(&[2.0])));
        let scales = [
            None,
            counter.clone(),
            None,
            counter,
            gauge,
            one.clone(),
            one,
            two,
        ];
        let ranges: Vec<_> = runs(&scales).into_iter().map(|(range, _)| range).collect();
        assert_eq!(ranges, [0..4, 4..5, 5..7, 7..8]);
    }
}
