//! Messages that every StoreAPI makes alike.

use crate::thanos::{
    PartialResponseStrategy, Series, SeriesBatch, SeriesResponse, series_response::Result as Frame,
};

/// Whether a request takes an answer from which something is missing, if a warning says so.
#[must_use]
pub const fn allows_partial(disabled: bool, strategy: PartialResponseStrategy) -> bool {
    !disabled && matches!(strategy, PartialResponseStrategy::Warn)
}

/// Messages of `batch_size` series at most, as a request asks for with `response_batch_size`; where that is below 2, of
/// one series each, and no batches.
#[must_use]
pub fn series_messages(
    series: impl IntoIterator<Item = Series>,
    batch_size: i64,
) -> Vec<SeriesResponse> {
    let mut series = series.into_iter();
    let size = usize::try_from(batch_size).unwrap_or(1);
    if size < 2 {
        return series.map(|one| message(Frame::Series(one))).collect();
    }
    let batches = std::iter::from_fn(|| {
        let series: Vec<_> = series.by_ref().take(size).collect();
        (!series.is_empty()).then_some(series)
    });
    batches
        .map(|series| message(Frame::Batch(SeriesBatch { series })))
        .collect()
}

/// A message that says what is missing.
#[must_use]
pub const fn warning(text: String) -> SeriesResponse {
    message(Frame::Warning(text))
}

const fn message(result: Frame) -> SeriesResponse {
    SeriesResponse {
        result: Some(result),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_no_more_than_was_asked_for() {
        let sizes = |batch_size, count| -> Vec<Option<usize>> {
            let messages = series_messages(vec![Series::default(); count], batch_size);
            let size = |message: SeriesResponse| match message.result {
                Some(Frame::Batch(batch)) => Some(batch.series.len()),
                Some(Frame::Series(_)) => None,
                other => panic!("{other:?}"),
            };
            messages.into_iter().map(size).collect()
        };
        assert_eq!(sizes(2, 5), [Some(2), Some(2), Some(1)]);
        assert_eq!(sizes(64, 5), [Some(5)]);
        assert_eq!(sizes(1, 2), [None, None]);
        assert_eq!(sizes(-3, 2), [None, None]);
        assert_eq!(sizes(64, 0), []);
    }

    #[test]
    fn a_request_takes_a_partial_answer_unless_either_field_refuses_it() {
        use PartialResponseStrategy::{Abort, Warn};
        assert!(allows_partial(false, Warn));
        assert!(!allows_partial(true, Warn));
        assert!(!allows_partial(false, Abort));
        assert!(!allows_partial(true, Abort));
    }
}
