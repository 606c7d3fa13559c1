//! Spans of the work of this process.

use std::fmt::Display;

use tracing::{Instrument as _, Span};

/// A span that is sent, if spans are: its name, and its attributes as for the macros of `tracing`.
///
/// Its attributes are not made if no spans are sent.
#[macro_export]
macro_rules! span {
    ($name:literal $(, $($attributes:tt)+)?) => {
        ::tracing::info_span!(
            target: "trace",
            $name,
            otel.status_code = ::tracing::field::Empty,
            otel.status_description = ::tracing::field::Empty,
            $($($attributes)+)?
        )
    };
}

/// Does `work` in a span, which fails with it.
///
/// # Errors
/// Those of `work`.
pub async fn in_span<T, E: Display>(
    span: Span,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let done = work.instrument(span.clone()).await;
    if let Err(error) = &done {
        fail_span(&span, error);
    }
    done
}

/// Marks a span as that of work that failed.
pub fn fail_span(span: &Span, error: &impl Display) {
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", tracing::field::display(error));
}
