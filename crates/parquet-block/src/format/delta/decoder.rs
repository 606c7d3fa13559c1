//! Parquet's delta encodings of byte strings.
//!
//! ```text
//! DELTA_BINARY_PACKED       varint values per block, varint miniblocks per block, varint count,
//!                           zig-zag varint first value, block*
//! block                     zig-zag varint least delta, a byte of width for each miniblock,
//!                           miniblocks: deltas less the least one, bit-packed; those past the count are left out
//! DELTA_LENGTH_BYTE_ARRAY   lengths (DELTA_BINARY_PACKED), the strings one after the other
//! DELTA_BYTE_ARRAY          lengths of the prefix shared with the string before (DELTA_BINARY_PACKED),
//!                           the rest of each (DELTA_LENGTH_BYTE_ARRAY)
//! ```

use crate::format::{fault::Fault, hybrid::unpack};

/// Decodes `count` lengths from the front of `bytes`; also returns their number of bytes.
pub(crate) fn lengths(bytes: &[u8], count: usize) -> Result<(Vec<u32>, usize), Fault> {
    let mut reader = Reader { bytes, at: 0 };
    let block = reader.varint()?;
    let miniblocks = reader.varint()?;
    let stored = reader.varint()?;
    let first = reader.zigzag()?;
    if stored != count as u64 {
        return Err(reader.fault(format!("expected {count} lengths, found {stored}")));
    }
    let per_miniblock = match block.checked_div(miniblocks) {
        // Each width is a byte, so there cannot be more miniblocks than bytes.
        Some(n)
            if n > 0
                && n % 32 == 0
                && n * miniblocks == block
                && n <= 1 << 20
                && miniblocks <= bytes.len() as u64 =>
        {
            usize::try_from(n).unwrap_or(usize::MAX)
        }
        _ => {
            return Err(reader.fault(format!(
                "deltas: expected miniblocks of a multiple of 32 values, found blocks of {block} values in {miniblocks} miniblocks"
            )));
        }
    };
    let miniblocks = usize::try_from(miniblocks).unwrap_or(usize::MAX);

    let mut out = Vec::with_capacity(count);
    // Sums wrap at 32 bits, as the writer's differences did.
    let mut last = low_32(first);
    if count > 0 {
        out.push(last);
    }
    while out.len() < count {
        let least = low_32(reader.zigzag()?);
        let widths = reader.take(miniblocks)?;
        for &width in widths {
            let n = per_miniblock.min(count - out.len());
            if n == 0 {
                break;
            }
            if width > 32 {
                return Err(
                    reader.fault(format!("deltas: expected at most 32 bits, found {width}"))
                );
            }
            let packed = bytes.get(reader.at..).unwrap_or_default();
            reader.take(per_miniblock / 8 * usize::from(width))?;
            unpack(packed, u32::from(width), 0, n, |delta| {
                last = last.wrapping_add(least).wrapping_add(delta);
                out.push(last);
            });
        }
    }
    if let Some(bad) = out.iter().find(|len| **len > i32::MAX.unsigned_abs()) {
        return Err(reader.fault(format!(
            "length: expected 0 or more, found {}",
            bad.cast_signed()
        )));
    }
    Ok((out, reader.at))
}

fn low_32(value: i64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "lengths are 32-bit integers whose sums wrap"
    )]
    let low = value as u32;
    low
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::new(self.at, reason)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        let slice = self
            .at
            .checked_add(n)
            .and_then(|end| self.bytes.get(self.at..end));
        let Some(slice) = slice else {
            return Err(self.fault("lengths end early"));
        };
        self.at += n;
        Ok(slice)
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?.first().copied().unwrap_or_default();
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.fault("varint is longer than 10 bytes"))
    }

    fn zigzag(&mut self) -> Result<i64, Fault> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_specification_s_example_is_read() {
        // 1, 2, 3, 4, 5: deltas are all 1, so the least is 1 and the width 0.
        let bytes = [0x80, 0x01, 0x04, 0x05, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00];
        assert_eq!(lengths(&bytes, 5).unwrap(), (vec![1, 2, 3, 4, 5], 10));
    }

    #[test]
    fn miniblocks_past_the_count_are_left_out() {
        // 7, 5, 3, 1, 2, 3, 4, 5: least delta −2, width 2.
        let bytes = [
            0x80, 0x01, 0x04, 0x08, 0x0e, 0x03, 0x02, 0x00, 0x00, 0x00, 0xc0, 0x3f, 0, 0, 0, 0, 0,
            0, 0xaa,
        ];
        assert_eq!(
            lengths(&bytes, 8).unwrap(),
            (vec![7, 5, 3, 1, 2, 3, 4, 5], 18)
        );
    }

    #[test]
    fn negative_lengths_and_wrong_counts_are_refused() {
        let bytes = [0x80, 0x01, 0x04, 0x01, 0x01];
        assert!(
            lengths(&bytes, 1)
                .unwrap_err()
                .reason
                .contains("expected 0 or more, found -")
        );
        assert!(
            lengths(&bytes, 2)
                .unwrap_err()
                .reason
                .contains("expected 2 lengths, found 1")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), count in 0..300usize) {
            if let Ok((lengths, read)) = lengths(&bytes, count) {
                prop_assert_eq!(lengths.len(), count);
                prop_assert!(read <= bytes.len());
            }
        }

        #[test]
        fn no_deltas_make_it_panic(tail in prop::collection::vec(any::<u8>(), 0..60), count in 0..128u8) {
            let mut bytes = vec![0x80, 0x01, 0x04, count, 0x0e];
            bytes.extend(tail);
            if let Ok((lengths, _)) = lengths(&bytes, usize::from(count)) {
                prop_assert_eq!(lengths.len(), usize::from(count));
            }
        }
    }
}
