//! One page: its header, and its contents decompressed.
//!
//! ```text
//! PageHeader  thrift: 1: type, 2: size of the contents, 3: their compressed size, 4: CRC-32 of the stored
//!             contents, 5: DataPageHeader, 7: DictionaryPageHeader, 8: DataPageHeaderV2
//! version 1   compressed( [u32 little-endian length, definition levels] values )
//! version 2   [definition levels] compressed( values )
//! ```
//! Nothing in the page tells whether the header is damaged; a checksum of it may be in the offset index.
//! Columns of blocks do not repeat, so there are no repetition levels; definition levels are there for
//! optional columns, as a hybrid of one bit a row: 0 is null.

use bytes::Bytes;

use super::{
    codec,
    fault::Fault,
    metadata::{Codec, ColumnChunk, Repetition},
    page_index::PageLocation,
    thrift::{Kind, Thrift},
};

/// How values are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Dictionary,
    DeltaLength,
    DeltaByteArray,
}

/// A page's contents.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Rows of a data page, nulls included; values of a dictionary.
    pub(crate) values: usize,
    pub(crate) encoding: Encoding,
    /// Definition levels, of optional columns.
    pub(crate) levels: Option<Bytes>,
    pub(crate) data: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Data,
    Dictionary,
    DataV2,
}

struct Header {
    kind: Type,
    size: usize,
    compressed: usize,
    crc: Option<u32>,
    values: usize,
    encoding: i32,
    levels_encoding: i32,
    levels_size: usize,
    repetition_size: usize,
    is_compressed: bool,
}

impl Page {
    /// Decodes a dictionary page, which `bytes` begin with; `header_crc` is the checksum of its header, if one is
    /// known.
    pub(crate) fn dictionary(
        bytes: &Bytes,
        chunk: &ColumnChunk,
        header_crc: Option<u32>,
    ) -> Result<Self, Fault> {
        let (header, contents) = split(bytes, chunk, header_crc)?;
        if header.kind != Type::Dictionary {
            return Err(Fault::new(0, "dictionary page expected, found a data page"));
        }
        // PLAIN, or PLAIN_DICTIONARY, which older writers say here and mean the same.
        if !matches!(header.encoding, 0 | 2) {
            return Err(Fault::new(
                0,
                format!("dictionary of encoding {}", header.encoding),
            ));
        }
        Ok(Self {
            values: header.values,
            encoding: Encoding::Plain,
            levels: None,
            data: header.decompress(chunk.codec, &contents, header.size)?,
        })
    }

    /// Decodes the data page at `location`, which `bytes` are.
    pub(crate) fn data(
        bytes: &Bytes,
        chunk: &ColumnChunk,
        repetition: Repetition,
        location: &PageLocation,
    ) -> Result<Self, Fault> {
        let rows = location.rows.len();
        let (header, contents) = split(bytes, chunk, location.header_crc)?;
        let encoding = match header.encoding {
            0 => Encoding::Plain,
            2 | 8 => Encoding::Dictionary,
            6 => Encoding::DeltaLength,
            7 => Encoding::DeltaByteArray,
            other => return Err(Fault::new(0, format!("values of encoding {other}"))),
        };
        if header.values != rows {
            return Err(Fault::new(
                0,
                format!(
                    "page of {} rows, the offset index says {rows}",
                    header.values
                ),
            ));
        }
        let optional = match repetition {
            Repetition::Required => false,
            Repetition::Optional => true,
            Repetition::Repeated => return Err(Fault::new(0, "column repeats")),
        };
        let (levels, data) = match header.kind {
            Type::Dictionary => {
                return Err(Fault::new(0, "data page expected, found a dictionary page"));
            }
            Type::Data => header.contents_v1(chunk.codec, &contents, optional)?,
            Type::DataV2 => header.contents_v2(chunk.codec, &contents, optional)?,
        };
        Ok(Self {
            values: header.values,
            encoding,
            levels,
            data,
        })
    }
}

/// The header, and the stored bytes after it.
fn split(
    bytes: &Bytes,
    chunk: &ColumnChunk,
    header_crc: Option<u32>,
) -> Result<(Header, Bytes), Fault> {
    let mut thrift = Thrift::new(bytes);
    let header = Header::decode(&mut thrift)?;
    let head = bytes.get(..thrift.position()).unwrap_or_default();
    check_crc("page header", head, header_crc)?;
    if header.size as u64 > chunk.uncompressed_size {
        return Err(Fault::new(
            0,
            format!(
                "page of {} bytes in a column chunk of {}",
                header.size, chunk.uncompressed_size
            ),
        ));
    }
    let start = thrift.position();
    let contents = start
        .checked_add(header.compressed)
        .filter(|end| *end <= bytes.len())
        .map(|end| bytes.slice(start..end))
        .ok_or_else(|| {
            Fault::new(
                start,
                format!(
                    "page of {} stored bytes, {} are left",
                    header.compressed,
                    bytes.len().saturating_sub(start)
                ),
            )
        })?;
    check_crc("page", &contents, header.crc).map_err(|fault| fault.within(start))?;
    Ok((header, contents))
}

