//! Blocks that Prometheus and Thanos wrote, read and written again.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]

mod dump;
mod prometheus_2_42;
mod thanos;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use model::{CounterReset, HistogramCounts, Labels, Timestamp};
use tsdb::{
    Block, BlockWriter, Chunk, ChunkError, Encoding, Floats, SeriesEntry, decode_histograms,
    decode_xor, encode_histograms, encode_xor,
};

use crate::dump::{in_short, short_of_dump};

/// Every 211th line, from the 7th on, of what `promtool tsdb dump` prints of the block of all kinds.
const DUMP: &str = include_str!("all-kinds.excerpt");

fn golden(kind: &str) -> Vec<Block> {
    let dir = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/golden/tsdb"
    ));
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(dir.join(kind))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    dirs.sort();
    assert!(!dirs.is_empty());
    dirs.iter().map(|dir| Block::open(dir).unwrap()).collect()
}

fn all_golden() -> Vec<Block> {
    let mut blocks = golden("all-kinds");
    blocks.extend(golden("floats"));
    blocks
}

fn series(block: &Block) -> Vec<(Labels, Vec<Chunk>)> {
    let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let mut entry = SeriesEntry::default();
    let symbol = |s| block.symbols().get(s);
    let mut all = block.refs_by_name().unwrap();
    all.sort_unstable();
    all.iter()
        .map(|reference| {
            series.read(*reference, &mut entry).unwrap();
            let labels = entry.labels.iter().map(|(n, v)| (symbol(*n), symbol(*v)));
            let read = entry.chunks.iter().map(|c| chunks.read(c).unwrap());
            (Labels::from_sorted(labels), read.collect())
        })
        .collect()
}

fn floats(chunk: &Chunk) -> Floats {
    let mut floats = Floats::default();
    decode_xor(&chunk.data, &mut floats).unwrap();
    floats
}

/// The times of a chunk's samples.
fn times(chunk: &Chunk) -> Vec<i64> {
    if chunk.encoding == Encoding::Xor {
        return floats(chunk).timestamps;
    }
    let samples = decode_histograms(chunk.encoding, &chunk.data).unwrap();
    samples.iter().map(|(time, _)| time.0).collect()
}

#[test]
fn chunks_hold_as_many_samples_at_such_times_as_meta_and_index_say() {
    for block in all_golden() {
        let mut stats = model::BlockStats::default();
        for (labels, chunks) in series(&block) {
            stats.num_series += 1;
            for chunk in chunks {
                let times = times(&chunk);
                assert_eq!(times.len(), usize::from(chunk.num_samples().unwrap()));
                assert_eq!(times.first(), Some(&chunk.min.0), "{labels}");
                assert_eq!(times.last(), Some(&chunk.max.0), "{labels}");
                assert!(times.is_sorted(), "{labels}");
                stats.num_chunks += 1;
                stats.num_samples += times.len() as u64;
                if chunk.encoding == Encoding::Xor {
                    stats.num_float_samples += times.len() as u64;
                } else {
                    stats.num_histogram_samples += times.len() as u64;
                }
            }
        }
        let mut expected = block.meta().stats;
        if expected.num_float_samples == 0 {
            // The writer of these blocks did not tell the kinds apart.
            assert_eq!(stats.num_histogram_samples, 0);
            expected.num_float_samples = expected.num_samples;
        }
        assert_eq!(stats, expected, "{}", block.dir().display());
    }
}

#[test]
fn float_chunks_are_written_again_to_the_byte() {
    let mut chunks = 0;
    for (labels, chunk) in all_golden().iter().flat_map(all_chunks) {
        if chunk.encoding == Encoding::Xor {
            let floats = floats(&chunk);
            let again = encode_xor(&floats.timestamps, &floats.values);
            assert_eq!(again, chunk.data, "{labels} at {}", chunk.min);
            chunks += 1;
        }
    }
    assert!(chunks > 800);
}

fn all_chunks(block: &Block) -> impl Iterator<Item = (Labels, Chunk)> {
    let series = series(block).into_iter();
    series.flat_map(|(labels, chunks)| chunks.into_iter().map(move |c| (labels.clone(), c)))
}

#[test]
fn histogram_chunks_are_written_again_to_the_byte_but_for_what_the_chunk_before_told() {
    let mut kinds: BTreeMap<(u8, bool, bool), usize> = BTreeMap::new();
    for (labels, chunk) in golden("all-kinds").iter().flat_map(all_chunks) {
        if chunk.encoding == Encoding::Xor {
            continue;
        }
        let samples = decode_histograms(chunk.encoding, &chunk.data).unwrap();
        let gauge = samples[0].1.reset == CounterReset::Gauge;
        if gauge && samples.iter().any(|(_, h)| h.is_stale()) {
            // A stale marker that comes out of a chunk is no gauge any more, here as in Prometheus.
            continue;
        }
        let again = encode_histograms(&samples);
        // Prometheus's head goes by bytes, and fills some with more than 120 samples.
        let chunks = samples.len().div_ceil(120);
        assert_eq!(again.len(), chunks, "{labels} at {}", chunk.min);
        if chunks > 1 {
            continue;
        }
        assert_eq!(again[0].encoding, chunk.encoding);
        assert_eq!((again[0].min, again[0].max), (chunk.min, chunk.max));
        let (header, expected) = (again[0].data[2], chunk.data[2]);
        assert_eq!(header, if gauge { expected } else { 0 }, "{labels}");
        assert_eq!(again[0].data[3..], chunk.data[3..], "{labels}");
        let custom = samples[0].1.schema == model::CUSTOM_BUCKETS;
        *kinds
            .entry((chunk.encoding as u8, gauge, custom))
            .or_default() += 1;
    }
    // Integers, fractions; gauges; custom buckets of either.
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}

