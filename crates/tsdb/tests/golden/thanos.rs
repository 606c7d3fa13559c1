//! Blocks of Thanos's downsampler, of five minutes and of an hour.

use std::collections::{BTreeMap, BTreeSet};

use model::{Aggregate, Resolution};
use tsdb::{AggregateChunk, Chunk, DownsampledChunk, Encoding, decode_histograms, decode_xor};

use super::{all_chunks, golden};
use crate::dump::{in_short, short_of_dump};

/// Time and value of each sample.
type Samples = Vec<(i64, String)>;

fn samples(chunk: &AggregateChunk) -> Samples {
    if chunk.encoding == Encoding::Xor {
        let mut floats = tsdb::Floats::default();
        decode_xor(&chunk.data, &mut floats).unwrap();
        let values = floats.values.iter().map(|value| format!("{value:?}"));
        return floats.timestamps.iter().copied().zip(values).collect();
    }
    let samples = decode_histograms(chunk.encoding, &chunk.data).unwrap();
    let short = samples.iter().map(|(time, h)| (time.0, in_short(h)));
    short.collect()
}

/// The samples of a folder's block by metric, pod, number of the chunk and name of the aggregate.
fn read(folder: &str, resolution: Resolution) -> BTreeMap<[String; 4], Samples> {
    let blocks = golden(folder);
    assert_eq!(blocks.len(), 1);
    assert_eq!(blocks[0].meta().resolution(), resolution);
    let (mut all, mut number, mut last) = (BTreeMap::new(), 0, None);
    for (labels, chunk) in all_chunks(&blocks[0]) {
        number = if last.as_ref() == Some(&labels) {
            number + 1
        } else {
            0
        };
        let unpacked = DownsampledChunk::unpack(&chunk).unwrap();
        assert_eq!(unpacked.pack(), chunk, "{labels}");
        let label = |name| String::from_utf8(labels.get(name).unwrap().to_vec()).unwrap();
        for aggregate in Aggregate::ALL {
            if let Some(packed) = unpacked.get(aggregate) {
                let (pod, name) = (label("pod"), aggregate.name().to_owned());
                let key = [label("__name__"), pod, number.to_string(), name];
                assert!(all.insert(key, samples(packed)).is_none());
            }
        }
        last = Some(labels);
    }
    all
}

/// Compares with `excerpt`, lines of which are `metric pod chunk aggregate`, and then either `has`
/// and how many samples, or the number, time and value of one.
fn compare(folder: &str, resolution: Resolution, excerpt: &str) {
    let read = read(folder, resolution);
    let (mut counted, mut histograms) = (BTreeSet::new(), 0);
    for line in excerpt.lines() {
        let parts: Vec<&str> = line.splitn(7, ' ').collect();
        let key: [String; 4] = std::array::from_fn(|i| parts[i].to_owned());
        let samples = &read[&key];
        if parts[4] == "has" {
            assert_eq!(samples.len().to_string(), parts[5], "{line}");
            counted.insert(key);
            continue;
        }
        let value = match parts[6].strip_prefix("{count:") {
            Some(histogram) => {
                histograms += 1;
                short_of_dump(histogram)
            }
            None => format!("{:?}", parts[6].parse::<f64>().unwrap()),
        };
        let sample = &samples[parts[4].parse::<usize>().unwrap()];
        assert_eq!(*sample, (parts[5].parse().unwrap(), value), "{line}");
    }
    assert!(counted.iter().eq(read.keys()));
    assert!(histograms > 50);
}

#[test]
fn aggregates_of_five_minutes_are_those_that_thanos_reads() {
    let excerpt = include_str!("../../../../tests/fixtures/golden/tsdb/thanos-5m/excerpt");
    compare("thanos-5m", Resolution::FiveMinutes, excerpt);
}

#[test]
fn aggregates_of_an_hour_are_those_that_thanos_reads() {
    let excerpt = include_str!("../../../../tests/fixtures/golden/tsdb/thanos-1h/excerpt");
    compare("thanos-1h", Resolution::OneHour, excerpt);
}

#[test]
fn a_downsampled_chunk_cut_short_anywhere_is_an_error() {
    let blocks = golden("thanos-5m");
    let mut chunks: BTreeMap<Vec<u8>, Chunk> = BTreeMap::new();
    for (labels, chunk) in all_chunks(&blocks[0]) {
        chunks.insert(labels.get("__name__").unwrap().to_owned(), chunk);
    }
    assert_eq!(chunks.len(), 8);
    for chunk in chunks.values() {
        assert_eq!(chunk.encoding, Encoding::Aggr);
        for len in 0..chunk.data.len() {
            let cut = chunk.data.slice(..len);
            assert!(tsdb::decode_aggregates(&cut).is_err(), "{len}");
        }
    }
}
