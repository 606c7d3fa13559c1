//! Puts right the checksums of mutated files, so that what is behind the check is reached too.

const CRC_LEN: usize = 4;

/// The table of contents: the checksum of all before it.
pub fn seal_toc(toc: &mut [u8]) {
    if let Some((body, crc)) = toc.split_last_chunk_mut::<CRC_LEN>() {
        *crc = crc32c::crc32c(body).to_be_bytes();
    }
}

/// Symbols, postings and the postings offset table: be32 length, body, checksum of the body.
pub fn seal_section(section: &mut [u8]) {
    if let Some((len, rest)) = section.split_first_chunk_mut::<4>() {
        seal_body(u32::from_be_bytes(*len) as usize, rest);
    }
}

/// A series of an index: uvarint length, body, checksum of the body.
pub fn seal_series(series: &mut [u8]) {
    if let Some((len, head)) = uvarint(series) {
        seal_body(len, &mut series[head..]);
    }
}

/// A tombstones file: five bytes, entries, checksum of the entries.
pub fn seal_tombstones(file: &mut [u8]) {
    if let Some(rest) = file.get_mut(5..) {
        seal_toc(rest);
    }
}

/// The record of a chunk, as in a segment, whose encoding and data are `body`.
pub fn sealed_record(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_uvarint(&mut out, body.len().saturating_sub(1) as u64);
    out.extend_from_slice(body);
    out.extend_from_slice(&crc32c::crc32c(body).to_be_bytes());
    out
}

/// Appends an uvarint.
pub fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn seal_body(len: usize, rest: &mut [u8]) {
    if let Some((body, rest)) = rest.split_at_mut_checked(len)
        && let Some(crc) = rest.first_chunk_mut::<CRC_LEN>()
    {
        *crc = crc32c::crc32c(body).to_be_bytes();
    }
}

/// A length, and how many bytes it took.
fn uvarint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (i, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            return Some((value, i + 1));
        }
    }
    None
}
