//! Blocks that parquet-common wrote, read by us and by the `parquet` crate's own row reader.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]

use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
};

use model::{AggregateSet, Labels, MatchOp, Matcher, ParquetShard, TimeRange};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use parquet_block::{Contents, LocalShard, Projection, RowRanges};
use tsdb::Chunk;

const SHARDS: [(&str, u32); 4] = [
    ("all-kinds", 0),
    ("floats", 0),
    ("shards", 0),
    ("shards", 1),
];

fn golden() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/golden/parquet-common"
    ))
}

fn files(block: &str, shard: u32) -> [PathBuf; 2] {
    let dir = golden().join(block).join("block");
    Contents::Chunks.files(shard).map(|name| dir.join(name))
}

fn open(block: &str, shard: u32) -> LocalShard {
    let dir = golden().join(block).join("block");
    LocalShard::open(&dir, shard, Contents::Chunks, &ParquetShard::default()).unwrap()
}

/// The rows of a file as the generic reader tells them: name and bytes of each column that is not null.
fn generic_rows(path: &Path) -> Vec<Vec<(String, Vec<u8>)>> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| {
            let row = row.unwrap();
            row.get_column_iter()
                .filter_map(|(name, field)| match field {
                    Field::Null => None,
                    Field::Str(text) => Some((name.clone(), text.clone().into_bytes())),
                    Field::Bytes(bytes) => Some((name.clone(), bytes.data().to_vec())),
                    other => panic!("{name}: {other:?}"),
                })
                .collect()
        })
        .collect()
}

fn generic_labels(path: &Path) -> Vec<Labels> {
    generic_rows(path)
        .into_iter()
        .map(|row| {
            Labels::from_pairs(row.into_iter().filter_map(|(name, value)| {
                let name = name.strip_prefix("l_")?.to_owned();
                Some((name, String::from_utf8(value).unwrap()))
            }))
        })
        .collect()
}

/// The records of a row's data columns: encoding, first and last time, data.
type Record = (u64, i64, i64, Vec<u8>);

fn generic_chunks(path: &Path) -> Vec<Vec<Record>> {
    generic_rows(path)
        .into_iter()
        .map(|row| {
            let mut slices: Vec<(usize, Vec<u8>)> = row
                .into_iter()
                .map(|(name, value)| {
                    (
                        name.strip_prefix("s_data_").unwrap().parse().unwrap(),
                        value,
                    )
                })
                .collect();
            slices.sort();
            slices
                .iter()
                .flat_map(|(_, value)| records(value))
                .collect()
        })
        .collect()
}

fn records(mut value: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while !value.is_empty() {
        let encoding = uvarint(&mut value);
        let min = uvarint(&mut value).cast_signed();
        let max = uvarint(&mut value).cast_signed();
        let len = usize::try_from(uvarint(&mut value)).unwrap();
        let (data, rest) = value.split_at(len);
        records.push((encoding, min, max, data.to_vec()));
        value = rest;
    }
    records
}

fn uvarint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if *first < 0x80 {
            return value;
        }
        shift += 7;
    }
}

fn record(chunk: &Chunk) -> Record {
    (
        chunk.encoding as u64,
        chunk.min.0,
        chunk.max.0,
        chunk.data.to_vec(),
    )
}

/// Everything, by the lookups a gateway makes.
fn read_all(local: &LocalShard, range: TimeRange) -> Vec<(Labels, Vec<Chunk>)> {
    let shard = local.shard();
    let found = local.answer(shard.search(&[])).unwrap();
    assert_eq!(found, shard.everything());
    let mut rows = Vec::new();
    for (group, ranges) in found {
        let labels = shard.labels(group, ranges.clone(), Projection::All);
        let labels = local.answer(labels).unwrap();
        let chunks = local
            .answer(shard.chunks(group, ranges, range, AggregateSet::ALL))
            .unwrap();
        assert_eq!(labels.len(), chunks.len());
        rows.extend(labels.into_iter().zip(chunks));
    }
    rows
}

