//! Chunks of floats.
//!
//! ```text
//! be16     number of samples
//! varint   first time            8      first float, raw
//! uvarint  second time − first   …      second float, see `window`
//! then for each sample:
//!   0                            the time is as far from the last one as that from the one before
//!   10    i14                    how much farther, in the fewest bits
//!   110   i17
//!   1110  i20
//!   1111  i64
//!   …                            the float, see `window`
//! ```
//! All is a stream of bits, the highest of each byte first. The numbers of `n` bits go from
//! `1 − 2^(n−1)` to `2^(n−1)`: not quite two's complement.

use bytes::Bytes;

use super::{
    ChunkError,
    reader::{BitReader, PEEK},
    sample_count,
    varbit::{fits, sign},
    window::Window,
    writer::BitWriter,
};

/// Floats with their times in milliseconds; as many of the ones as of the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Floats {
    /// The times.
    pub timestamps: Vec<i64>,
    /// The floats.
    pub values: Vec<f64>,
}

const SAMPLE: &str = "a float and its time";

/// Reads the floats of a chunk into `out`, whose memory is used again.
///
/// # Errors
/// When the data is damaged; `out` then holds nothing of use.
pub fn decode_xor(data: &[u8], out: &mut Floats) -> Result<(), ChunkError> {
    out.timestamps.clear();
    out.values.clear();
    let count = usize::from(sample_count(data)?);
    // All samples but two take at least two bits, so the count cannot make us take more memory
    // than sixteen bytes for each two bits of the data.
    if count > data.len() * 4 {
        let found = format!("a count of {count} in {} bytes", data.len());
        return Err(ChunkError::corrupt(0, "a count of samples that fit", found));
    }
    out.timestamps.reserve(count);
    out.values.reserve(count);
    let mut input = BitReader::new(data, 2);
    let Some(left) = count.checked_sub(1) else {
        return Ok(());
    };
    let time = input.varint(SAMPLE)?;
    let bits = input.bits(64, SAMPLE)?;
    out.push(time, bits);
    let Some(left) = left.checked_sub(1) else {
        return Ok(());
    };
    let delta = input.uvarint(SAMPLE)?.cast_signed();
    let mut last = Last {
        time: time.wrapping_add(delta),
        delta,
        bits,
        window: Window::READ,
    };
    last.window.read(&mut input, &mut last.bits, SAMPLE)?;
    out.push(last.time, last.bits);
    last.read(&mut input, left, out)
}

/// Writes floats as a chunk. Times ascend.
///
/// # Panics
/// When there are more than 65,535, the most that a chunk can count.
#[must_use]
pub fn encode_xor(timestamps: &[i64], values: &[f64]) -> Bytes {
    let count = u16::try_from(timestamps.len().min(values.len()));
    assert!(count.is_ok(), "more than 65,535 samples in a chunk");
    let mut out = Vec::with_capacity(24 + timestamps.len() * 9);
    out.extend_from_slice(&count.unwrap_or(u16::MAX).to_be_bytes());
    let mut out = BitWriter::new(out);
    let mut samples = timestamps
        .iter()
        .zip(values)
        .map(|(t, v)| (*t, v.to_bits()));

    if let Some((mut time, mut bits)) = samples.next() {
        out.varint(time);
        out.bits(bits, 64);
        let mut delta = None;
        let mut window = Window::WRITE;
        for (next_time, next_bits) in samples {
            let next_delta = next_time.wrapping_sub(time);
            match delta {
                None => out.uvarint(next_delta.cast_unsigned()),
                Some(delta) => write_difference(&mut out, next_delta.wrapping_sub(delta)),
            }
            window.write(&mut out, bits, next_bits);
            (time, bits, delta) = (next_time, next_bits, Some(next_delta));
        }
    }
    out.finish().into()
}

/// The last sample read.
struct Last {
    time: i64,
    /// How far it is from the one before.
    delta: i64,
    bits: u64,
    window: Window,
}

impl Floats {
    #[inline]
    fn push(&mut self, time: i64, bits: u64) {
        self.timestamps.push(time);
        self.values.push(f64::from_bits(bits));
    }
}

impl Last {
    /// Reads `left` samples. What is read behind the end is noticed when all are read.
    fn read(
        mut self,
        input: &mut BitReader<'_>,
        left: usize,
        out: &mut Floats,
    ) -> Result<(), ChunkError> {
        let mut left = u32::try_from(left).unwrap_or(u32::MAX);
        while left > 0 {
            // Two zero bits are the same step in time and the same float once more.
            let run = (input.peek().leading_zeros().min(PEEK) / 2).min(left);
            if run > 0 {
                input.skip(2 * run);
                self.repeat(run, out);
                left -= run;
                if left == 0 {
                    break;
                }
            }
            self.read_one(input)?;
            out.push(self.time, self.bits);
            left -= 1;
        }
        input.check_end(SAMPLE)
    }

    #[inline]
    fn repeat(&mut self, times: u32, out: &mut Floats) {
        let (time, delta) = (self.time, self.delta);
        let after = |n: i64| time.wrapping_add(delta.wrapping_mul(n));
        let times = i64::from(times);
        out.timestamps.extend((0..times).map(|n| after(n + 1)));
        self.time = after(times);
        let value = f64::from_bits(self.bits);
        out.values.resize(out.timestamps.len(), value);
    }

    #[inline]
    fn read_one(&mut self, input: &mut BitReader<'_>) -> Result<(), ChunkError> {
        let mut word = input.peek();
        if word >> 63 == 0 {
            input.skip(1);
            word <<= 1;
        } else {
            let difference = match word.leading_ones() {
                1 => short_difference(&mut word, input, 2, 14),
                2 => short_difference(&mut word, input, 3, 17),
                3 => short_difference(&mut word, input, 4, 20),
                _ => {
                    input.skip(4);
                    let difference = input.unchecked_bits(64).cast_signed();
                    word = input.peek();
                    difference
                }
            };
            self.delta = self.delta.wrapping_add(difference);
        }
        self.time = self.time.wrapping_add(self.delta);

        // Of the bits that `word` is sure to have, a difference takes 24 at most, and this 13.
        if word >> 63 == 0 {
            input.skip(1);
            return Ok(());
        }
        let (window, header) = self.window.next(word);
        let trailing = window.trailing(input.at())?;
        self.window = window;
        input.skip(header);
        self.bits ^= input.unchecked_bits(window.significant) << trailing;
        Ok(())
    }
}

/// A number of `width` bits behind a header, taken off `word` and `input` with it.
#[inline]
fn short_difference(word: &mut u64, input: &mut BitReader<'_>, header: u32, width: u32) -> i64 {
    let raw = *word << header >> (64 - width);
    *word <<= header + width;
    input.skip(header + width);
    sign(raw, width)
}

fn write_difference(out: &mut BitWriter, difference: i64) {
    let bits = difference.cast_unsigned();
    if difference == 0 {
        out.bits(0, 1);
    } else if fits(difference, 14) {
        out.bits(0b10 << 14 | bits & 0x3fff, 16);
    } else if fits(difference, 17) {
        out.bits(0b110 << 17 | bits & 0x1_ffff, 20);
    } else if fits(difference, 20) {
        out.bits(0b1110 << 20 | bits & 0xf_ffff, 24);
    } else {
        out.bits(0b1111, 4);
        out.bits(bits, 64);
    }
}

#[cfg(test)]
mod tests;
