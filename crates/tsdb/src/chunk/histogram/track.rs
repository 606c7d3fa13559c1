//! One number of a histogram, from sample to sample: the two kinds of counts.

use model::{Counts, HistogramCounts};

use super::super::{
    ChunkError, Encoding,
    reader::BitReader,
    varbit::{read_int, read_uint, write_int, write_uint},
    window::Window,
    writer::BitWriter,
};
use super::Header;

const COUNT: &str = "a count of a histogram";

/// The state of one number after a sample, for the decoder and the encoder.
pub(super) trait Track: Sized {
    type Number: Copy + Default + PartialOrd;

    const ENCODING: Encoding;
    /// The fewest bits that a bucket takes in the first sample.
    const MIN_BITS: usize;

    fn counts(counts: &HistogramCounts) -> Option<&Counts<Self::Number>>;
    fn wrap(counts: Counts<Self::Number>) -> HistogramCounts;

    /// The header of a chunk that starts with a counter after no chunk of its kind.
    fn header(why: NewChunk) -> Header;

    /// Reads the total count, or that of zeros, of the first sample.
    fn read_total(input: &mut BitReader<'_>) -> Result<Self, ChunkError>;
    /// Reads a bucket of the first sample.
    fn read_bucket(input: &mut BitReader<'_>) -> Result<Self, ChunkError>;
    /// Reads the number of the next sample.
    fn read_next(&mut self, input: &mut BitReader<'_>) -> Result<(), ChunkError>;
    /// The number; `before` is that of the bucket before, or zero.
    fn number(&self, before: Self::Number) -> Self::Number;

    /// Writes the total count, or that of zeros, of the first sample.
    fn write_total(number: Self::Number, out: &mut BitWriter<'_>) -> Self;
    /// Writes a bucket of the first sample; `before` is the bucket before, or zero.
    fn write_bucket(number: Self::Number, before: Self::Number, out: &mut BitWriter<'_>) -> Self;
    /// Writes the number of the next sample.
    fn write_next(&mut self, number: Self::Number, before: Self::Number, out: &mut BitWriter<'_>);
    /// Writes the total count of a sample that marks the end of the series.
    fn write_stale(&mut self, out: &mut BitWriter<'_>);
}

/// Why a counter cannot continue the chunk of the histogram before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewChunk {
    /// It was reset.
    Reset,
    /// It may have been reset: the layout changed, or the series had ended.
    Unclear,
    /// The chunk is of gauges.
    AfterGauge,
}

/// An integer count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Integer {
    /// The number; of a bucket its difference from the bucket before.
    value: i64,
    delta: i64,
}

/// A fractional count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fraction {
    bits: u64,
    window: Window,
}

impl Integer {
    fn new(value: i64) -> Self {
        Self { value, delta: 0 }
    }
}

impl Track for Integer {
    type Number = u64;

    const ENCODING: Encoding = Encoding::Histogram;
    const MIN_BITS: usize = 1;

    fn counts(counts: &HistogramCounts) -> Option<&Counts<u64>> {
        match counts {
            HistogramCounts::Integer(counts) => Some(counts),
            HistogramCounts::Float(_) => None,
        }
    }

    fn wrap(counts: Counts<u64>) -> HistogramCounts {
        HistogramCounts::Integer(counts)
    }

    fn header(why: NewChunk) -> Header {
        match why {
            NewChunk::Reset => Header::Reset,
            NewChunk::Unclear => Header::Unknown,
            NewChunk::AfterGauge => Header::NotReset,
        }
    }

    fn read_total(input: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        Ok(Self::new(read_uint(input, COUNT)?.cast_signed()))
    }

    fn read_bucket(input: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        Ok(Self::new(read_int(input, COUNT)?))
    }

    #[inline]
    fn read_next(&mut self, input: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.delta = self.delta.wrapping_add(read_int(input, COUNT)?);
        self.value = self.value.wrapping_add(self.delta);
        Ok(())
    }

    #[inline]
    fn number(&self, before: u64) -> u64 {
        before.wrapping_add_signed(self.value)
    }

    fn write_total(number: u64, out: &mut BitWriter<'_>) -> Self {
        write_uint(out, number);
        Self::new(number.cast_signed())
    }

    fn write_bucket(number: u64, before: u64, out: &mut BitWriter<'_>) -> Self {
        let value = number.wrapping_sub(before).cast_signed();
        write_int(out, value);
        Self::new(value)
    }

    #[inline]
    fn write_next(&mut self, number: u64, before: u64, out: &mut BitWriter<'_>) {
        let value = number.wrapping_sub(before).cast_signed();
        let delta = value.wrapping_sub(self.value);
        write_int(out, delta.wrapping_sub(self.delta));
        *self = Self { value, delta };
    }

    fn write_stale(&mut self, out: &mut BitWriter<'_>) {
        write_int(out, 0);
    }
}

impl Track for Fraction {
    type Number = f64;

    const ENCODING: Encoding = Encoding::FloatHistogram;
    const MIN_BITS: usize = 64;

    fn counts(counts: &HistogramCounts) -> Option<&Counts<f64>> {
        match counts {
            HistogramCounts::Float(counts) => Some(counts),
            HistogramCounts::Integer(_) => None,
        }
    }

    fn wrap(counts: Counts<f64>) -> HistogramCounts {
        HistogramCounts::Float(counts)
    }

    fn header(why: NewChunk) -> Header {
        match why {
            NewChunk::Reset => Header::Reset,
            NewChunk::Unclear | NewChunk::AfterGauge => Header::Unknown,
        }
    }

    fn read_total(input: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        Ok(Self {
            bits: input.bits(64, COUNT)?,
            window: Window::READ,
        })
    }

    fn read_bucket(input: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        Self::read_total(input)
    }

    #[inline]
    fn read_next(&mut self, input: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.window.read(input, &mut self.bits, COUNT)
    }

    #[inline]
    fn number(&self, _: f64) -> f64 {
        f64::from_bits(self.bits)
    }

    fn write_total(number: f64, out: &mut BitWriter<'_>) -> Self {
        out.bits(number.to_bits(), 64);
        Self {
            bits: number.to_bits(),
            window: Window::WRITE,
        }
    }

    fn write_bucket(number: f64, _: f64, out: &mut BitWriter<'_>) -> Self {
        Self::write_total(number, out)
    }

    #[inline]
    fn write_next(&mut self, number: f64, _: f64, out: &mut BitWriter<'_>) {
        self.window.write(out, self.bits, number.to_bits());
        self.bits = number.to_bits();
    }

    fn write_stale(&mut self, out: &mut BitWriter<'_>) {
        self.write_next(0.0, 0.0, out);
    }
}
