//! Writing a chunk of floats.

use bytes::Bytes;

use super::super::{varbit::fits, window::Window, writer::BitWriter};
use crate::codec::{put_uvarint, put_varint};

/// Writes floats as a chunk. Times ascend.
///
/// # Panics
/// When there are more than 65,535, the most that a chunk can count.
#[must_use]
pub fn encode_xor(timestamps: &[i64], values: &[f64]) -> Bytes {
    let mut out = Vec::with_capacity(bytes_for(timestamps.len()) + 32);
    encode_xor_onto(timestamps, values, &mut out);
    // Kept for long, and so without the room that was left.
    Bytes::copy_from_slice(&out)
}

/// As [`encode_xor`], behind what is in `out`.
///
/// # Panics
/// When there are more than 65,535, the most that a chunk can count.
pub fn encode_xor_onto(timestamps: &[i64], values: &[f64], out: &mut Vec<u8>) {
    let count = u16::try_from(timestamps.len().min(values.len()));
    assert!(count.is_ok(), "more than 65,535 samples in a chunk");
    let count = count.unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    let count = usize::from(count);
    let times = timestamps.get(..count).unwrap_or_default();
    let values = values.get(..count).unwrap_or_default();
    let ([first, times @ ..], [first_value, values @ ..]) = (times, values) else {
        return;
    };
    put_varint(out, *first);
    out.extend_from_slice(&first_value.to_bits().to_be_bytes());
    let ([second, times @ ..], [second_value, values @ ..]) = (times, values) else {
        return;
    };
    let mut last = Last {
        time: *second,
        delta: second.wrapping_sub(*first),
        bits: first_value.to_bits(),
        window: Window::WRITE,
    };
    put_uvarint(out, last.delta.cast_unsigned());
    let mut out = BitWriter::new(out);
    out.reserve(bytes_for(count));
    last.write_float(&mut out, *second_value);

    let (mut times, mut values) = (times, values);
    // Downsampled times are steady but for the first of a counter, which is no window's, and the last.
    for _ in 0..2 {
        let steady = last.count_steady(times);
        if steady >= LONG {
            let (now, behind) = values.split_at(steady);
            out = last.write_steady(out, now);
            (times, values) = (times.split_at(steady).1, behind);
        } else {
            let len = times.len().min(steady + 1);
            let ((now, behind), (of_now, of_behind)) = (times.split_at(len), values.split_at(len));
            out = last.write(out, now, of_now);
            (times, values) = (behind, of_behind);
        }
    }
    last.write(out, times, values).finish();
}

/// Room for so many samples. Few need more, and for these it grows.
fn bytes_for(count: usize) -> usize {
    count * 9
}

/// Steady times that are worth a loop of their own.
const LONG: usize = 16;

/// The last sample written.
#[derive(Clone, Copy)]
struct Last {
    time: i64,
    /// How far it is from the one before.
    delta: i64,
    bits: u64,
    window: Window,
}

impl Last {
    /// How many times come each as much after the one before as the last did.
    fn count_steady(&self, times: &[i64]) -> usize {
        let mut time = self.time;
        let is_steady = |next: &&i64| {
            let step = next.wrapping_sub(time);
            time = **next;
            step == self.delta
        };
        times.iter().take_while(is_steady).count()
    }

    /// Writes floats whose times are steady, in a loop that needs nothing but registers.
    #[inline(never)]
    fn write_steady<'a>(&mut self, mut out: BitWriter<'a>, values: &[f64]) -> BitWriter<'a> {
        let mut last = *self;
        for value in values {
            last.time = last.time.wrapping_add(last.delta);
            out.zeros(1);
            last.write_float(&mut out, *value);
        }
        *self = last;
        out
    }

    /// Writes samples.
    #[inline(never)]
    fn write<'a>(
        &mut self,
        mut out: BitWriter<'a>,
        times: &[i64],
        values: &[f64],
    ) -> BitWriter<'a> {
        let mut last = *self;
        for (time, value) in times.iter().zip(values) {
            let delta = time.wrapping_sub(last.time);
            let difference = delta.wrapping_sub(last.delta);
            (last.time, last.delta) = (*time, delta);
            out = write_difference(out, difference);
            last.write_float(&mut out, *value);
        }
        *self = last;
        out
    }

    #[inline(always)]
    fn write_float(&mut self, out: &mut BitWriter<'_>, value: f64) {
        let bits = value.to_bits();
        self.window.write(out, self.bits, bits);
        self.bits = bits;
    }
}

/// Writes how much farther a time is.
#[inline(always)]
pub(super) fn write_difference(mut out: BitWriter<'_>, difference: i64) -> BitWriter<'_> {
    if difference == 0 {
        out.zeros(1);
    } else if fits(difference, 14) {
        out.bits(0b10 << 14 | difference.cast_unsigned() & 0x3fff, 16);
    } else {
        out = write_large(out, difference);
    }
    out
}

/// Writes how much farther a time is, which fourteen bits do not hold.
#[cold]
fn write_large(mut out: BitWriter<'_>, difference: i64) -> BitWriter<'_> {
    let bits = difference.cast_unsigned();
    if fits(difference, 17) {
        out.bits(0b110 << 17 | bits & 0x1_ffff, 20);
    } else if fits(difference, 20) {
        out.bits(0b1110 << 20 | bits & 0xf_ffff, 24);
    } else {
        out.bits(0b1111, 4);
        out.bits(bits, 64);
    }
    out
}
