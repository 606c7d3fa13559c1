//! What all histograms of a chunk share: the schema and the buckets.

use std::sync::Arc;

use model::{CUSTOM_BUCKETS, Histogram, Span};

use super::super::{
    ChunkError,
    reader::BitReader,
    varbit::{read_int, read_uint, write_int, write_uint},
    writer::BitWriter,
};

/// Schemas that Prometheus knows, or keeps for finer buckets in later versions.
const EXPONENTIAL: std::ops::RangeInclusive<i64> = -9..=52;
/// The greatest distance of a bucket from the one at 1, far beyond the range of floats.
const MAX_INDEX: i64 = 1 << 30;
/// Greatest custom bound that is written as an integer, × 1000.
const MAX_WHOLE: f64 = 33_554_430.0;

const LAYOUT: &str = "the layout of histograms";

/// The layout of a chunk.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive: Arc<[Span]>,
    pub(super) negative: Arc<[Span]>,
    pub(super) custom_bounds: Arc<[f64]>,
}

impl Layout {
    /// The layout that `first` gives its chunk.
    pub(super) fn of(first: &Histogram) -> Self {
        if first.is_stale() {
            return Self::empty();
        }
        Self {
            schema: first.schema,
            zero_threshold: first.zero_threshold,
            positive: Arc::clone(&first.positive_spans),
            negative: Arc::clone(&first.negative_spans),
            custom_bounds: Arc::clone(&first.custom_bounds),
        }
    }

    /// The layout of a histogram that marks the end of a series.
    pub(super) fn empty() -> Self {
        Self {
            schema: 0,
            zero_threshold: 0.0,
            positive: Arc::default(),
            negative: Arc::default(),
            custom_bounds: Arc::default(),
        }
    }

    pub(super) fn read(input: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        let zero_threshold = read_zero_threshold(input)?;
        let at = input.at();
        let schema = read_int(input, LAYOUT)?;
        let known = schema == i64::from(CUSTOM_BUCKETS) || EXPONENTIAL.contains(&schema);
        let schema = i32::try_from(schema)
            .ok()
            .filter(|_| known)
            .ok_or_else(|| ChunkError::corrupt(at, "a known schema", schema.to_string()))?;
        let positive = read_spans(input)?;
        let negative = read_spans(input)?;
        let custom_bounds = if schema == CUSTOM_BUCKETS {
            read_bounds(input)?
        } else {
            Arc::default()
        };
        Ok(Self {
            schema,
            zero_threshold,
            positive,
            negative,
            custom_bounds,
        })
    }

    pub(super) fn write(&self, out: &mut BitWriter<'_>) {
        write_zero_threshold(out, self.zero_threshold);
        write_int(out, self.schema.into());
        for spans in [&self.positive, &self.negative] {
            write_uint(out, spans.len() as u64);
            for span in spans.iter() {
                write_uint(out, span.length.into());
                write_int(out, span.offset.into());
            }
        }
        if self.schema == CUSTOM_BUCKETS {
            write_uint(out, self.custom_bounds.len() as u64);
            for bound in self.custom_bounds.iter() {
                write_bound(out, *bound);
            }
        }
    }
}

/// Spans whose buckets are in order and not too far off.
fn read_spans(input: &mut BitReader<'_>) -> Result<Arc<[Span]>, ChunkError> {
    let count = read_uint(input, LAYOUT)?;
    let mut spans = Vec::new();
    // The end of the span before.
    let mut end = 0_i64;
    for i in 0..count {
        let at = input.at();
        let length = read_uint(input, LAYOUT)?;
        let offset = read_int(input, LAYOUT)?;
        let span = u32::try_from(length).ok().zip(i32::try_from(offset).ok());
        end = end.saturating_add(offset).saturating_add_unsigned(length);
        let in_order = i == 0 || offset >= 0;
        match span {
            Some((length, offset)) if in_order && (-MAX_INDEX..=MAX_INDEX).contains(&end) => {
                spans.push(Span { offset, length });
            }
            _ => {
                let found = format!("{length} at offset {offset}");
                return Err(ChunkError::corrupt(at, "a span of buckets", found));
            }
        }
    }
    Ok(spans.into())
}

fn read_bounds(input: &mut BitReader<'_>) -> Result<Arc<[f64]>, ChunkError> {
    let count = read_uint(input, LAYOUT)?;
    let mut bounds = Vec::new();
    for _ in 0..count {
        bounds.push(match read_uint(input, LAYOUT)? {
            0 => f64::from_bits(input.bits(64, LAYOUT)?),
            #[expect(
                clippy::cast_precision_loss,
                reason = "what is written so has 25 bits at most"
            )]
            whole => (whole - 1) as f64 / 1000.0,
        });
    }
    Ok(bounds.into())
}

fn write_bound(out: &mut BitWriter<'_>, bound: f64) {
    let thousandths = bound * 1000.0;
    let rounded = thousandths.round();
    if !(0.0..=MAX_WHOLE).contains(&thousandths) || rounded / 1000.0 != bound {
        out.bits(0, 1);
        out.bits(bound.to_bits(), 64);
        return;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole, and between 0 and MAX_WHOLE"
    )]
    write_uint(out, rounded as u64 + 1);
}

fn read_zero_threshold(input: &mut BitReader<'_>) -> Result<f64, ChunkError> {
    Ok(match input.bits(8, LAYOUT)? {
        0 => 0.0,
        255 => f64::from_bits(input.bits(64, LAYOUT)?),
        // The power of two 2^(exponent − 244), from its bits.
        exponent => f64::from_bits((exponent + 1023 - 244) << 52),
    })
}

fn write_zero_threshold(out: &mut BitWriter<'_>, threshold: f64) {
    if threshold == 0.0 {
        out.bits(0, 8);
        return;
    }
    let bits = threshold.to_bits();
    let exponent = (bits >> 52).wrapping_sub(1023 - 244);
    let is_power_of_two = bits << 12 == 0;
    if is_power_of_two && (1..=254).contains(&exponent) {
        out.bits(exponent, 8);
    } else {
        out.bits(255, 8);
        out.bits(bits, 64);
    }
}
