//! The bytes of the catalog; numbers are little-endian.
//!
//! ```text
//! "varvecat" <8>   version <4>   fingerprint of all entries but their contents <16>
//! one zstd frame, with checksum:
//!   1 <1>   key: len <2>, bytes   size <8>   modified, ms <8>   etag: 0 <1> | 1 <1>, len <2>, bytes   JSON: len <4>, bytes
//!   …
//!   0 <1>   number of entries <8>
//! ```

use std::io::{self, BufRead, Read, Write as _};

use md5::{Digest as _, Md5};
use model::Timestamp;
use zstd::stream::{read::Decoder, write::Encoder};

use super::CATALOG;
use crate::Object;

/// Bytes before the frame.
pub(super) const HEADER: u64 = 28;

const MAGIC: &[u8; 8] = b"varvecat";
const VERSION: u32 = 1;
const LEVEL: i32 = 3;
/// The most memory that a frame may ask for, as a power of two: that of level 3.
const WINDOW_LOG: u32 = 22;
/// The most that a frame may expand: similar documents expand less, and a frame could expand far more.
const MAX_RATIO: u64 = 2000;
/// The most bytes of one document.
const MAX_DOCUMENT: u32 = 64 << 20;

type Fingerprint = [u8; 16];

/// Reads entries until their end.
struct Body<'a> {
    frame: Decoder<'a, &'a [u8]>,
    /// Bytes of the content so far.
    offset: u64,
    /// The most entries.
    limit: u64,
}

/// Identifies a list of objects.
pub(super) fn fingerprint<'a>(objects: impl Iterator<Item = &'a Object>) -> Fingerprint {
    let mut digest = Md5::new();
    let mut bytes = Vec::new();
    for object in objects {
        bytes.clear();
        put_object(object, &mut bytes);
        digest.update(&bytes);
    }
    digest.finalize().into()
}

/// Whether a catalog begins with this header: of this version, and of these objects.
pub(super) fn same(header: &[u8], fingerprint: Fingerprint) -> bool {
    header == self::header(fingerprint)
}

/// Writes a catalog of objects and their contents.
#[cfg_attr(
    not(any(test, feature = "testing")),
    expect(unreachable_pub, reason = "the feature `testing` gives it to others")
)]
#[must_use]
pub fn encode<'a>(entries: impl Iterator<Item = (&'a Object, Vec<u8>)> + Clone) -> Vec<u8> {
    let fingerprint = fingerprint(entries.clone().map(|(object, _)| object));
    let header = header(fingerprint);
    // Writing to memory does not fail.
    write(header.clone(), entries).unwrap_or(header)
}

fn write<'a>(
    header: Vec<u8>,
    entries: impl Iterator<Item = (&'a Object, Vec<u8>)>,
) -> io::Result<Vec<u8>> {
    let mut frame = Encoder::new(header, LEVEL)?;
    frame.include_checksum(true)?;
    let (mut count, mut bytes) = (0_u64, Vec::new());
    for (object, json) in entries {
        bytes.clear();
        bytes.push(1);
        let is_written = put_object(object, &mut bytes);
        // Objects without a place in it are read from the bucket.
        let Some(len) = u32::try_from(json.len())
            .ok()
            .filter(|len| is_written && *len <= MAX_DOCUMENT)
        else {
            continue;
        };
        bytes.extend_from_slice(&len.to_le_bytes());
        frame.write_all(&bytes)?;
        frame.write_all(&json)?;
        count += 1;
    }
    frame.write_all(&[0])?;
    frame.write_all(&count.to_le_bytes())?;
    frame.finish()
}

fn header(fingerprint: Fingerprint) -> Vec<u8> {
    [MAGIC.as_slice(), &VERSION.to_le_bytes(), &fingerprint].concat()
}

/// Whether the object has a place in a catalog.
fn put_object(object: &Object, bytes: &mut Vec<u8>) -> bool {
    let mut fits = put_text(&object.key, bytes);
    bytes.extend_from_slice(&object.size.to_le_bytes());
    bytes.extend_from_slice(&object.last_modified.0.to_le_bytes());
    bytes.push(u8::from(object.etag.is_some()));
    if let Some(etag) = &object.etag {
        fits &= put_text(etag, bytes);
    }
    fits
}

