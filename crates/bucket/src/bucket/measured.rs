//! What is counted of an operation, and the span of a trace for it.

use std::{ops::Range, time::Instant};

use tracing::{Instrument as _, Span, field::Empty};

use super::Bucket;
use crate::{BucketError, Operation};

/// An operation, and on what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    operation: Operation,
    key: &'a str,
    range: Option<&'a Range<u64>>,
}

impl<'a> Asked<'a> {
    pub(super) const fn new(operation: Operation, key: &'a str) -> Self {
        Self {
            operation,
            key,
            range: None,
        }
    }

    /// The operation on a part of the object.
    pub(super) const fn of(self, range: &'a Range<u64>) -> Self {
        Self {
            range: Some(range),
            ..self
        }
    }

    /// Its span, under Thanos's name, if it is a part of something that has one.
    fn span(self, bucket: &str) -> Span {
        if Span::current().is_disabled() {
            return Span::none();
        }
        tracing::info_span!(
            target: "trace",
            "bucket",
            otel.name = self.operation.span(),
            otel.kind = "client",
            otel.status_code = Empty,
            otel.status_description = Empty,
            bucket,
            name = self.key,
            offset = self.range.map(|range| range.start),
            length = self.range.map(|range| range.end.saturating_sub(range.start)),
            bytes = Empty,
        )
    }
}

impl Bucket {
    /// Does `work`, counts it, and makes a span of it.
    pub(super) async fn measured<T>(
        &self,
        asked: Asked<'_>,
        work: impl Future<Output = Result<T, BucketError>> + Send,
    ) -> Result<T, BucketError> {
        let span = asked.span(self.name());
        let start = Instant::now();
        let done = work.instrument(span.clone()).await;
        // A missing object is not a failure of the bucket.
        let failure = done.as_ref().err();
        let failure = failure.filter(|error| !matches!(error, BucketError::NotFound { .. }));
        if let Some(metrics) = &self.metrics {
            metrics.observe(asked.operation, start.elapsed(), failure.is_some());
        }
        if let Some(error) = failure {
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", tracing::field::display(error));
        }
        done
    }

    /// As [`Self::measured`], for `work` that reads; the bytes, which `size` tells, are counted too.
    pub(super) async fn fetched<T: Send>(
        &self,
        asked: Asked<'_>,
        size: impl Fn(&T) -> u64 + Send + Sync,
        work: impl Future<Output = Result<T, BucketError>> + Send,
    ) -> Result<T, BucketError> {
        let read = async { work.await.inspect(|read| moved(size(read))) };
        let read = self.measured(asked, read).await;
        if let (Some(metrics), Ok(read)) = (&self.metrics, &read) {
            metrics.fetched(asked.operation, size(read));
        }
        read
    }

    /// Counts an upload of so many bytes.
    pub(super) fn uploaded(&self, size: u64) {
        if let Some(metrics) = &self.metrics {
            metrics.uploaded(size);
        }
    }
}

/// Records in the span of the running operation how many bytes it has read or written.
pub(super) fn moved(bytes: u64) {
    Span::current().record("bytes", bytes);
}
