//! Bloom filters; `read::search::bloom` draws one.

use xxhash_rust::xxh64::xxh64;

use super::thrift::Thrift;
use crate::read::search::bloom::{BLOCK_SIZE, SALT};

/// Bits for each value, as parquet-common has them.
const BITS: usize = 10;

/// A filter of distinct `values`.
pub(super) fn filter<'a>(values: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let count = (values.len() * BITS).div_ceil(BLOCK_SIZE * 8).max(1);
    let mut blocks = vec![[0u32; SALT.len()]; count];
    for value in values {
        let hash = xxh64(value, 0);
        let block = (u128::from(hash >> 32) * count as u128) >> 32;
        let block = usize::try_from(block).ok().and_then(|b| blocks.get_mut(b));
        for (word, salt) in block.into_iter().flatten().zip(SALT) {
            let low = u32::try_from(hash & u64::from(u32::MAX)).unwrap_or_default();
            *word |= 1 << (low.wrapping_mul(salt) >> 27);
        }
    }
    let mut bytes = Thrift::of(|t| {
        t.size(1, count * BLOCK_SIZE);
        // Split blocks, XXH64, not compressed.
        for field in 2..=4 {
            t.structure(field, |t| t.structure(1, |_| ()));
        }
    });
    bytes.extend(blocks.iter().flatten().flat_map(|word| word.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::search::bloom::BloomFilter;

    #[test]
    fn values_are_found_and_most_others_are_not() {
        let values: Vec<String> = (0..3000).map(|i| format!("metric_{i}")).collect();
        let bytes = filter(values.iter().map(String::as_bytes));
        assert!((3750..3900).contains(&bytes.len()), "{}", bytes.len());
        let filter = BloomFilter::decode(&bytes).unwrap();
        assert!(values.iter().all(|value| filter.may_hold(value.as_bytes())));
        let others = (0..3000).filter(|i| filter.may_hold(format!("other_{i}").as_bytes()));
        let others = others.count();
        assert!(others < 120, "{others}");
    }

    #[test]
    fn a_filter_without_values_holds_none() {
        let bytes = filter(std::iter::empty());
        assert!(!BloomFilter::decode(&bytes).unwrap().may_hold(b"a"));
    }
}