#[test]
fn all_rows_are_those_the_generic_reader_finds() {
    for (block, shard) in SHARDS {
        let [labels, chunks] = files(block, shard);
        let (labels, chunks) = (generic_labels(&labels), generic_chunks(&chunks));
        assert!(!labels.is_empty() && labels.len() == chunks.len());
        let rows = read_all(&open(block, shard), TimeRange::ALL);
        assert_eq!(rows.len(), labels.len(), "{block}/{shard}");
        for ((row, labels), chunks) in rows.iter().zip(&labels).zip(&chunks) {
            assert_eq!(row.0, *labels);
            assert!(!row.1.is_empty());
            assert_eq!(row.1.iter().map(record).collect::<Vec<_>>(), *chunks);
        }
    }
}

#[test]
fn only_chunks_that_overlap_the_time_are_given() {
    let local = open("floats", 0);
    let all = read_all(&local, TimeRange::ALL);
    let first = all
        .iter()
        .flat_map(|(_, c)| c)
        .map(|c| c.min)
        .min()
        .unwrap();
    let last = all
        .iter()
        .flat_map(|(_, c)| c)
        .map(|c| c.max)
        .max()
        .unwrap();
    for (from, to) in [
        (0, 0),
        (0, 1),
        (3_600_000, 7_200_000),
        (8 * 3_600_000, i64::MAX / 4),
    ] {
        let range = TimeRange::new(first.0 + from, first.0.saturating_add(to));
        let expected: Vec<_> = all
            .iter()
            .map(|(labels, chunks)| {
                let mut chunks = chunks.clone();
                chunks.retain(|c| c.min <= range.max && c.max >= range.min);
                (labels.clone(), chunks)
            })
            .collect();
        assert_eq!(read_all(&local, range), expected, "{range:?}");
    }
    let after = TimeRange::new(last.0 + 1, i64::MAX);
    assert!(
        read_all(&local, after)
            .iter()
            .all(|(_, chunks)| chunks.is_empty())
    );
}

#[test]
fn names_and_values_are_those_of_all_rows_or_of_some() {
    for (block, shard) in SHARDS {
        let local = open(block, shard);
        let rows = read_all(&local, TimeRange::ALL);
        let names: BTreeSet<&[u8]> = rows
            .iter()
            .flat_map(|(l, _)| l.iter().map(|(n, _)| n))
            .collect();
        let shard = local.shard();
        assert!(shard.label_names().eq(names.iter().copied()));
        let all = local
            .answer(shard.label_names_of(shard.everything()))
            .unwrap();
        assert!(all.iter().eq(names.iter()));

        let mut start = 0;
        for group in 0..shard.row_groups() {
            let chosen: RowRanges = [2..5, 9..10].into_iter().collect();
            let some: Vec<&Labels> = chosen.rows().map(|r| &rows[start + r as usize].0).collect();
            start += shard.rows(group) as usize;
            let selection = vec![(group, chosen)];
            let expected: BTreeSet<&[u8]> =
                some.iter().flat_map(|l| l.iter().map(|(n, _)| n)).collect();
            let found = local
                .answer(shard.label_names_of(selection.clone()))
                .unwrap();
            assert!(found.iter().eq(expected.iter()), "{found:?} {expected:?}");
            for name in &names {
                let expected: BTreeSet<&[u8]> = some.iter().filter_map(|l| l.get(name)).collect();
                let values = shard.label_values_of(selection.clone(), name);
                assert!(local.answer(values).unwrap().iter().eq(expected.iter()));
            }
        }
        for name in &names {
            let expected: BTreeSet<&[u8]> = rows.iter().filter_map(|(l, _)| l.get(name)).collect();
            let found = local
                .answer(shard.label_values_of(shard.everything(), name))
                .unwrap();
            assert!(found.iter().eq(expected.iter()), "{name:?}: {found:?}");
        }
        assert!(
            local
                .answer(shard.label_values_of(shard.everything(), "no such"))
                .unwrap()
                .is_empty()
        );
    }
}

