//! Native histograms: observations counted in buckets, with integer or with fractional counts.

use std::sync::Arc;

/// Bits of the NaN that marks the end of a series, as a value or as a histogram's sum.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// The schema of a histogram with custom bounds.
pub const CUSTOM_BUCKETS: i32 = -53;

/// A native histogram at one time.
///
/// The lengths of the spans of a side add up to its number of counts, and only the first span may have a negative
/// offset. Debug output distinguishes all histograms, except for the bits of NaNs.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Whether a reset is known between the sample before and this one.
    pub reset: CounterReset,
    /// The resolution: bounds are powers of `2^(2^-schema)`, or for [`CUSTOM_BUCKETS`] as given.
    pub schema: i32,
    /// Greatest absolute value that counts as zero.
    pub zero_threshold: f64,
    /// Sum of the observations; a [stale marker](STALE_NAN) where the series ends.
    pub sum: f64,
    /// Which buckets of positive values have counts.
    pub positive_spans: Arc<[Span]>,
    /// Which buckets of negative values have counts.
    pub negative_spans: Arc<[Span]>,
    /// Upper bounds of custom buckets but the last, which has none.
    pub custom_bounds: Arc<[f64]>,
    /// The counts.
    pub counts: HistogramCounts,
}

/// Whether a counter reset before a histogram is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CounterReset {
    /// Unknown: the two have to be compared.
    #[default]
    Unknown,
    /// There was one.
    Reset,
    /// There was none.
    NotReset,
    /// The histogram is a gauge, which has no resets.
    Gauge,
}

/// Buckets that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Buckets left out since the span before; of the first span, the index of its first bucket.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// Counts of either kind.
#[derive(Clone, Debug, PartialEq)]
pub enum HistogramCounts {
    /// Observations that were counted one by one.
    Integer(Counts<u64>),
    /// Counts that were computed.
    Float(Counts<f64>),
}

/// How many observations there are, overall and by bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts<N> {
    /// All of them.
    pub count: N,
    /// Those in the zero bucket.
    pub zero: N,
    /// Those in each bucket of positive values; of that bucket alone, not cumulative.
    pub positive: Vec<N>,
    /// Those in each bucket of negative values.
    pub negative: Vec<N>,
}

impl Histogram {
    /// Whether this is not a measurement but the mark of the end of the series.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.sum.to_bits() == STALE_NAN
    }
}
