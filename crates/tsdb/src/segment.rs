//! A chunk segment: the chunks of a block, one behind the other, in files of up to 512 MiB.
//!
//! ```text
//! 0   be32     magic 0x85BD40DD
//! 4   1        version 1
//! 5   3        zeros
//! 8            records, each:
//!     uvarint  length of the data
//!     1        encoding
//!     …        data
//!     be32     crc32 of encoding and data
//! ```

use std::ops::Range;

use bytes::Bytes;

use crate::{
    Chunk, Encoding,
    codec::{CRC_LEN, Fault, Input, check_crc},
    error::{Error, Result},
    refs::{ChunkMeta, Fetched},
};

/// Magic, version and padding.
pub(crate) const HEAD: [u8; 8] = [0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0];
/// The directory of the segments, below the block.
pub(crate) const DIR: &str = "chunks";
/// The longest length, encoding and checksum of a record.
pub(crate) const RECORD_OVERHEAD: u64 = 5 + 1 + CRC_LEN as u64;

/// The path below the block of the segment with the index `segment`, counted from 0 as in
/// [`crate::ChunkRef::segment`]: `chunks/000001` for 0.
#[must_use]
pub fn segment_file_name(segment: u32) -> String {
    format!("{DIR}/{:06}", u64::from(segment) + 1)
}

/// What to read of its segment for a chunk whose record is guessed to take up to `max_size` bytes.
#[must_use]
pub fn chunk_range(chunk: &ChunkMeta, max_size: u64) -> Range<u64> {
    let start = u64::from(chunk.reference.offset());
    start..start.saturating_add(max_size)
}

/// Reads a chunk from bytes of its segment that start where [`chunk_range`] does; they may go on
/// behind it. The chunk's data is a slice of `bytes`.
///
/// # Errors
/// When the record is damaged, or has an encoding that is not known.
pub fn decode_chunk_record(bytes: &Bytes, chunk: &ChunkMeta) -> Result<Fetched<Chunk>> {
    let offset = u64::from(chunk.reference.offset());
    // Names are made for errors only.
    let file = || segment_file_name(chunk.reference.segment());
    let mut input = Input::new(bytes, offset);
    let have = bytes.len() as u64;
    let len = match input.uvarint32() {
        Ok(len) => u64::from(len),
        Err(Fault::End { .. }) => {
            return Ok(Fetched::Short {
                needed: have + RECORD_OVERHEAD,
            });
        }
        Err(fault) => return Err(input.error(&file(), "the length of a chunk", fault)),
    };
    let start = input.offset() - offset;
    let needed = start + 1 + len + CRC_LEN as u64;
    if needed > have {
        return Ok(Fetched::Short { needed });
    }
    let what = "a chunk";
    let fail = |input: &Input<'_>, fault| input.error(&file(), what, fault);
    let summed = input.take(1 + len).map_err(|fault| fail(&input, fault))?;
    let stored = input.be32().map_err(|fault| fail(&input, fault))?;
    if crc32c::crc32c(summed) != stored {
        check_crc(&file(), offset + start + 1 + len, what, summed, stored)?;
    }
    let (encoding, data) = summed.split_first().unwrap_or((&0, &[]));
    let encoding = Encoding::from_byte(*encoding).map_err(|error| Error::Chunk {
        file: file(),
        offset,
        source: error.into(),
    })?;
    Ok(Fetched::Done(Chunk {
        encoding,
        min: chunk.min,
        max: chunk.max,
        data: bytes.slice_ref(data),
    }))
}

/// Checks the first bytes of a segment.
pub(crate) fn check_head(file: &str, head: &[u8]) -> Result<()> {
    let mut input = Input::new(head, 0);
    let read = |input: &mut Input<'_>| Ok((input.be32()?, input.byte()?));
    let (magic, version) =
        read(&mut input).map_err(|fault| input.error(file, "magic and version", fault))?;
    let wanted = HEAD.first_chunk().map_or(0, |m| u32::from_be_bytes(*m));
    if magic != wanted {
        let expected = format!("magic {wanted:#010x}");
        return Err(Error::corrupt(file, 0, expected, format!("{magic:#010x}")));
    }
    if version != 1 {
        return Err(Error::Version {
            file: file.to_owned(),
            expected: "1",
            found: version,
        });
    }
    Ok(())
}
