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

use std::{iter::Zip, slice::IterMut};

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
    out.timestamps.resize(count, 0);
    out.values.resize(count, 0.0);
    let mut out = Slots(out.timestamps.iter_mut().zip(&mut out.values));
    let mut input = BitReader::new(data, 2);
    if count == 0 {
        return Ok(());
    }
    let time = input.varint(SAMPLE)?;
    let bits = input.bits(64, SAMPLE)?;
    out.put(time, bits);
    if count == 1 {
        return Ok(());
    }
    let delta = input.uvarint(SAMPLE)?.cast_signed();
    let mut last = Last {
        time: time.wrapping_add(delta),
        delta,
        bits,
        window: Window::READ,
    };
    last.window.read(&mut input, &mut last.bits, SAMPLE)?;
    out.put(last.time, last.bits);
    last.read(&mut input, out)
}

/// Writes floats as a chunk. Times ascend.
///
/// # Panics
/// When there are more than 65,535, the most that a chunk can count.
#[must_use]
pub fn encode_xor(timestamps: &[i64], values: &[f64]) -> Bytes {
    let count = u16::try_from(timestamps.len().min(values.len()));
    assert!(count.is_ok(), "more than 65,535 samples in a chunk");
    let count = count.unwrap_or(u16::MAX);
    let mut out = BitWriter::new(count.to_be_bytes().to_vec());
    out.reserve(24 + usize::from(count) * 9);
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
    // Kept for long, and so without the room that was left.
    Bytes::copy_from_slice(&out.finish())
}

/// The last sample read.
struct Last {
    time: i64,
    /// How far it is from the one before.
    delta: i64,
    bits: u64,
    window: Window,
}

/// Where samples go.
struct Slots<'a>(Zip<IterMut<'a, i64>, IterMut<'a, f64>>);

impl Slots<'_> {
    #[inline]
    fn put(&mut self, time: i64, bits: u64) {
        if let Some((t, v)) = self.0.next() {
            (*t, *v) = (time, f64::from_bits(bits));
        }
    }
}

impl Last {
    /// Reads samples into all slots. What is read behind the end is noticed when all are read.
    fn read(mut self, input: &mut BitReader<'_>, mut out: Slots<'_>) -> Result<(), ChunkError> {
        while out.0.len() > 0 {
            let word = input.peek();
            // Two zero bits are the same step in time and the same float once more.
            let run = word.leading_zeros().min(PEEK) / 2;
            if run > 0 {
                self.repeat(run, input, &mut out);
            } else {
                self.read_one(word, input)?;
                out.put(self.time, self.bits);
            }
        }
        input.check_end(SAMPLE)
    }

    #[inline]
    fn repeat(&mut self, most: u32, input: &mut BitReader<'_>, out: &mut Slots<'_>) {
        let mut times = 0;
        let value = f64::from_bits(self.bits);
        for (t, v) in out.0.by_ref().take(most as usize) {
            self.time = self.time.wrapping_add(self.delta);
            (*t, *v) = (self.time, value);
            times += 1;
        }
        input.skip(2 * times);
    }

    #[inline]
    fn read_one(&mut self, mut word: u64, input: &mut BitReader<'_>) -> Result<(), ChunkError> {
        if word >> 63 == 0 {
            input.skip(1);
            word <<= 1;
        } else {
            self.delta = self.delta.wrapping_add(read_difference(word, input));
            word = input.peek();
        }
        self.time = self.time.wrapping_add(self.delta);
        if word >> 63 == 0 {
            input.skip(1);
            return Ok(());
        }
        let (window, header) = self.window.next(word);
        let trailing = window.trailing(input.at())?;
        self.window = window;
        let significant = window.significant;
        let xor = if header + significant < PEEK {
            input.skip(header + significant);
            word << header >> (64 - significant)
        } else {
            input.skip(header);
            input.unchecked_bits(significant)
        };
        self.bits ^= xor << trailing;
        Ok(())
    }
}

/// Reads how much farther a time is, which is not 0; `word` is what comes next.
#[inline]
fn read_difference(word: u64, input: &mut BitReader<'_>) -> i64 {
    let (header, width) = match word.leading_ones() {
        1 => (2, 14),
        2 => (3, 17),
        3 => (4, 20),
        _ => {
            input.skip(4);
            return input.unchecked_bits(64).cast_signed();
        }
    };
    input.skip(header + width);
    sign(word << header >> (64 - width), width)
}

fn write_difference(out: &mut BitWriter, difference: i64) {
    let bits = difference.cast_unsigned();
    if difference == 0 {
        out.zeros(1);
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
