//! A shard of a Parquet block whose two files are in memory.

use std::ops::Range;

use bytes::Bytes;
use parquet_block::{Error, Footer, FooterRead, Lookup, Shard, ShardFile, Step};

/// The files of a shard.
#[derive(Debug)]
pub struct Files {
    /// `N.labels.parquet`
    pub labels: Bytes,
    /// `N.chunks.parquet`
    pub chunks: Bytes,
}

/// How far the last row group's rows go in shards that are looked into. Runs of one value take no
/// memory in a file, but do when read.
const MAX_ROWS: u32 = 1 << 12;

/// The two files that an input is: little-endian length of the first, the first, the second.
#[must_use]
pub fn split_files(data: &[u8]) -> Option<Files> {
    let (len, rest) = data.split_first_chunk::<4>()?;
    let (labels, chunks) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    Some(Files {
        labels: Bytes::copy_from_slice(labels),
        chunks: Bytes::copy_from_slice(chunks),
    })
}

/// Opens a shard; none if it is damaged, or has too many rows to look into.
#[must_use]
pub fn open(files: &Files) -> Option<Shard> {
    let labels = footer("labels", &files.labels).ok()?;
    let shard = Shard::open(labels, footer("chunks", &files.chunks).ok()?).ok()?;
    let rows: u64 = (0..shard.row_groups())
        .map(|group| u64::from(shard.rows(group)))
        .sum();
    (rows <= u64::from(MAX_ROWS)).then_some(shard)
}

fn footer(name: &str, file: &Bytes) -> Result<Footer, Error> {
    let size = file.len() as u64;
    let mut tail = Footer::tail_range(size, 64);
    loop {
        let bytes = slice(file, &tail);
        let had = bytes.len() as u64;
        match Footer::decode(name, size, bytes)? {
            FooterRead::Done(footer) => return Ok(footer),
            FooterRead::Short { needed } => {
                assert!(needed > had && needed <= size, "{needed} of {size}");
                tail = Footer::tail_range(size, needed);
            }
        }
    }
}

/// Answers a lookup, and checks what it asks for.
///
/// # Errors
/// When the files are damaged.
pub fn answer<L: Lookup>(files: &Files, mut lookup: L) -> Result<L::Answer, Error> {
    loop {
        match lookup.next()? {
            Step::Done(answer) => return Ok(answer),
            Step::Fetch { file, ranges } => {
                let file = match file {
                    ShardFile::Labels => &files.labels,
                    ShardFile::Chunks => &files.chunks,
                };
                let apart = ranges.array_windows().all(|[a, b]| a.end <= b.start);
                assert!(
                    !ranges.is_empty() && ranges.iter().all(|r| !r.is_empty()) && apart,
                    "{ranges:?}"
                );
                lookup.supply(ranges.iter().map(|range| slice(file, range)).collect())?;
            }
        }
    }
}

fn slice(file: &Bytes, range: &Range<u64>) -> Bytes {
    file.slice(range.start as usize..range.end as usize)
}
