//! Blocks of Prometheus 2.42: native histograms as they were when they were new, and samples that
//! came out of order.

use std::collections::{BTreeMap, BTreeSet};

use tsdb::{Encoding, decode_histograms};

use super::{all_chunks, floats, golden, times};
use crate::dump::{in_short, short_of_dump};

/// Every 41st line, from the 7th on, of what `promtool tsdb dump` prints of all blocks, sorted.
const EXCERPT: &str =
    include_str!("../../../../tests/fixtures/golden/tsdb/prometheus-2.42/excerpt");

/// What `promtool tsdb list` counts. The dump has six lines less: it swallows a series' first
/// histogram, and of integers the second too.
const SAMPLES: usize = 1508 + 3344 + 3328 + 7;

#[test]
fn samples_are_those_that_promtool_prints() {
    let mut found: BTreeMap<(String, i64), String> = BTreeMap::new();
    for (labels, chunk) in golden("prometheus-2.42").iter().flat_map(all_chunks) {
        let mut add = |time, text| found.insert((labels.to_string(), time), text);
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
    assert_eq!(found.len(), SAMPLES);
    let (mut histograms, mut lines) = (0, 0);
    for line in EXCERPT.lines() {
        let (rest, time) = line.rsplit_once(' ').unwrap();
        let (labels, value) = match rest.split_once("} {count:") {
            Some((labels, histogram)) => {
                histograms += 1;
                (labels, short_of_dump(histogram))
            }
            None => {
                let (labels, value) = rest.rsplit_once("} ").unwrap();
                (labels, format!("{:?}", value.parse::<f64>().unwrap()))
            }
        };
        let key = (format!("{labels}}}"), time.parse().unwrap());
        assert_eq!(found.get(&key), Some(&value), "{line}");
        lines += 1;
    }
    assert_eq!(lines, 200);
    assert!(histograms > 30);
}

#[test]
fn counts_are_those_of_meta_json_and_chunks_of_a_series_do_not_overlap() {
    let mut kinds = BTreeSet::new();
    for block in golden("prometheus-2.42") {
        let (mut series, mut chunks, mut samples) = (BTreeSet::new(), 0, 0);
        let mut last = (String::new(), i64::MIN);
        for (labels, chunk) in all_chunks(&block) {
            let times = times(&chunk);
            assert_eq!(times.first(), Some(&chunk.min.0), "{labels}");
            assert_eq!(times.last(), Some(&chunk.max.0), "{labels}");
            assert!(times.is_sorted_by(|a, b| a < b), "{labels}");
            let labels = labels.to_string();
            assert!(last.0 != labels || last.1 < chunk.min.0, "{labels}");
            last = (labels.clone(), chunk.max.0);
            series.insert(labels);
            chunks += 1;
            samples += times.len() as u64;
            kinds.insert(chunk.encoding as u8);
        }
        let stats = block.meta().stats;
        assert_eq!(
            (series.len() as u64, chunks),
            (stats.num_series, stats.num_chunks)
        );
        assert_eq!(samples, stats.num_samples, "{}", block.meta().ulid);
    }
    assert_eq!(kinds.len(), 3);
}

#[test]
fn a_sample_that_came_late_is_in_a_block_that_says_so() {
    let blocks = golden("prometheus-2.42");
    let hint = "from-out-of-order".to_owned();
    let late: Vec<_> = blocks
        .iter()
        .filter(|block| block.meta().compaction.hints.contains(&hint))
        .collect();
    assert_eq!(late.len(), 1);
    let mut chunks = all_chunks(late[0]);
    let (labels, chunk) = chunks.next().unwrap();
    assert_eq!(labels.get("__name__"), Some(&b"golden_late"[..]));
    assert_eq!(floats(&chunk).values.len(), 7);
    assert!(chunks.next().is_none());
}