fn put_text(text: &str, bytes: &mut Vec<u8>) -> bool {
    let len = u16::try_from(text.len());
    bytes.extend_from_slice(&len.unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    len.is_ok()
}

/// Reads a catalog, entry by entry. The entries may be used only if the whole catalog was read without an error.
///
/// # Errors
/// Names the place, what was expected and what was found.
#[cfg_attr(
    not(any(test, feature = "testing")),
    expect(unreachable_pub, reason = "the feature `testing` gives it to others")
)]
pub fn decode(catalog: &[u8], mut each: impl FnMut(&Object, &[u8])) -> Result<(), String> {
    let frame = header_of(catalog)?;
    let limit = (frame.len() as u64).saturating_mul(MAX_RATIO);
    let unusable = |error: io::Error| format!("{CATALOG}: byte {HEADER}: {error}");
    let mut frame = Decoder::with_buffer(frame)
        .map_err(unusable)?
        .single_frame();
    frame.window_log_max(WINDOW_LOG).map_err(unusable)?;
    let mut body = Body {
        frame,
        offset: 0,
        limit,
    };
    let (mut count, mut json) = (0_u64, Vec::new());
    loop {
        match body.byte()? {
            0 => break,
            1 => {}
            other => return Err(body.error(format_args!("expected 0 or 1, found {other}"))),
        }
        let object = body.object()?;
        let len = u32::from_le_bytes(body.array()?);
        if len > MAX_DOCUMENT {
            let wrong = format_args!("expected at most {MAX_DOCUMENT} bytes, found {len}");
            return Err(body.error(wrong));
        }
        body.bytes(len.into(), &mut json)?;
        each(&object, &json);
        count += 1;
    }
    let expected = u64::from_le_bytes(body.array()?);
    if count != expected {
        return Err(body.error(format_args!("expected {expected} entries, found {count}")));
    }
    body.end()
}

/// What follows the header.
fn header_of(catalog: &[u8]) -> Result<&[u8], String> {
    let wrong = |text: String| format!("{CATALOG}: {text}");
    let header = catalog.split_first_chunk::<8>();
    let (magic, rest) =
        header.ok_or_else(|| wrong(format!("expected a header, found {} bytes", catalog.len())))?;
    if magic != MAGIC {
        let found = magic.escape_ascii();
        return Err(wrong(format!("expected varvecat, found {found}")));
    }
    let version = rest.split_first_chunk::<4>();
    let version = version.map(|(version, rest)| (u32::from_le_bytes(*version), rest));
    match version {
        Some((VERSION, rest)) => {
            let rest = rest.split_first_chunk::<16>();
            rest.map(|(_, frame)| frame)
                .ok_or_else(|| wrong("expected a fingerprint, found the end".to_owned()))
        }
        Some((found, _)) => Err(wrong(format!("version: expected {VERSION}, found {found}"))),
        None => Err(wrong("expected a version, found the end".to_owned())),
    }
}

impl Body<'_> {
    fn object(&mut self) -> Result<Object, String> {
        let key = self.text()?;
        let size = u64::from_le_bytes(self.array()?);
        let last_modified = Timestamp(i64::from_le_bytes(self.array()?));
        let etag = match self.byte()? {
            0 => None,
            1 => Some(self.text()?),
            other => return Err(self.error(format_args!("expected 0 or 1, found {other}"))),
        };
        Ok(Object {
            key,
            size,
            last_modified,
            etag,
        })
    }

    fn text(&mut self) -> Result<String, String> {
        let len = u16::from_le_bytes(self.array()?);
        let mut bytes = Vec::new();
        self.bytes(len.into(), &mut bytes)?;
        String::from_utf8(bytes).map_err(|error| self.error(format_args!("{error}")))
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.advance(N as u64)?;
        let read = self.frame.read_exact(&mut bytes);
        read.map_err(|error| self.error(format_args!("{error}")))?;
        Ok(bytes)
    }

    /// Reads so many bytes. Memory grows with the bytes read, not with the stated length.
    fn bytes(&mut self, len: u64, into: &mut Vec<u8>) -> Result<(), String> {
        into.clear();
        self.advance(len)?;
        let read = self.frame.by_ref().take(len).read_to_end(into);
        match read {
            Ok(read) if read as u64 == len => Ok(()),
            Ok(read) => Err(self.error(format_args!("expected {len} bytes, found {read}"))),
            Err(error) => Err(self.error(format_args!("{error}"))),
        }
    }

    fn advance(&mut self, len: u64) -> Result<(), String> {
        self.offset = self.offset.saturating_add(len);
        if self.offset > self.limit {
            let limit = self.limit;
            return Err(self.error(format_args!("expected at most {limit} bytes")));
        }
        Ok(())
    }

    /// Nothing follows, and the checksum is right.
    fn end(mut self) -> Result<(), String> {
        let mut more = [0];
        match self.frame.read(&mut more) {
            Ok(0) => {}
            Ok(_) => return Err(self.error(format_args!("expected the end, found more"))),
            Err(error) => return Err(self.error(format_args!("{error}"))),
        }
        let mut rest = self.frame.finish();
        match rest.fill_buf() {
            Ok([]) => Ok(()),
            _ => Err(format!(
                "{CATALOG}: expected the end after the frame, found more"
            )),
        }
    }

    fn error(&self, what: std::fmt::Arguments<'_>) -> String {
        format!("{CATALOG}: content at byte {}: {what}", self.offset)
    }
}

#[cfg(test)]
mod tests;