/// Compares bytes with their CRC-32, if it is known.
pub(crate) fn check_crc(what: &str, bytes: &[u8], expected: Option<u32>) -> Result<(), Fault> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let found = crc32fast::hash(bytes);
    if found == expected {
        return Ok(());
    }
    let reason = format!("{what}: checksum {expected:08x} expected, found {found:08x}");
    Err(Fault::new(0, reason))
}

impl Header {
    fn decode(t: &mut Thrift<'_>) -> Result<Self, Fault> {
        let (mut kind, mut header) = (
            None,
            Self {
                kind: Type::Data,
                size: 0,
                compressed: 0,
                crc: None,
                values: 0,
                encoding: -1,
                levels_encoding: 3,
                levels_size: 0,
                repetition_size: 0,
                is_compressed: true,
            },
        );
        t.fields(|t, id, wire| {
            match (id, wire) {
                (1, Kind::I32) => kind = Some(t.i32()?),
                (2, Kind::I32) => header.size = t.size()?,
                (3, Kind::I32) => header.compressed = t.size()?,
                (4, Kind::I32) => header.crc = Some(t.i32()?.cast_unsigned()),
                (5 | 7, Kind::Struct) => header.decode_v1(t)?,
                (8, Kind::Struct) => header.decode_v2(t)?,
                _ => t.skip(wire)?,
            }
            Ok(())
        })?;
        header.kind = match kind {
            Some(0) => Type::Data,
            Some(2) => Type::Dictionary,
            Some(3) => Type::DataV2,
            other => return Err(Fault::new(0, format!("page of type {other:?}"))),
        };
        Ok(header)
    }

    /// The header of a data page, or of a dictionary, whose first two fields are the same.
    fn decode_v1(&mut self, t: &mut Thrift<'_>) -> Result<(), Fault> {
        t.fields(|t, id, wire| {
            match (id, wire) {
                (1, Kind::I32) => self.values = t.size()?,
                (2, Kind::I32) => self.encoding = t.i32()?,
                (3, Kind::I32) => self.levels_encoding = t.i32()?,
                _ => t.skip(wire)?,
            }
            Ok(())
        })
    }

    fn decode_v2(&mut self, t: &mut Thrift<'_>) -> Result<(), Fault> {
        t.fields(|t, id, wire| {
            match (id, wire) {
                (1, Kind::I32) => self.values = t.size()?,
                (4, Kind::I32) => self.encoding = t.i32()?,
                (5, Kind::I32) => self.levels_size = t.size()?,
                (6, Kind::I32) => self.repetition_size = t.size()?,
                (7, Kind::False) => self.is_compressed = false,
                _ => t.skip(wire)?,
            }
            Ok(())
        })
    }

    fn decompress(&self, codec: Codec, stored: &Bytes, size: usize) -> Result<Bytes, Fault> {
        let codec = if self.is_compressed {
            codec
        } else {
            Codec::Uncompressed
        };
        codec::decompress(codec, stored, size).map_err(|reason| Fault::new(0, reason))
    }

    fn contents_v1(
        &self,
        codec: Codec,
        stored: &Bytes,
        optional: bool,
    ) -> Result<(Option<Bytes>, Bytes), Fault> {
        let mut data = self.decompress(codec, stored, self.size)?;
        if !optional {
            return Ok((None, data));
        }
        if self.levels_encoding != 3 {
            return Err(Fault::new(
                0,
                format!("definition levels of encoding {}", self.levels_encoding),
            ));
        }
        let len = data
            .first_chunk::<4>()
            .and_then(|len| usize::try_from(u32::from_le_bytes(*len)).ok())
            .filter(|len| len.saturating_add(4) <= data.len())
            .ok_or_else(|| Fault::new(0, "definition levels are cut short"))?;
        let mut levels = data.split_to(4 + len);
        Ok((Some(levels.split_off(4)), data))
    }

    fn contents_v2(
        &self,
        codec: Codec,
        stored: &Bytes,
        optional: bool,
    ) -> Result<(Option<Bytes>, Bytes), Fault> {
        if self.repetition_size != 0 {
            return Err(Fault::new(0, "page has repetition levels"));
        }
        let size = self.size.checked_sub(self.levels_size);
        let (Some(size), true) = (size, self.levels_size <= stored.len()) else {
            return Err(Fault::new(
                0,
                format!(
                    "{} bytes of definition levels in {}",
                    self.levels_size,
                    stored.len()
                ),
            ));
        };
        let levels = stored.slice(..self.levels_size);
        let data = self.decompress(codec, &stored.slice(self.levels_size..), size)?;
        Ok((optional.then_some(levels), data))
    }
}
