//! A merge of random blocks against a sort of their samples.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use compactor::{Dedup, MergeInput, MergeOptions, MergeOutput, MergeTarget, OutputFormat, merge};
use model::{BlockMeta, Labels, METRIC_NAME, ParquetShard, Resolution, TimeRange, Timestamp};
use parquet_block::{Contents, LocalShard};
use proptest::prelude::*;
use tsdb::{BlockWriter, Chunk, Encoding, Floats, decode_xor, encode_xor};

/// Three slices of eight hours.
const END: i64 = 24 * 3_600_000;

/// Where samples may be, apart from each other and from the ends of slices.
const STEP: i64 = 120_000;

/// A chunk as the steps of time before it and between its samples, and how many they are.
type Drawn = (i64, i64, usize);

type Series = BTreeMap<Labels, Vec<Chunk>>;

fn any_labels() -> impl Strategy<Value = Labels> {
    let name = prop::sample::select(&["__name__", "Z", "a", "é"][..]);
    prop::collection::vec((name, "[a-c]{1,2}"), 1..4).prop_map(Labels::from_pairs)
}

fn any_block() -> impl Strategy<Value = BTreeMap<Labels, Vec<Drawn>>> {
    let count = prop_oneof![4 => 1..40_usize, 1 => 121..200_usize];
    let chunks = prop::collection::vec((1..200_i64, 1..4_i64, count), 0..5);
    prop::collection::btree_map(any_labels(), chunks, 0..30)
}

/// The chunks of a series, with values that tell the block; those past the end are left out.
fn chunks(block: usize, drawn: &[Drawn]) -> Vec<Chunk> {
    let (mut at, mut chunks) = (0, Vec::new());
    for (gap, step, count) in drawn {
        let times: Vec<i64> = (0..*count as i64)
            .map(|i| at + (gap + i * step) * STEP)
            .filter(|time| *time < END)
            .collect();
        let Some(last) = times.last() else { break };
        let values: Vec<f64> = times.iter().map(|t| (t + block as i64) as f64).collect();
        at = *last;
        chunks.push(Chunk {
            encoding: Encoding::Xor,
            min: Timestamp(times[0]),
            max: Timestamp(*last),
            data: encode_xor(&times, &values),
        });
    }
    chunks
}

fn write(dir: &Path, series: &Series) {
    let symbols: BTreeSet<&[u8]> = series
        .keys()
        .flat_map(Labels::iter)
        .flat_map(|(name, value)| [name, value])
        .collect();
    let mut writer = BlockWriter::create(dir, symbols).unwrap();
    for (labels, chunks) in series {
        writer.add_series(labels, chunks).unwrap();
    }
    let meta = format!(
        r#"{{"ulid":"01HF8J5JG0RAVB4GMS32W7ZJ2B","minTime":0,"maxTime":{END},"version":1}}"#
    );
    writer
        .finish(BlockMeta::decode(meta.as_bytes()).unwrap())
        .unwrap();
}

fn samples(chunks: &[Chunk]) -> Vec<(i64, f64)> {
    let mut all = Vec::new();
    for chunk in chunks {
        let mut floats = Floats::default();
        decode_xor(&chunk.data, &mut floats).unwrap();
        all.extend(floats.timestamps.iter().copied().zip(floats.values));
    }
    all
}

fn rows(dir: &Path, output: &MergeOutput) -> Vec<(Labels, Vec<Chunk>)> {
    let mut rows = Vec::new();
    for shard in 0..u32::try_from(output.shards.len()).unwrap() {
        let listed = ParquetShard::default();
        let local = LocalShard::open(dir, shard, Contents::Chunks, &listed).unwrap();
        rows.extend(local.read_all().unwrap());
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_merge_is_a_sort_in_which_the_first_of_equal_times_stays(
        drawn in prop::collection::vec(any_block(), 1..5), row_group_rows in 1..30_usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut expected, mut sources) = (BTreeMap::new(), BTreeSet::new());
        let mut blocks: Vec<PathBuf> = Vec::new();
        for (number, block) in drawn.iter().enumerate() {
            let series: Series = block
                .iter()
                .map(|(labels, drawn)| (labels.clone(), chunks(number, drawn)))
                .collect();
            for (labels, chunks) in &series {
                let name = labels.get(METRIC_NAME).unwrap_or_default().to_owned();
                let merged: &mut BTreeMap<i64, f64> =
                    expected.entry((name, labels.clone())).or_default();
                for (time, value) in samples(chunks) {
                    merged.entry(time).or_insert(value);
                }
                sources.extend(chunks.iter().map(|chunk| chunk.data.clone()));
            }
            let folder = dir.path().join(number.to_string());
            write(&folder, &series);
            blocks.push(folder);
        }
        expected.retain(|_, samples| !samples.is_empty());

        let out_dir = dir.path().join("out");
        std::fs::create_dir(&out_dir).unwrap();
        let outputs = merge(
            &MergeInput {
                blocks,
                range: TimeRange::new(0, END - 1),
                outputs: vec![MergeTarget { resolution: Resolution::Raw, dir: out_dir.clone() }],
                dedup: Dedup::Exact,
                format: OutputFormat::Parquet,
                options: MergeOptions { row_group_rows, ..MergeOptions::default() },
            },
            &|_| {},
        ).unwrap();
        let output = &outputs[0];
        let merged = rows(&out_dir, output);
        prop_assert_eq!(output.stats.num_series, expected.len() as u64);
        prop_assert_eq!(merged.len(), expected.len());
        let mut counted = (0, 0);
        for ((labels, chunks), ((_, wanted), points)) in merged.iter().zip(&expected) {
            prop_assert_eq!(labels, wanted);
            prop_assert!(chunks.is_sorted_by(|a, b| a.max < b.min));
            let points: Vec<(i64, f64)> = points.iter().map(|(time, value)| (*time, *value)).collect();
            prop_assert_eq!(&samples(chunks), &points, "{}", labels);
            for chunk in chunks {
                // What has more samples than a chunk of ours was copied.
                let long = chunk.num_samples().unwrap() > 120;
                prop_assert!(!long || sources.contains(&chunk.data));
            }
            counted = (counted.0 + chunks.len() as u64, counted.1 + points.len() as u64);
        }
        prop_assert_eq!((output.stats.num_chunks, output.stats.num_samples), counted);
    }
}
