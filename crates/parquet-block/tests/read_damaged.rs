//! Damaged files: each bit of golden files flipped, and files cut short. Nothing may panic, and no wrong
//! answer may come from a page that carries a checksum.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]

use std::{ops::Range, path::Path};

use bytes::Bytes;
use model::{AggregateSet, Labels, MatchOp, Matcher, TimeRange};
use parquet_block::{Error, Footer, FooterRead, Lookup, Projection, Shard, ShardFile, Step};
use tsdb::Chunk;

struct Files {
    labels: Bytes,
    chunks: Bytes,
}

#[derive(Debug, PartialEq)]
struct Answers {
    rows: Vec<(Labels, Vec<Chunk>)>,
    values: Vec<Vec<Vec<u8>>>,
    found: Vec<usize>,
}

fn golden(block: &str) -> Files {
    let read = |kind: &str| {
        let path = Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/golden/parquet-common"
        ));
        Bytes::from(std::fs::read(path.join(format!("{block}/block/0.{kind}.parquet"))).unwrap())
    };
    Files {
        labels: read("labels"),
        chunks: read("chunks"),
    }
}

fn footer(name: &str, file: &Bytes) -> Result<Footer, Error> {
    let size = file.len() as u64;
    let mut tail = Footer::tail_range(size, 256);
    loop {
        let bytes = slice(file, &tail);
        let had = bytes.len();
        match Footer::decode(name, size, bytes)? {
            FooterRead::Done(footer) => return Ok(footer),
            FooterRead::Short { needed } => {
                assert!(needed > had as u64 && needed <= size, "{needed} of {size}");
                tail = Footer::tail_range(size, needed);
            }
        }
    }
}

fn slice(file: &Bytes, range: &Range<u64>) -> Bytes {
    file.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap())
}

fn answer<L: Lookup>(files: &Files, mut lookup: L) -> Result<L::Answer, Error> {
    loop {
        match lookup.next()? {
            Step::Done(answer) => return Ok(answer),
            Step::Fetch { file, ranges } => {
                let file = match file {
                    ShardFile::Labels => &files.labels,
                    ShardFile::Chunks => &files.chunks,
                };
                assert!(
                    ranges.windows(2).all(|w| w[0].end <= w[1].start),
                    "{ranges:?}"
                );
                lookup.supply(ranges.iter().map(|range| slice(file, range)).collect())?;
            }
        }
    }
}

fn open(files: &Files) -> Result<Shard, Error> {
    Shard::open(
        footer("labels", &files.labels)?,
        footer("chunks", &files.chunks)?,
    )
}

fn read(files: &Files) -> Result<Answers, Error> {
    let shard = open(files)?;
    let mut rows = Vec::new();
    for (group, ranges) in shard.everything() {
        let labels = shard.labels(group, ranges.clone(), Projection::All);
        let labels = answer(files, labels)?;
        let chunks = answer(
            files,
            shard.chunks(group, ranges, TimeRange::ALL, AggregateSet::ALL),
        )?;
        rows.extend(labels.into_iter().zip(chunks));
    }
    Ok(Answers {
        rows,
        values: read_values(files, &shard)?,
        found: search(files, &shard)?,
    })
}

fn read_labels(files: &Files) -> Result<Answers, Error> {
    let shard = open(files)?;
    let mut rows = Vec::new();
    for (group, ranges) in shard.everything() {
        let labels = shard.labels(group, ranges.clone(), Projection::All);
        rows.extend(
            answer(files, labels)?
                .into_iter()
                .map(|labels| (labels, Vec::new())),
        );
    }
    Ok(Answers {
        rows,
        values: read_values(files, &shard)?,
        found: search(files, &shard)?,
    })
}

fn read_values(files: &Files, shard: &Shard) -> Result<Vec<Vec<Vec<u8>>>, Error> {
    let some = shard
        .everything()
        .into_iter()
        .map(|(group, rows)| (group, rows.split_at(3).0));
    let mut values = vec![answer(files, shard.label_names_of(some.collect()))?];
    for name in shard.label_names() {
        values.push(answer(
            files,
            shard.label_values_of(shard.everything(), name),
        )?);
    }
    Ok(values)
}

fn search(files: &Files, shard: &Shard) -> Result<Vec<usize>, Error> {
    let mut found = Vec::new();
    for (op, name, value) in [
        (MatchOp::Regex, "__name__", ".*_.*"),
        (MatchOp::NotEqual, "job", "none"),
        (MatchOp::Regex, "instance", ".+"),
    ] {
        let matcher = Matcher::new(op, name, value).unwrap();
        let rows = answer(files, shard.search(&[matcher]))?;
        found.push(rows.iter().map(|(_, rows)| rows.len()).sum());
    }
    Ok(found)
}

