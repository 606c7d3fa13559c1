//! A series: its labels and its chunks.
//!
//! ```text
//! uvarint   length of what follows, without the checksum
//! uvarint   how many labels
//!           each: uvarint symbol of the name, uvarint symbol of the value
//! uvarint   how many chunks
//!           first: varint min time, uvarint max − min, uvarint reference
//!           others: uvarint min − max before, uvarint max − min, varint reference − that before
//! be32      crc32 of all but the length
//! ```

use model::Timestamp;

use super::FILE;
use crate::{
    codec::{CRC_LEN, Fault, Input, Stop, check_crc, put_uvarint, put_varint},
    error::{Error, Result},
    refs::{ChunkMeta, ChunkRef, Fetched, SeriesEntry, SymbolRef},
};

/// More bytes that are asked for when not even the length of a record is there.
const LENGTH_GUESS: u64 = 64;

/// Reads the series at `offset` of the index into `entry`; the series section ends at `end`. `symbol` tells which symbol
/// is meant by what is stored for it.
pub(super) fn decode(
    bytes: &[u8],
    offset: u64,
    end: u64,
    symbol: impl FnMut(u32) -> Result<SymbolRef, Stop>,
    entry: &mut SeriesEntry,
) -> Result<Fetched<()>> {
    let what = "a series";
    let mut input = Input::new(bytes, offset);
    let have = bytes.len() as u64;
    let body_len = match input.uvarint() {
        Ok(len) => len,
        Err(Fault::End { .. }) => return short(offset, end, have, have + LENGTH_GUESS),
        Err(fault) => return Err(input.error(FILE, "the length of a series", fault)),
    };
    let head = input.offset() - offset;
    let needed = body_len.saturating_add(head + CRC_LEN as u64);
    if needed > end.saturating_sub(offset) {
        return Err(Error::truncated(FILE, offset, needed, end));
    }
    if needed > have {
        return short(offset, end, have, needed);
    }
    let start = input.offset();
    let fail = |input: &Input<'_>, fault| input.error(FILE, what, fault);
    let body = input.take(body_len).map_err(|fault| fail(&input, fault))?;
    let stored = input.be32().map_err(|fault| fail(&input, fault))?;
    check_crc(FILE, start + body_len, what, body, stored)?;

    let mut input = Input::new(body, start);
    read(&mut input, symbol, entry).map_err(|stop| input.stopped(FILE, what, stop))?;
    if !input.is_empty() {
        let found = format!("{} bytes more", input.len());
        return Err(Error::corrupt(
            FILE,
            input.offset(),
            "the end of a series",
            found,
        ));
    }
    if !entry.labels.is_sorted_by(|a, b| a.0 < b.0) {
        // Old writers left some unsorted; a name that is there twice is beyond repair.
        entry.labels.sort_unstable();
        if let Some(twice) = entry
            .labels
            .windows(2)
            .find(|w| w.first().map(|l| l.0) == w.last().map(|l| l.0))
        {
            let name = twice.first().map_or(0, |label| label.0.0);
            let found = format!("the one of symbol {name} twice");
            return Err(Error::corrupt(FILE, start, "each label name once", found));
        }
    }
    Ok(Fetched::Done(()))
}

fn read(
    input: &mut Input<'_>,
    mut symbol: impl FnMut(u32) -> Result<SymbolRef, Stop>,
    entry: &mut SeriesEntry,
) -> Result<(), Stop> {
    let mut symbol = |input: &mut Input<'_>| {
        let before = input.clone();
        let stored = input.uvarint32()?;
        symbol(stored).inspect_err(|_| *input = before)
    };
    entry.labels.clear();
    entry.chunks.clear();
    let count = counted(input, 2)?;
    entry.labels.reserve(count);
    for _ in 0..count {
        entry.labels.push((symbol(input)?, symbol(input)?));
    }

    let count = counted(input, 3)?;
    entry.chunks.reserve(count);
    let (mut last_max, mut last_reference) = (0_i64, 0_u64);
    for i in 0..count {
        let before = input.clone();
        // Chunks out of order were written as differences that wrap around.
        let min = if i == 0 {
            input.varint()?
        } else {
            last_max.wrapping_add_unsigned(input.uvarint()?)
        };
        let length = input.uvarint()?;
        let max = min.checked_add_unsigned(length).ok_or_else(|| {
            *input = before;
            Fault::Bad {
                expected: "a chunk that does not end before it starts",
                found: length,
            }
        })?;
        let reference = if i == 0 {
            input.uvarint()?
        } else {
            last_reference.wrapping_add_signed(input.varint()?)
        };
        entry.chunks.push(ChunkMeta {
            min: Timestamp(min),
            max: Timestamp(max),
            reference: ChunkRef(reference),
        });
        (last_max, last_reference) = (max, reference);
    }
    Ok(())
}

/// A count of things that take at least `size` bytes each.
fn counted(input: &mut Input<'_>, size: usize) -> Result<usize, Fault> {
    let before = input.clone();
    let count = input.uvarint()?;
    match usize::try_from(count) {
        Ok(count) if count <= input.len() / size => Ok(count),
        _ => {
            *input = before;
            Err(Fault::Bad {
                expected: "a count that fits",
                found: count,
            })
        }
    }
}

fn short(offset: u64, end: u64, have: u64, needed: u64) -> Result<Fetched<()>> {
    let needed = needed.min(end.saturating_sub(offset));
    if needed <= have {
        return Err(Error::truncated(FILE, offset, have + 1, end));
    }
    Ok(Fetched::Short { needed })
}

/// Appends a series to `out`; `body` is scratch space.
pub(super) fn encode(
    labels: &[(SymbolRef, SymbolRef)],
    chunks: &[ChunkMeta],
    body: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    body.clear();
    put_uvarint(body, labels.len() as u64);
    for (name, value) in labels {
        put_uvarint(body, u64::from(name.0));
        put_uvarint(body, u64::from(value.0));
    }
    put_uvarint(body, chunks.len() as u64);
    let mut previous: Option<&ChunkMeta> = None;
    for chunk in chunks {
        let (min, reference) = (chunk.min.0, chunk.reference.0);
        let length = chunk.max.0.wrapping_sub(min).cast_unsigned();
        if let Some(previous) = previous {
            put_uvarint(body, min.wrapping_sub(previous.max.0).cast_unsigned());
            put_uvarint(body, length);
            put_varint(
                body,
                reference.wrapping_sub(previous.reference.0).cast_signed(),
            );
        } else {
            put_varint(body, min);
            put_uvarint(body, length);
            put_uvarint(body, reference);
        }
        previous = Some(chunk);
    }
    put_uvarint(out, body.len() as u64);
    out.extend_from_slice(body);
    out.extend_from_slice(&crc32c::crc32c(body).to_be_bytes());
}