#[test]
fn a_projection_keeps_the_labels_it_names() {
    let local = open("floats", 0);
    let shard = local.shard();
    let only = Projection::Only(vec!["pod".into(), "__name__".into(), "none".into()]);
    let labels = local
        .answer(shard.labels(0, RowRanges::all(10), only))
        .unwrap();
    let all = read_all(&local, TimeRange::ALL);
    for (labels, (all, _)) in labels.iter().zip(&all) {
        let expected = ["__name__", "pod"].map(|name| (name.as_bytes(), all.get(name).unwrap()));
        assert!(labels.iter().eq(expected));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn matchers_find_the_rows_that_a_scan_finds() {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    for (block, shard) in SHARDS {
        let local = open(block, shard);
        let rows = read_all(&local, TimeRange::ALL);
        let values: BTreeSet<(String, String)> = rows
            .iter()
            .flat_map(|(l, _)| l.iter().map(|(n, v)| (text(n), text(v))))
            .collect();
        let mut asked: Vec<Vec<(MatchOp, String, String)>> = Vec::new();
        for (name, value) in values {
            let prefix: String = value
                .chars()
                .take(3)
                .filter(char::is_ascii_alphanumeric)
                .collect();
            for (op, value) in [
                (Equal, value.clone()),
                (NotEqual, value),
                (Regex, format!("{prefix}.*")),
                (NotRegex, format!("({prefix}.*)?")),
            ] {
                asked.push(vec![(op, name.clone(), value.clone())]);
                asked.push(vec![
                    (op, name.clone(), value),
                    (Regex, "__name__".into(), ".*[a-h_].*".into()),
                ]);
            }
            for op in [Equal, NotEqual, Regex, NotRegex] {
                for value in ["", ".*", ".+"] {
                    asked.push(vec![(op, name.clone(), value.into())]);
                }
            }
        }
        for op in [Equal, NotEqual, Regex, NotRegex] {
            asked.push(vec![(op, "no such".into(), "x".into())]);
            asked.push(vec![(op, "no such".into(), String::new())]);
        }
        for asked in asked {
            let matchers: Vec<_> = asked
                .iter()
                .map(|(op, name, value)| Matcher::new(*op, name, value.as_str()).unwrap())
                .collect();
            let found: Vec<(usize, u32)> = local
                .answer(local.shard().search(&matchers))
                .unwrap()
                .into_iter()
                .flat_map(|(group, rows)| rows.rows().map(|r| (group, r)).collect::<Vec<_>>())
                .collect();
            let place = local.shard().everything();
            let place = place
                .iter()
                .flat_map(|(group, rows)| rows.rows().map(|r| (*group, r)));
            let expected: Vec<_> = place
                .zip(&rows)
                .filter(|(_, (labels, _))| {
                    matchers
                        .iter()
                        .all(|m| m.matches(labels.get(&m.name).unwrap_or_default()))
                })
                .map(|(place, _)| place)
                .collect();
            assert_eq!(found, expected, "{block}/{shard} {asked:?}");
        }
    }
}

#[test]
fn rows_past_the_end_and_row_groups_that_are_not_there_are_left_out() {
    let local = open("floats", 0);
    let shard = local.shard();
    let last = shard.rows(0) - 1;
    let beyond = || RowRanges::from(last..u32::MAX);
    let labels = |group| {
        local
            .answer(shard.labels(group, beyond(), Projection::All))
            .unwrap()
    };
    let chunks = |group| {
        local
            .answer(shard.chunks(group, beyond(), TimeRange::ALL, AggregateSet::ALL))
            .unwrap()
    };
    assert_eq!((labels(0).len(), chunks(0).len()), (1, 1));
    assert_eq!((labels(9).len(), chunks(9).len()), (0, 0));
    let selection = || vec![(0, beyond()), (9, beyond())];
    let names = local.answer(shard.label_names_of(selection())).unwrap();
    assert!(names.iter().eq(labels(0)[0].iter().map(|(name, _)| name)));
    let values = shard.label_values_of(selection(), "__name__");
    assert_eq!(
        local.answer(values).unwrap(),
        [labels(0)[0].get("__name__").unwrap()]
    );
}