fn flipped(file: &Bytes, bit: usize) -> Bytes {
    let mut bytes = file.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes.into()
}

/// How much of the end of a file its footer asks for, each time more.
fn needed(file: &Bytes) -> Vec<u64> {
    let (size, mut asked) = (file.len() as u64, vec![8]);
    loop {
        let last = asked.last().copied().unwrap();
        let tail = file.slice(file.len() - usize::try_from(last).unwrap()..);
        match Footer::decode("", size, tail).unwrap() {
            FooterRead::Done(_) => return asked,
            FooterRead::Short { needed } => asked.push(needed),
        }
    }
}

/// Where the metadata and page indexes begin, which carry no checksum.
fn unchecked_from(file: &Bytes) -> usize {
    let needed = needed(file).last().copied().unwrap();
    file.len() - usize::try_from(needed).unwrap()
}

#[test]
fn no_bit_of_a_labels_file_can_be_flipped_unnoticed_in_a_page() {
    let mut files = golden("all-kinds");
    let original = files.labels.clone();
    let expected = read_labels(&files).unwrap();
    let unchecked = unchecked_from(&original);
    let mut noticed = 0;
    for bit in 0..original.len() * 8 {
        files.labels = flipped(&original, bit);
        match read_labels(&files) {
            Ok(answers) if bit / 8 < unchecked => assert_eq!(answers, expected, "bit {bit}"),
            Ok(_) => {}
            Err(error) => {
                noticed += 1;
                let error = error.to_string();
                assert!(
                    error.contains("labels") || error.contains("chunks"),
                    "{error}"
                );
            }
        }
    }
    assert!(noticed > original.len(), "{noticed}");
}

#[test]
fn no_bit_of_a_chunks_file_can_be_flipped_unnoticed_in_a_page() {
    let mut files = golden("all-kinds");
    let original = files.chunks.clone();
    let expected = read(&files).unwrap();
    let unchecked = unchecked_from(&original);
    // All bits of what carries no checksum, and of pages one bit of each byte.
    let bits = (0..unchecked)
        .map(|byte| byte * 8 + byte % 8)
        .chain(unchecked * 8..original.len() * 8);
    let mut noticed = 0;
    for bit in bits {
        files.chunks = flipped(&original, bit);
        match read(&files) {
            Ok(answers) if bit / 8 < unchecked => assert_eq!(answers, expected, "bit {bit}"),
            Ok(_) => {}
            Err(error) => {
                noticed += 1;
                assert!(error.to_string().contains("chunks"), "{error}");
            }
        }
    }
    assert!(noticed > unchecked / 2, "{noticed}");
}

#[test]
fn files_that_are_cut_short_are_refused() {
    let mut files = golden("floats");
    let original = files.labels.clone();
    for len in 0..original.len() {
        files.labels = original.slice(..len);
        let error = open(&files).unwrap_err().to_string();
        assert!(error.contains("labels"), "{error}");
    }
}

#[test]
fn a_footer_is_decoded_from_the_bytes_that_it_asks_for() {
    for block in ["all-kinds", "floats"] {
        let file = golden(block).labels;
        let asked = needed(&file);
        // The length of the metadata, the metadata, and the page indexes.
        assert!(asked.len() == 3 && asked.is_sorted(), "{asked:?}");
        let whole = footer("labels", &file).unwrap();
        assert_eq!(whole.file_size(), file.len() as u64);
        assert!(whole.memory_size() < file.len());
    }
}

#[test]
fn files_of_different_blocks_do_not_make_a_shard() {
    let (mut files, other) = (golden("all-kinds"), golden("floats"));
    files.chunks = other.chunks;
    let error = open(&files).unwrap_err().to_string();
    assert!(
        error.contains("chunks") && error.contains("row groups"),
        "{error}"
    );
}

#[test]
fn bytes_that_were_not_asked_for_are_refused() {
    let files = golden("floats");
    let shard = open(&files).unwrap();
    for bytes in [vec![], vec![Bytes::from("x")]] {
        let mut lookup = shard.label_values_of(shard.everything(), "pod");
        assert!(matches!(lookup.next().unwrap(), Step::Fetch { .. }));
        assert!(lookup.supply(bytes).is_err());
    }
}
