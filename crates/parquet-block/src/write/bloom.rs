//! Bloom filters, by the `parquet` crate.

use parquet::bloom_filter::Sbbf;

use crate::error::Error;

const BLOCK_SIZE: usize = 32;
/// Bits for each value, as parquet-common has them.
const BITS: usize = 10;

/// A filter of distinct `values`.
pub(super) fn filter<'a>(
    values: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, Error> {
    let blocks = (values.len() * BITS).div_ceil(BLOCK_SIZE * 8).max(1);
    let mut filter = Sbbf::new(&vec![0; blocks * BLOCK_SIZE]);
    values.for_each(|value| filter.insert(value));
    let mut bytes = Vec::new();
    filter
        .write(&mut bytes)
        .map_err(|error| Error::layout(format!("bloom filter: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::read::search::bloom::BloomFilter;

    #[test]
    fn values_are_found_and_most_others_are_not() {
        let values: Vec<String> = (0..3000).map(|i| format!("metric_{i}")).collect();
        let bytes = Bytes::from(filter(values.iter().map(String::as_bytes)).unwrap());
        assert!((3750..3900).contains(&bytes.len()), "{}", bytes.len());
        let filter = BloomFilter::decode(&bytes).unwrap();
        assert!(values.iter().all(|value| filter.may_hold(value.as_bytes())));
        let others = (0..3000).filter(|i| filter.may_hold(format!("other_{i}").as_bytes()));
        let others = others.count();
        assert!(others < 120, "{others}");
    }

    #[test]
    fn a_filter_without_values_holds_none() {
        let bytes = Bytes::from(filter(std::iter::empty()).unwrap());
        assert!(!BloomFilter::decode(&bytes).unwrap().may_hold(b"a"));
    }
}
