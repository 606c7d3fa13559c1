//! Chunks of one series, in the records of a Parquet column, merged into chunks that do not overlap: no
//! sample is lost, and the first chunk with a time counts.

#![no_main]

use std::collections::BTreeMap;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use model::Timestamp;
use parquet_block::envelope;
use tsdb::{Chunk, ChunkError, Encoding, Floats, decode_histograms, decode_xor, reencode};
use varve_fuzz::{Meaning, bounded, meaning};

#[derive(Debug, PartialEq)]
enum Sample {
    Float(u64),
    Histogram(Meaning),
}

fuzz_target!(|data: &[u8]| {
    let data = Bytes::copy_from_slice(data);
    let Ok(chunks) = envelope::decode(&data).collect::<Result<Vec<_>, _>>() else {
        return;
    };
    // Where the chunks claim to begin, whether or not they do.
    let mut boundaries: Vec<Timestamp> = chunks.iter().map(|chunk| chunk.min).collect();
    boundaries.sort_unstable();
    let merged = bounded(data.len(), 8192, || reencode(&chunks, &boundaries));
    let read: Result<Vec<_>, _> = chunks.iter().map(samples).collect();
    let (Ok(merged), Ok(read)) = (&merged, &read) else {
        let refused = chunks.iter().any(|chunk| chunk.encoding == Encoding::Aggr);
        assert!(refused || (merged.is_err() && read.is_err()), "{merged:?}");
        return;
    };
    let mut expected = BTreeMap::new();
    for (time, sample) in read.iter().flatten() {
        expected.entry(*time).or_insert(sample);
    }
    let found: Vec<_> = merged
        .iter()
        .flat_map(|chunk| samples(chunk).expect("what was written is read"))
        .collect();
    assert_eq!(found.len(), expected.len());
    for ((time, sample), (expected_time, expected)) in found.iter().zip(expected) {
        assert_eq!((*time, sample), (expected_time, expected));
    }
    assert!(merged.is_sorted_by(|a, b| a.max < b.min));
});

fn samples(chunk: &Chunk) -> Result<Vec<(i64, Sample)>, ChunkError> {
    if chunk.encoding == Encoding::Xor {
        let mut floats = Floats::default();
        decode_xor(&chunk.data, &mut floats)?;
        let values = floats.values.iter().map(|v| Sample::Float(v.to_bits()));
        return Ok(floats.timestamps.iter().copied().zip(values).collect());
    }
    let read = decode_histograms(chunk.encoding, &chunk.data)?;
    let samples = read
        .iter()
        .map(|(t, h)| (t.0, Sample::Histogram(meaning(h))));
    Ok(samples.collect())
}
