//! Parquet's hybrid of run lengths and bit packing; `decoder` draws it.

use crate::format::varint;

/// The least number of equal values that are stored as a run: packed values come in eights.
const MIN_RUN: usize = 8;

/// Appends `values` of `width` bits.
pub(crate) fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
    // The start of the values that are not written yet.
    let mut pending = 0usize;
    let mut at = 0;
    for same in values.chunk_by(PartialEq::eq) {
        // Packed values come in eights, so a run first fills the last eight before it.
        let fill = (at - pending).next_multiple_of(8) - (at - pending);
        if let Some(run) = same.len().checked_sub(fill).filter(|run| *run >= MIN_RUN) {
            put_packed(
                values.get(pending..at + fill).unwrap_or_default(),
                width,
                out,
            );
            put_run(same.first().copied().unwrap_or_default(), run, width, out);
            pending = at + same.len();
        }
        at += same.len();
    }
    put_packed(values.get(pending..).unwrap_or_default(), width, out);
}

/// Appends one value `count` times.
pub(crate) fn put_run(value: u32, count: usize, width: u8, out: &mut Vec<u8>) {
    varint::put(out, (count as u64) << 1);
    let bytes = value.to_le_bytes();
    out.extend(bytes.iter().take(usize::from(width).div_ceil(8)));
}

fn put_packed(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let eights = values.len().div_ceil(8);
    if eights > 0 {
        varint::put(out, (eights as u64) << 1 | 1);
        let end = out.len() + eights * usize::from(width);
        pack(values, width, out);
        out.resize(end, 0);
    }
}

/// Appends `values` of `width` bits, at most 32, the lowest bit first; the last byte is filled with zeroes.
pub(crate) fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let (mut word, mut bits) = (0u64, 0);
    for value in values {
        word |= u64::from(*value) << bits;
        bits += u32::from(width);
        if bits >= 32 {
            out.extend(word.to_le_bytes().iter().take(4));
            word >>= 32;
            bits -= 32;
        }
    }
    out.extend(word.to_le_bytes().iter().take(bits.div_ceil(8) as usize));
}

/// The bits that numbers below `count` take.
pub(crate) fn width_of(count: usize) -> u8 {
    let most = count.saturating_sub(1);
    (usize::BITS - most.leading_zeros()).to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::hybrid::decoder::Hybrid;

    fn encoded(values: &[u32], width: u8) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values, width, &mut out);
        out
    }

    #[test]
    fn runs_are_stored_as_such_and_the_rest_in_eights() {
        assert_eq!(encoded(&[1; 300], 1), [0xd8, 0x04, 0x01]);
        assert_eq!(encoded(&[0; 9], 0), [0x12]);
        assert_eq!(encoded(&[1, 2, 3], 2), [0x03, 0b11_1001, 0]);
        // Five of the thirteen fill the first eight.
        let values = [&[0, 1, 2][..], &[3; 13]].concat();
        assert_eq!(encoded(&values, 2), [0x03, 0b1110_0100, 0xff, 0x10, 0x03]);
        assert!(encoded(&[], 3).is_empty());
    }

    #[test]
    fn as_many_bits_are_taken_as_the_largest_number_has() {
        let widths = [0, 1, 2, 3, 256, 257].map(width_of);
        assert_eq!(widths, [0, 0, 1, 2, 8, 9]);
    }

    proptest! {
        #[test]
        fn values_are_read_back(
            width in 0..=32u8,
            runs in prop::collection::vec((any::<u32>(), prop_oneof![Just(1usize), 1..30usize]), 0..60),
        ) {
            let mask = u32::try_from((1u64 << width) - 1).unwrap();
            let values: Vec<u32> =
                runs.iter().flat_map(|(value, n)| vec![value & mask; *n]).collect();
            let bytes = encoded(&values, width);
            let mut read = Vec::new();
            Hybrid::new(&bytes, width).unwrap().read(values.len(), &mut read).unwrap();
            prop_assert_eq!(read, values);
        }
    }
}
