//! Bloom filters: whether a column chunk may hold a value. The `parquet` crate decodes and looks into them.
//!
//! ```text
//! BloomFilterHeader  thrift: 1: i32 size of the bits, then which kind of filter it is
//! block*             8 words of 32 bits, little-endian
//! ```

use bytes::Bytes;
use parquet::bloom_filter::Sbbf;

use crate::{
    error::Error,
    format::{
        fault::Fault,
        page,
        thrift::{BLOOM_FILTER_HEADER, Kind, ThriftReader},
    },
};

const BLOCK_SIZE: usize = 32;

/// Bits for each value, as in parquet-common.
const BITS: usize = 10;

/// A filter of one column chunk.
#[derive(Clone, Debug)]
pub(crate) struct BloomFilter {
    /// `None` if the kind of the filter is unknown.
    known: Option<Sbbf>,
}

impl BloomFilter {
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, Fault> {
        BLOOM_FILTER_HEADER.check(bytes)?;
        let mut thrift = ThriftReader::new(bytes);
        let mut size = 0;
        thrift.fields(|t, id, kind| match (id, kind) {
            (1, Kind::I32) => t.size().map(|found| size = found),
            _ => t.skip(kind),
        })?;
        let start = thrift.position();
        let end = start
            .checked_add(size)
            .filter(|end| *end <= bytes.len() && size > 0 && size.is_multiple_of(BLOCK_SIZE));
        let Some(end) = end else {
            let reason = format!(
                "bloom filter: expected blocks of {BLOCK_SIZE} bytes within {} bytes, found a size of {size}",
                bytes.len()
            );
            return Err(Fault::new(start, reason));
        };
        let len = i32::try_from(end).ok();
        let chunk = page::column_chunk(|chunk| {
            chunk
                .set_bloom_filter_offset(Some(0))
                .set_bloom_filter_length(len)
        })?;
        // All bytes are there, so the crate refuses only another kind of filter.
        let known = Sbbf::read_from_column_chunk(&chunk, bytes).ok().flatten();
        Ok(Self { known })
    }

    /// Whether `value` may be in the column chunk; false is certain.
    pub(crate) fn may_hold(&self, value: &[u8]) -> bool {
        self.known.as_ref().is_none_or(|filter| filter.check(value))
    }
}

/// A filter of distinct `values`.
pub(crate) fn encode<'a>(
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
    use super::*;

    /// A filter that holds `values`; `algorithm` is of its header.
    fn filter(values: &[&str], algorithm: u8) -> Bytes {
        let mut filter = Sbbf::new(&[0; BLOCK_SIZE]);
        values.iter().for_each(|value| filter.insert(*value));
        let mut bytes = Vec::new();
        filter.write(&mut bytes).unwrap();
        let kind = bytes.iter_mut().skip(3).find(|byte| **byte == 0x1c);
        *kind.unwrap() = algorithm;
        bytes.into()
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
            assert!(BloomFilter::decode(&bytes.slice(..len)).is_err(), "{len}");
        }
    }

    #[test]
    fn values_are_found_and_most_others_are_not() {
        let values: Vec<String> = (0..3000).map(|i| format!("metric_{i}")).collect();
        let bytes = Bytes::from(encode(values.iter().map(String::as_bytes)).unwrap());
        assert!((3750..3900).contains(&bytes.len()), "{}", bytes.len());
        let filter = BloomFilter::decode(&bytes).unwrap();
        assert!(values.iter().all(|value| filter.may_hold(value.as_bytes())));
        let others = (0..3000).filter(|i| filter.may_hold(format!("other_{i}").as_bytes()));
        let others = others.count();
        assert!(others < 120, "{others}");
    }

    #[test]
    fn a_filter_without_values_holds_none() {
        let bytes = Bytes::from(encode(std::iter::empty()).unwrap());
        assert!(!BloomFilter::decode(&bytes).unwrap().may_hold(b"a"));
    }
}