#[test]
fn samples_are_those_that_promtool_prints() {
    let mut found: BTreeMap<(Vec<u8>, Vec<u8>, i64), String> = BTreeMap::new();
    for (labels, chunk) in golden("all-kinds").iter().flat_map(all_chunks) {
        let name = labels.get("__name__").unwrap().to_owned();
        let pod = labels.get("pod").unwrap().to_owned();
        let mut add = |time, text| found.insert((name.clone(), pod.clone(), time), text);
        if chunk.encoding == Encoding::Xor {
            let floats = floats(&chunk);
            for (time, value) in floats.timestamps.iter().zip(&floats.values) {
                add(*time, format!("{value:?}"));
            }
        } else {
            for (time, histogram) in decode_histograms(chunk.encoding, &chunk.data).unwrap() {
                add(time.0, in_short(&histogram));
            }
        }
    }
    for line in DUMP.lines() {
        let (rest, time) = line.rsplit_once(' ').unwrap();
        let value = match rest.split_once("} {count:") {
            Some((_, histogram)) => short_of_dump(histogram),
            None => format!(
                "{:?}",
                rest.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
            ),
        };
        let label = |name: &str| {
            let start = line.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
            line[start..].split('"').next().unwrap().into()
        };
        let key = (label("__name__"), label("pod"), time.parse().unwrap());
        assert_eq!(found.get(&key), Some(&value), "{line}");
    }
}

#[test]
fn a_block_written_again_holds_the_same() {
    for block in all_golden() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = BlockWriter::create(dir.path(), block.symbols().iter()).unwrap();
        let expected = series(&block);
        for (labels, chunks) in &expected {
            writer.add_series(labels, chunks).unwrap();
        }
        let meta = writer.finish(block.meta().clone()).unwrap();
        let again = Block::open(dir.path()).unwrap();
        assert_eq!(again.meta(), &meta);
        assert_eq!(meta.stats.num_samples, block.meta().stats.num_samples);
        assert_eq!(meta.stats.num_chunks, block.meta().stats.num_chunks);
        assert!(series(&again) == expected);
    }
}

/// Decodes, and checks that what comes out is in proportion to what went in.
fn decode(encoding: Encoding, data: &[u8]) -> Result<(), ChunkError> {
    if encoding == Encoding::Xor {
        let mut floats = Floats::default();
        decode_xor(data, &mut floats)?;
        assert!(floats.timestamps.len() <= data.len() * 4);
        assert_eq!(floats.timestamps.len(), floats.values.len());
        return Ok(());
    }
    let samples = decode_histograms(encoding, data)?;
    assert!(samples.len() <= data.len() * 2);
    for (_, histogram) in &samples {
        let buckets = match &histogram.counts {
            HistogramCounts::Integer(c) => c.positive.len() + c.negative.len(),
            HistogramCounts::Float(c) => c.positive.len() + c.negative.len(),
        };
        assert!(buckets <= data.len() * 8);
    }
    // Whatever was read can be written.
    let times: Vec<Timestamp> = samples.iter().map(|(time, _)| *time).collect();
    let again = encode_histograms(&samples);
    let counted = again.iter().map(|c| usize::from(c.num_samples().unwrap()));
    assert_eq!(counted.sum::<usize>(), times.len());
    Ok(())
}

/// A chunk of each metric of the block of all kinds, and one more of floats.
fn one_of_each() -> Vec<Chunk> {
    let mut chunks: BTreeMap<Vec<u8>, Chunk> = BTreeMap::new();
    for (labels, chunk) in golden("all-kinds").iter().flat_map(all_chunks) {
        let name = labels.get("__name__").unwrap().to_owned();
        chunks.entry(name).or_insert(chunk);
    }
    assert_eq!(chunks.len(), 8);
    chunks.into_values().collect()
}

#[test]
fn a_chunk_that_is_cut_short_anywhere_is_an_error() {
    for chunk in one_of_each() {
        for len in 0..chunk.data.len() {
            assert!(decode(chunk.encoding, &chunk.data[..len]).is_err(), "{len}");
        }
        assert_eq!(decode(chunk.encoding, &chunk.data), Ok(()));
    }
}

#[test]
fn a_chunk_with_any_bit_flipped_is_read_or_refused_but_does_no_harm() {
    let (mut read, mut refused) = (0, 0);
    for chunk in one_of_each() {
        let mut data = chunk.data.to_vec();
        for bit in 0..data.len() * 8 {
            data[bit / 8] ^= 0x80 >> (bit % 8);
            match decode(chunk.encoding, &data) {
                Ok(()) => read += 1,
                Err(ChunkError::Corrupt { bit, .. }) => {
                    assert!(bit <= data.len() as u64 * 8);
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
            data[bit / 8] ^= 0x80 >> (bit % 8);
        }
    }
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
}
