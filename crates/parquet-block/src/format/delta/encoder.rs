//! Parquet's delta encodings of byte strings; `decoder` draws them.

use crate::format::{hybrid::pack, varint};

/// Values of a block, and of each of its four miniblocks, as all writers have them.
const BLOCK: usize = 128;
const MINIBLOCK: usize = 32;

/// Appends lengths, `DELTA_BINARY_PACKED`.
pub(crate) fn encode_lengths(lengths: &[u32], out: &mut Vec<u8>) {
    varint::put(out, BLOCK as u64);
    varint::put(out, (BLOCK / MINIBLOCK) as u64);
    varint::put(out, lengths.len() as u64);
    let first = lengths.first().copied().unwrap_or_default();
    varint::put_signed(out, first.into());
    let mut deltas = [0; BLOCK];
    let mut last = i64::from(first);
    for block in lengths.get(1..).unwrap_or_default().chunks(BLOCK) {
        for (delta, length) in deltas.iter_mut().zip(block) {
            *delta = i64::from(*length) - last;
            last = i64::from(*length);
        }
        encode_block(deltas.get(..block.len()).unwrap_or_default(), out);
    }
}

fn encode_block(deltas: &[i64], out: &mut Vec<u8>) {
    let least = deltas.iter().copied().min().unwrap_or_default();
    varint::put_signed(out, least);
    // Lengths are 31-bit integers, so differences of their differences are 32-bit ones.
    let above = |delta: &i64| u32::try_from(delta - least).unwrap_or(u32::MAX);
    let widths = out.len();
    out.resize(widths + BLOCK / MINIBLOCK, 0);
    for (i, miniblock) in deltas.chunks(MINIBLOCK).enumerate() {
        let mut packed = [0; MINIBLOCK];
        for (packed, delta) in packed.iter_mut().zip(miniblock) {
            *packed = above(delta);
        }
        let most = packed.iter().copied().max().unwrap_or_default();
        let width = (u32::BITS - most.leading_zeros()).to_le_bytes()[0];
        if let Some(place) = out.get_mut(widths + i) {
            *place = width;
        }
        pack(&packed, width, out);
    }
}

/// Appends byte strings, `DELTA_BYTE_ARRAY`.
pub(crate) fn encode_byte_arrays<'a>(values: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    let (mut shared, mut lengths, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    let mut last: &[u8] = &[];
    let length = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    for value in values {
        let same = value.iter().zip(last).take_while(|(a, b)| a == b).count();
        shared.push(length(same));
        lengths.push(length(value.len() - same));
        rest.extend_from_slice(value.get(same..).unwrap_or_default());
        last = value;
    }
    encode_lengths(&shared, out);
    encode_lengths(&lengths, out);
    out.extend_from_slice(&rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::delta;

    #[test]
    fn the_last_miniblocks_are_filled_up_or_left_out() {
        let mut out = Vec::new();
        encode_lengths(&[7, 5, 3, 1, 2, 3, 4, 5], &mut out);
        // The deltas are -2 -2 -2 1 1 1 1: 0 0 0 3 3 3 3 above the least.
        let head = [0x80, 0x01, 0x04, 0x08, 0x0e, 0x03, 0x02, 0x00, 0x00, 0x00];
        assert_eq!(out[..head.len()], head);
        assert_eq!(
            out[head.len()..],
            [0b1100_0000, 0b11_1111, 0, 0, 0, 0, 0, 0]
        );
    }

    proptest! {
        #[test]
        fn lengths_are_read_back(
            lengths in prop::collection::vec(
                prop_oneof![0..200u32, 0..=i32::MAX.unsigned_abs(), Just(77)], 0..400,
            ),
        ) {
            let mut out = Vec::new();
            encode_lengths(&lengths, &mut out);
            let len = out.len();
            out.extend([1, 2, 3]);
            prop_assert_eq!(delta::lengths(&out, lengths.len()).unwrap(), (lengths, len));
        }
    }
}
