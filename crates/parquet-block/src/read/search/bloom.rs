//! Bloom filters: whether a column chunk may hold a value.
//!
//! ```text
//! BloomFilterHeader  thrift: 1: i32 size of the bits, 2: algorithm { 1: split blocks }, 3: hash { 1: XXH64 },
//!                    4: compression { 1: none }
//! block*             8 words of 32 bits, little-endian
//! ```
//! A value's hash is its XXH64 with seed 0. Its upper half chooses a block, its lower half a bit in each of
//! the block's words; the value may be there if all eight are set.

use xxhash_rust::xxh64::xxh64;

use super::super::{
    fault::Fault,
    thrift::{Kind, Thrift},
};

/// One factor a word, as the Parquet format gives them.
pub(crate) const SALT: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

pub(crate) const BLOCK_SIZE: usize = 32;

/// A filter of one column chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BloomFilter<'a> {
    /// None if the filter is of a kind that is not known, and tells nothing.
    blocks: Option<&'a [u8]>,
}

impl<'a> BloomFilter<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut thrift = Thrift::new(bytes);
        let (mut size, mut known) = (0, 0);
        thrift.fields(|t, id, kind| {
            match (id, kind) {
                (1, Kind::I32) => size = t.size()?,
                (2..=4, Kind::Struct) => known += usize::from(is_first(t)?),
                _ => t.skip(kind)?,
            }
            Ok(())
        })?;
        let start = thrift.position();
        let blocks = start
            .checked_add(size)
            .and_then(|end| bytes.get(start..end))
            .filter(|blocks| !blocks.is_empty() && blocks.len() % BLOCK_SIZE == 0)
            .ok_or_else(|| {
                Fault::new(
                    start,
                    format!("bloom filter of {size} in {} bytes", bytes.len()),
                )
            })?;
        Ok(Self {
            blocks: (known == 3).then_some(blocks),
        })
    }

    /// Whether `value` may be in the column chunk; false is certain.
    pub(crate) fn may_hold(&self, value: &[u8]) -> bool {
        let Some(blocks) = self.blocks else {
            return true;
        };
        let hash = xxh64(value, 0);
        let count = (blocks.len() / BLOCK_SIZE) as u64;
        // Both factors are below 2^32, for a filter's size is a 32-bit number.
        let block = ((hash >> 32) * count) >> 32;
        let start = usize::try_from(block)
            .unwrap_or(usize::MAX)
            .saturating_mul(BLOCK_SIZE);
        let words = blocks.get(start..).unwrap_or_default().as_chunks::<4>().0;
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
        let key = hash as u32;
        words.iter().zip(SALT).all(|(word, salt)| {
            let bit = key.wrapping_mul(salt) >> 27;
            u32::from_le_bytes(*word) >> bit & 1 == 1
        })
    }
}

/// Whether the alternative that a union holds is its first.
fn is_first(t: &mut Thrift<'_>) -> Result<bool, Fault> {
    let mut first = false;
    t.fields(|t, id, kind| {
        first |= id == 1;
        t.skip(kind)
    })?;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A filter of one block, in which the bits of `values` are set.
    fn filter(values: &[&str], algorithm: u8) -> Vec<u8> {
        let mut words = [0u32; 8];
        for value in values {
            let key = xxh64(value.as_bytes(), 0) & u64::from(u32::MAX);
            for (word, salt) in words.iter_mut().zip(SALT) {
                *word |= 1 << (u32::try_from(key).unwrap().wrapping_mul(salt) >> 27);
            }
        }
        let first = [0x1c, 0x00, 0x00];
        let mut bytes = vec![0x15, 64, 0x1c, algorithm, 0x00, 0x00];
        bytes.extend([[0x1c].as_slice(), &first, &[0x1c], &first, &[0x00]].concat());
        bytes.extend(words.iter().flat_map(|w| w.to_le_bytes()));
        bytes
    }

    #[test]
    fn values_that_were_put_in_may_be_there_and_most_others_not() {
        let bytes = filter(&["a", "b", "c"], 0x1c);
        let bloom = BloomFilter::decode(&bytes).unwrap();
        assert!(
            ["a", "b", "c"]
                .iter()
                .all(|value| bloom.may_hold(value.as_bytes()))
        );
        let others = (0..1000)
            .filter(|i| bloom.may_hold(i.to_string().as_bytes()))
            .count();
        assert!(others < 50, "{others}");
    }

    #[test]
    fn an_unknown_kind_of_filter_rules_nothing_out() {
        let bytes = filter(&["a"], 0x2c);
        assert!(BloomFilter::decode(&bytes).unwrap().may_hold(b"z"));
    }

    #[test]
    fn a_filter_that_is_cut_is_refused() {
        let bytes = filter(&["a"], 0x1c);
        for len in 0..bytes.len() {
            assert!(BloomFilter::decode(&bytes[..len]).is_err(), "{len}");
        }
    }
}
