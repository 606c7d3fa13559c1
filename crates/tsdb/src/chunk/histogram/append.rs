//! Whether a histogram may continue the chunk of the one before it: Prometheus's rules.

use std::sync::Arc;

use model::{CUSTOM_BUCKETS, CounterReset, Counts, Histogram, Span};

use super::{
    Header,
    layout::Layout,
    spans::{Union, align, unite},
    track::{NewChunk, Track},
};

/// An open chunk: its layout so far, and the last histogram.
pub(super) struct Open<T: Track> {
    pub(super) header: Header,
    pub(super) layout: Layout,
    last_is_stale: bool,
    /// Counts of the last histogram, for the buckets of the layout.
    last: Counts<T::Number>,
}

impl<T: Track> Open<T> {
    /// A chunk that starts with `first`.
    pub(super) fn new(header: Header, first: &Histogram) -> Self {
        let mut open = Self {
            header,
            layout: Layout::of(first),
            last_is_stale: false,
            last: Counts::default(),
        };
        open.set_last(first);
        open
    }

    /// Adds `next` and widens the layout for it, or returns the header with which it starts another chunk.
    pub(super) fn take(&mut self, next: &Histogram) -> Result<(), Header> {
        let gauge = next.reset == CounterReset::Gauge;
        let sides = if gauge {
            self.fits_gauge(next).ok_or(Header::Gauge)?
        } else {
            self.fits_counter(next).map_err(T::header)?
        };
        if let Some([positive, negative]) = sides {
            let more = positive.second_has_more || negative.second_has_more;
            if more {
                self.widen(next, gauge, positive, negative);
            }
        }
        self.set_last(next);
        Ok(())
    }

    /// The buckets that a gauge adds on either side; none for a stale one.
    fn fits_gauge(&self, next: &Histogram) -> Option<Option<[Union; 2]>> {
        if self.header != Header::Gauge {
            return None;
        }
        if next.is_stale() {
            return Some(None);
        }
        if self.last_is_stale || !self.same_scale(next) || !self.same_bounds(next) {
            return None;
        }
        self.unite(next, |_, _| false).map(Some)
    }

    /// The buckets that a counter adds on either side; none for a stale one.
    fn fits_counter(&self, next: &Histogram) -> Result<Option<[Union; 2]>, NewChunk> {
        if self.header == Header::Gauge {
            return Err(NewChunk::AfterGauge);
        }
        if next.reset == CounterReset::Reset {
            return Err(NewChunk::Reset);
        }
        if next.is_stale() {
            return Ok(None);
        }
        if self.last_is_stale {
            return Err(NewChunk::Unclear);
        }
        let Some(counts) = T::counts(&next.counts) else {
            return Err(NewChunk::Unclear);
        };
        if counts.count < self.last.count {
            return Err(NewChunk::Reset);
        }
        if !self.same_scale(next) {
            return Err(NewChunk::Unclear);
        }
        if !self.same_bounds(next) || counts.zero < self.last.zero {
            return Err(NewChunk::Reset);
        }
        let zero = T::Number::default();
        // A bucket that vanished is no reset if it was empty.
        let is_reset = |before: T::Number, after: Option<T::Number>| match after {
            Some(after) => before > after,
            None => before != zero,
        };
        self.unite(next, is_reset).map(Some).ok_or(NewChunk::Reset)
    }

    fn same_scale(&self, next: &Histogram) -> bool {
        next.schema == self.layout.schema && next.zero_threshold == self.layout.zero_threshold
    }

    fn same_bounds(&self, next: &Histogram) -> bool {
        next.schema != CUSTOM_BUCKETS || next.custom_bounds == self.layout.custom_bounds
    }

    /// The buckets of the chunk and of `next` together, positive and negative.
    fn unite(
        &self,
        next: &Histogram,
        refuse: impl Fn(T::Number, Option<T::Number>) -> bool,
    ) -> Option<[Union; 2]> {
        let counts = T::counts(&next.counts)?;
        let positive = unite(
            (&self.layout.positive, &self.last.positive),
            (&next.positive_spans, &counts.positive),
            &refuse,
        )?;
        let negative = unite(
            (&self.layout.negative, &self.last.negative),
            (&next.negative_spans, &counts.negative),
            &refuse,
        )?;
        Some([positive, negative])
    }

    /// Adds the buckets of `next`. Spans are cut as Prometheus cuts them: they are those of `next`, unless the chunk
    /// has buckets that `next` lacks.
    fn widen(&mut self, next: &Histogram, gauge: bool, positive: Union, negative: Union) {
        let any = positive.first_has_more || negative.first_has_more;
        let spans = |union: Union, own: &Arc<[Span]>| {
            if union.first_has_more || (gauge && any) {
                union.spans.into()
            } else {
                Arc::clone(own)
            }
        };
        self.layout.positive = spans(positive, &next.positive_spans);
        self.layout.negative = spans(negative, &next.negative_spans);
    }

    fn set_last(&mut self, next: &Histogram) {
        self.last_is_stale = next.is_stale();
        if self.last_is_stale {
            // Nothing is compared with it.
            return;
        }
        let Some(counts) = T::counts(&next.counts) else {
            return;
        };
        self.last.count = counts.count;
        self.last.zero = counts.zero;
        let last = &mut self.last;
        let (positive, negative) = (&self.layout.positive, &self.layout.negative);
        align(
            positive,
            &next.positive_spans,
            &counts.positive,
            &mut last.positive,
        );
        align(
            negative,
            &next.negative_spans,
            &counts.negative,
            &mut last.negative,
        );
    }
}
