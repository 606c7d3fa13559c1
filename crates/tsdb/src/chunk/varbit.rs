//! Integers in as few bits as their size needs: as many ones as say how many, a zero, the integer.
//!
//! ```text
//! 0                    0
//! 10        3 bits     111110     18 bits
//! 110       6 bits     1111110    25 bits
//! 1110      9 bits     11111110   56 bits
//! 11110    12 bits     11111111   64 bits
//! ```
//! A signed integer of `n` bits goes from `1 − 2^(n−1)` to `2^(n−1)`.

use super::{ChunkError, reader::BitReader, writer::BitWriter};

/// Bits of the integer behind so many ones; behind the last no zero comes.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Whether `value` can be written in `width` bits.
#[inline]
pub(super) fn fits(value: i64, width: u32) -> bool {
    let half = 1_i64 << (width - 1);
    1 - half <= value && value <= half
}

/// The integer that was written as `raw` in `width` bits.
#[inline]
pub(super) fn sign(raw: u64, width: u32) -> i64 {
    // The high bit alone is a positive number here.
    let half = 1_u64.checked_shl(width.saturating_sub(1)).unwrap_or(0);
    let negative = width > 0 && width < 64 && raw > half;
    raw.wrapping_sub(if negative { half << 1 } else { 0 })
        .cast_signed()
}

/// Reads a signed integer.
#[inline]
pub(super) fn read_int(input: &mut BitReader<'_>, what: &'static str) -> Result<i64, ChunkError> {
    let (raw, width) = read(input, what)?;
    Ok(sign(raw, width))
}

/// Reads an integer without sign.
#[inline]
pub(super) fn read_uint(input: &mut BitReader<'_>, what: &'static str) -> Result<u64, ChunkError> {
    read(input, what).map(|(raw, _)| raw)
}

#[inline]
fn read(input: &mut BitReader<'_>, what: &'static str) -> Result<(u64, u32), ChunkError> {
    let word = input.peek();
    if word >> 63 == 0 {
        input.skip(1);
        input.check_end(what)?;
        return Ok((0, 0));
    }
    let ones = word.leading_ones().min(8);
    input.skip((ones + 1).min(8));
    let width = WIDTHS.get(ones as usize).copied().unwrap_or(64);
    Ok((input.bits(width, what)?, width))
}

/// Writes a signed integer.
#[inline]
pub(super) fn write_int(out: &mut BitWriter<'_>, value: i64) {
    let fits = |width: u32| match width {
        0 => value == 0,
        64 => true,
        width => fits(value, width),
    };
    write(out, fits, value.cast_unsigned());
}

/// Writes an integer without sign.
#[inline]
pub(super) fn write_uint(out: &mut BitWriter<'_>, value: u64) {
    let needed = 64 - value.leading_zeros();
    write(out, |width| needed <= width, value);
}

#[inline]
fn write(out: &mut BitWriter<'_>, fits: impl Fn(u32) -> bool, value: u64) {
    for (ones, width) in (0..).zip(WIDTHS) {
        if fits(width) {
            if width == 0 {
                out.zeros(1);
                return;
            }
            let header: u64 = (1 << ones) - 1;
            let header = if ones < 8 {
                (header << 1, ones + 1)
            } else {
                (header, ones)
            };
            let low = value & u64::MAX.unbounded_shr(64 - width);
            out.bits_behind(header, low, width);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Integers of every width.
    fn integer() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64_u32).prop_map(|(bits, zeros)| bits >> zeros)
    }

    proptest! {
        #[test]
        fn integers_are_read_back_wherever_they_start(
            integers in prop::collection::vec(integer(), 1..40), offset in 0..8_u32,
        ) {
            let mut bytes = Vec::new();
            let mut out = BitWriter::new(&mut bytes);
            out.bits(0, offset);
            for integer in &integers {
                write_uint(&mut out, *integer);
                write_int(&mut out, integer.cast_signed());
                write_int(&mut out, -(integer >> 1).cast_signed());
            }
            out.finish();
            let mut input = BitReader::new(&bytes, 0);
            input.skip(offset);
            for integer in integers {
                prop_assert_eq!(read_uint(&mut input, ""), Ok(integer));
                prop_assert_eq!(read_int(&mut input, ""), Ok(integer.cast_signed()));
                prop_assert_eq!(read_int(&mut input, ""), Ok(-(integer >> 1).cast_signed()));
            }
            prop_assert!(input.left() < 8);
        }
    }

    #[test]
    fn an_integer_takes_the_least_width_that_holds_it() {
        let length = |value: i64| {
            let mut bytes = Vec::new();
            let mut out = BitWriter::new(&mut bytes);
            write_int(&mut out, value);
            // A one behind it tells where it ends.
            out.bits(1, 1);
            out.finish();
            let zeros = bytes.last().unwrap().trailing_zeros() as usize;
            bytes.len() * 8 - zeros - 1
        };
        for (most, bits) in [(4, 5), (32, 9), (256, 13), (2048, 17), (131_072, 24)] {
            assert_eq!(length(most), bits);
            assert_eq!(length(1 - most), bits);
            assert!(length(most + 1) > bits && length(-most) > bits);
        }
        assert_eq!((length(0), length(1 << 24), length(1 << 55)), (1, 32, 64));
        assert_eq!(length(i64::MIN), 72);
    }
}
