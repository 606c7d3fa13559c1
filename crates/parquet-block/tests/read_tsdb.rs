//! Parquet blocks of parquet-common against the TSDB blocks they were made of: the same series, and the
//! same samples in them.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use model::{Labels, METRIC_NAME, ParquetShard};
use parquet_block::{Contents, LocalShard};
use tsdb::{Block, Chunk, Encoding, Floats, SeriesEntry, decode_histograms, decode_xor};

/// A sample as text that tells any two apart: floats by their bits.
type Sample = (i64, String);

fn golden() -> PathBuf {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/golden"
    ))
    .to_owned()
}

fn samples(chunks: &[Chunk]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for chunk in chunks {
        if chunk.encoding == Encoding::Xor {
            let mut floats = Floats::default();
            decode_xor(&chunk.data, &mut floats).unwrap();
            let values = floats
                .values
                .iter()
                .map(|v| format!("{:016x}", v.to_bits()));
            samples.extend(floats.timestamps.iter().copied().zip(values));
        } else {
            for (time, mut histogram) in decode_histograms(chunk.encoding, &chunk.data).unwrap() {
                // Where a chunk is cut, the hint of its first sample changes.
                histogram.reset = model::CounterReset::Unknown;
                samples.push((time.0, format!("{histogram:?}")));
            }
        }
    }
    samples.sort();
    samples
}

fn tsdb_series(dir: &Path) -> BTreeMap<Labels, Vec<Sample>> {
    let mut series: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let block = Block::open(&entry.unwrap().path()).unwrap();
        let (mut entries, mut chunks) = (block.series_cursor(), block.chunk_cursor());
        let mut entry = SeriesEntry::default();
        for series_ref in block.refs_by_name().unwrap() {
            entries.read(series_ref, &mut entry).unwrap();
            let symbol = |s| block.symbols().get(s);
            let labels = entry.labels.iter().map(|(n, v)| (symbol(*n), symbol(*v)));
            let read: Vec<_> = entry
                .chunks
                .iter()
                .map(|c| chunks.read(c).unwrap())
                .collect();
            let of_series = series.entry(Labels::from_sorted(labels)).or_default();
            of_series.extend(samples(&read));
            of_series.sort();
        }
    }
    series
}

fn parquet_series(block: &str, shards: u32) -> Vec<(Labels, Vec<Sample>)> {
    let dir = golden().join("parquet-common").join(block).join("block");
    let mut series = Vec::new();
    for shard in 0..shards {
        let listed = ParquetShard::default();
        let local = LocalShard::open(&dir, shard, Contents::Chunks, &listed).unwrap();
        let rows = local.read_all().unwrap().into_iter();
        series.extend(rows.map(|(labels, chunks)| (labels, samples(&chunks))));
    }
    series
}

fn assert_same(block: &str, shards: u32, source: &str) {
    let expected = tsdb_series(&golden().join("tsdb").join(source));
    let found = parquet_series(block, shards);
    assert!(!found.is_empty());
    assert!(
        found.is_sorted_by_key(|(labels, _)| labels.get(METRIC_NAME).map(<[u8]>::to_vec)),
        "{block} is not sorted by name"
    );
    assert_eq!(found.len(), expected.len());
    for (labels, samples) in found {
        let expected = expected.get(&labels).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(samples, expected, "{labels}");
    }
}

#[test]
fn floats_of_four_blocks_are_all_there() {
    assert_same("floats", 1, "floats");
}

#[test]
fn floats_of_four_blocks_are_all_there_in_two_shards() {
    assert_same("shards", 2, "floats");
}

#[test]
fn every_kind_of_sample_is_there() {
    assert_same("all-kinds", 1, "all-kinds");
}
