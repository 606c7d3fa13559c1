//! Indexes that no writer of ours makes. Every checksum is right.
//!
//! ```text
//! series, at a multiple of 16:  length │ labels │ count of chunks │ chunk │ next chunk … │ CRC
//! next chunk:                   its first time less the last one of the chunk before │ its duration │ its place
//! ```

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::Context as _;
use model::{BlockStats, Labels, Timestamp};
use tests::{Answer, MadeBlock};
use tsdb::{Block, BlockWriter, Chunk, Encoding, SeriesRef, encode_xor};

const MINUTE: i64 = 60_000;
/// Series are at multiples of this.
const ALIGN: usize = 16;

/// The index of the block in `dir`, with its first two series in each other's place.
pub(crate) fn swap_series(dir: &Path, mut index: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let mut refs = Block::open(dir)?.refs_by_name()?;
    refs.sort();
    let at: Vec<usize> = refs.iter().copied().map(place).collect();
    let [first, second, third, ..] = at.as_slice() else {
        anyhow::bail!("too few series");
    };
    anyhow::ensure!(second - first == third - second, "of different lengths");
    let (one, other) = index[*first..*third].split_at_mut(second - first);
    one.swap_with_slice(other);
    Ok(index)
}

/// Index and chunks of a block of one series with two chunks, of which the second begins before the first ends; with
/// its counts, and what is in it.
pub(crate) fn overlapping(
    block: &MadeBlock,
) -> anyhow::Result<(Vec<u8>, Vec<u8>, BlockStats, Answer)> {
    // Where the chunk is to begin earlier its time takes more bytes, for which there is room behind some series.
    let found = (0..ALIGN).find_map(|more| {
        let more = (0..more).map(|n| (format!("label_{n:02}"), "x".to_owned()));
        let name = ("__name__".to_owned(), "x".to_owned());
        let labels = Labels::from_pairs(std::iter::once(name).chain(more));
        overlapping_of(block, &labels).transpose()
    });
    found.context("no series with room behind it")?
}

type Overlapping = (Vec<u8>, Vec<u8>, BlockStats, Answer);

fn overlapping_of(block: &MadeBlock, labels: &Labels) -> anyhow::Result<Option<Overlapping>> {
    let dir = tempfile::tempdir()?;
    let minutes = |from: i64| -> Vec<i64> {
        (from..from + 60)
            .map(|n| block.start + n * MINUTE)
            .collect()
    };
    let (first, second) = (chunk(&minutes(0)), chunk(&minutes(30)));
    let mut answer = Answer::default();
    let external = Labels::from_pairs(labels.iter().chain(block.external.iter()));
    for chunk in [&first, &second] {
        answer.add_chunk(&external, chunk.encoding, &chunk.data)?;
    }
    // Only a series that another follows has room behind it.
    let next = Labels::from_pairs([("__name__", "y")]);
    let external = Labels::from_pairs(next.iter().chain(block.external.iter()));
    answer.add_chunk(&external, first.encoding, &first.data)?;
    // As the writer would have it; that is put right below.
    let shift = |time: Timestamp| Timestamp(time.0 + 30 * MINUTE);
    let stated = Chunk {
        min: shift(second.min),
        max: shift(second.max),
        ..second.clone()
    };
    let both = labels.iter().chain(next.iter());
    let symbols: BTreeSet<&[u8]> = both.flat_map(|(n, v)| [n, v]).collect();
    let mut writer = BlockWriter::create(dir.path(), symbols)?;
    writer.add_series(labels, &[first.clone(), stated])?;
    writer.add_series(&next, std::slice::from_ref(&first))?;
    let meta = model::BlockMeta::decode(&serde_json::to_vec(&serde_json::json!({
        "ulid": block.id, "minTime": block.start, "maxTime": block.end, "version": 1,
    }))?)?;
    let stats = writer.finish(meta)?.stats;
    let mut index = fs::read(dir.path().join("index"))?;
    let refs = Block::open(dir.path())?.refs_by_name()?;
    let [at, end] = refs.iter().copied().map(place).collect::<Vec<_>>()[..] else {
        anyhow::bail!("expected two series, found {refs:?}");
    };
    // The record's length takes one byte.
    let length = usize::from(index[at]);
    let body = &index[at + 1..at + 1 + length];
    let (before, after) = (varint(MINUTE), varint(second.min.0 - first.max.0));
    let places: Vec<usize> = (0..body.len())
        .filter(|at| body[*at..].starts_with(&before))
        .collect();
    let [within] = places.as_slice() else {
        anyhow::bail!("expected one distance of a minute, found {places:?}");
    };
    let body = [&body[..*within], &after, &body[within + before.len()..]].concat();
    let record = [
        &[u8::try_from(body.len())?],
        body.as_slice(),
        &crc32c::crc32c(&body).to_be_bytes(),
    ]
    .concat();
    if record.len() > end - at {
        return Ok(None);
    }
    index[at..end].fill(0);
    index[at..at + record.len()].copy_from_slice(&record);
    let chunks = fs::read(dir.path().join("chunks/000001"))?;
    Ok(Some((index, chunks, stats, answer)))
}

fn place(series: SeriesRef) -> usize {
    series.0 as usize * ALIGN
}

/// A time as an unsigned number of seven bits a byte, which for one before zero is very large.
fn varint(time: i64) -> Vec<u8> {
    let mut rest = time.cast_unsigned();
    let mut bytes = Vec::new();
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            bytes.push(low & 0x7f);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn chunk(times: &[i64]) -> Chunk {
    let values: Vec<f64> = times.iter().map(|t| (t / MINUTE % 1000) as f64).collect();
    Chunk {
        encoding: Encoding::Xor,
        min: Timestamp(times[0]),
        max: Timestamp(times[times.len() - 1]),
        data: encode_xor(times, &values),
    }
}
