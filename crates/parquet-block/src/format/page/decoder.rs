//! One page: the `parquet` crate reads its header and compares its checksum. What is compressed is decompressed here,
//! by contexts that are kept: the crate makes two for each column.
//!
//! ```text
//! version 1   compressed( [u32 little-endian length, definition levels] values )
//! version 2   [definition levels] compressed( values )
//! ```
//! Nothing in the page tells whether the header is damaged; a checksum of it may be in the table that
//! `page_index` draws.
//! Columns of blocks do not repeat, so there are no repetition levels; definition levels are there for
//! optional columns, as a hybrid of one bit a row: 0 is null.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parquet::{
    basic::{Encoding as StoredEncoding, Type},
    column::page::{Page as StoredPage, PageReader as _},
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, ColumnChunkMetaDataBuilder},
        reader::SerializedPageReader,
    },
    schema::types::{ColumnDescPtr, ColumnDescriptor, ColumnPath, Type as SchemaType},
};

use super::Encoding;
use crate::format::{
    compression::decompress,
    fault::Fault,
    metadata::{Codec, ColumnChunk, Repetition},
    page_index::PageLocation,
    thrift::{Kind, PAGE_HEADER, ThriftReader},
};

/// The contents of a page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Rows of a data page, nulls included; values of a dictionary.
    pub(crate) values: usize,
    pub(crate) encoding: Encoding,
    /// Definition levels, of optional columns.
    pub(crate) levels: Option<Bytes>,
    pub(crate) data: Bytes,
}

/// `PageType::INDEX_PAGE`
const INDEX_PAGE: i32 = 1;

/// What the crate does not give of a page.
struct Header {
    len: usize,
    /// The size of the contents without compression.
    size: usize,
}

/// A column of byte strings: all that the crate's reader of pages must know.
static COLUMN: LazyLock<Result<ColumnDescPtr, ParquetError>> = LazyLock::new(|| {
    let column = SchemaType::primitive_type_builder("column", Type::BYTE_ARRAY).build()?;
    let path = ColumnPath::new(vec!["column".to_owned()]);
    let column = ColumnDescriptor::new(Arc::new(column), 0, 0, path);
    Ok(Arc::new(column))
});

impl Page {
    /// Decodes a dictionary page, with which `bytes` begin; `header_crc` is the checksum of its header, if known.
    pub(crate) fn dictionary(
        bytes: &Bytes,
        chunk: &ColumnChunk,
        header_crc: Option<u32>,
    ) -> Result<Self, Fault> {
        let (header, page) = stored(bytes, chunk, header_crc)?;
        match page {
            // PLAIN, or PLAIN_DICTIONARY, which older writers use for the same.
            StoredPage::DictionaryPage {
                buf,
                num_values,
                encoding: StoredEncoding::PLAIN | StoredEncoding::PLAIN_DICTIONARY,
                ..
            } => Ok(Self {
                values: num_values as usize,
                encoding: Encoding::Plain,
                levels: None,
                data: header.decompress(chunk.codec, &buf, header.size)?,
            }),
            other => {
                let (kind, encoding) = (other.page_type(), other.encoding());
                let reason = format!("expected a dictionary page, found {kind} of {encoding}");
                Err(Fault::new(0, reason))
            }
        }
    }

    /// Decodes the data page at `location`, whose bytes are `bytes`.
    pub(crate) fn data(
        bytes: &Bytes,
        chunk: &ColumnChunk,
        repetition: Repetition,
        location: &PageLocation,
    ) -> Result<Self, Fault> {
        let rows = location.rows.len();
        let (header, page) = stored(bytes, chunk, location.header_crc)?;
        let encoding = match page.encoding() {
            StoredEncoding::PLAIN => Encoding::Plain,
            StoredEncoding::PLAIN_DICTIONARY | StoredEncoding::RLE_DICTIONARY => {
                Encoding::Dictionary
            }
            StoredEncoding::DELTA_LENGTH_BYTE_ARRAY => Encoding::DeltaLength,
            StoredEncoding::DELTA_BYTE_ARRAY => Encoding::DeltaByteArray,
            other => {
                return Err(Fault::new(
                    0,
                    format!(
                        "encoding of values: expected a known one for byte strings, found {other}"
                    ),
                ));
            }
        };
        let values = page.num_values() as usize;
        if values != rows {
            let reason = format!("page: expected {rows} rows by the offset index, found {values}");
            return Err(Fault::new(0, reason));
        }
        let optional = match repetition {
            Repetition::Required => false,
            Repetition::Optional => true,
            Repetition::Repeated => {
                return Err(Fault::new(
                    0,
                    "column: expected one value a row, found a repeated column",
                ));
            }
        };
        let (levels, data) = match page {
            StoredPage::DictionaryPage { .. } => {
                return Err(Fault::new(
                    0,
                    "expected a data page, found a dictionary page",
                ));
            }
            StoredPage::DataPage {
                buf,
                def_level_encoding,
                ..
            } => {
                let data = header.decompress(chunk.codec, &buf, header.size)?;
                if optional {
                    split_v1(data, def_level_encoding)?
                } else {
                    (None, data)
                }
            }
            StoredPage::DataPageV2 {
                buf,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                ..
            } => {
                if rep_levels_byte_len != 0 {
                    return Err(Fault::new(
                        0,
                        "page: expected no repetition levels, found some",
                    ));
                }
                let codec = match is_compressed {
                    true => chunk.codec,
                    false => Codec::Uncompressed,
                };
                let (levels, data) = header.split_v2(codec, &buf, def_levels_byte_len as usize)?;
                (optional.then_some(levels), data)
            }
        };
        Ok(Self {
            values,
            encoding,
            levels,
            data,
        })
    }
}

/// The page with which `bytes` begin, as stored: the crate is told that it is not compressed.
fn stored(
    bytes: &Bytes,
    chunk: &ColumnChunk,
    header_crc: Option<u32>,
) -> Result<(Header, StoredPage), Fault> {
    let header = Header::of(bytes)?;
    let head = bytes.get(..header.len).unwrap_or_default();
    check_crc("page header", head, header_crc)?;
    // A header with a checksum is as it was written.
    if header_crc.is_none() {
        PAGE_HEADER.check(head)?;
    }
    if header.size as u64 > chunk.uncompressed_size {
        let reason = format!(
            "page: expected at most the {} bytes of the column chunk, found {}",
            chunk.uncompressed_size, header.size
        );
        return Err(Fault::new(0, reason));
    }
    let len = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let column = column_chunk(|column| column.set_total_compressed_size(len))?;
    let page = SerializedPageReader::new(Arc::new(bytes.clone()), &column, 0, None)
        .and_then(|mut pages| pages.get_next_page())
        .map_err(|error| Fault::from(error).within(header.len))?;
    match page {
        Some(page) => Ok((header, page)),
        None => Err(Fault::new(
            0,
            "expected a page, found another part of a column",
        )),
    }
}

/// Compares the header with which `bytes` begin with its checksum.
pub(crate) fn check_header(bytes: &[u8], header_crc: u32) -> Result<(), Fault> {
    let header = Header::of(bytes)?;
    let head = bytes.get(..header.len).unwrap_or_default();
    check_crc("page header", head, Some(header_crc))
}

/// A column chunk of byte strings, for the crate to read a part of.
pub(crate) fn column_chunk(
    with: impl FnOnce(ColumnChunkMetaDataBuilder) -> ColumnChunkMetaDataBuilder,
) -> Result<ColumnChunkMetaData, Fault> {
    let column = COLUMN.as_ref();
    let column = column.map_err(|error| Fault::new(0, error.to_string()))?;
    Ok(with(ColumnChunkMetaData::builder(Arc::clone(column))).build()?)
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
    let reason = format!("{what}: expected CRC-32 {expected:08x}, found {found:08x}");
    Err(Fault::new(0, reason))
}

fn split_v1(mut data: Bytes, encoding: StoredEncoding) -> Result<(Option<Bytes>, Bytes), Fault> {
    if encoding != StoredEncoding::RLE {
        let reason = format!("encoding of definition levels: expected RLE, found {encoding}");
        return Err(Fault::new(0, reason));
    }
    let len = data
        .first_chunk::<4>()
        .and_then(|len| usize::try_from(u32::from_le_bytes(*len)).ok())
        .filter(|len| len.saturating_add(4) <= data.len())
        .ok_or_else(|| Fault::new(0, "definition levels end early"))?;
    let mut levels = data.split_to(4 + len);
    Ok((Some(levels.split_off(4)), data))
}

impl Header {
    fn of(bytes: &[u8]) -> Result<Self, Fault> {
        let mut thrift = ThriftReader::new(bytes);
        let (mut kind_of, mut size) = (0, 0);
        let mut levels = 0_usize;
        thrift.fields(|t, id, kind| match (id, kind) {
            (1, Kind::I32) => t.i32().map(|found| kind_of = found),
            (2, Kind::I32) => t.size().map(|found| size = found),
            // The crate adds these two up in 32 bits.
            (8, Kind::Struct) => t.fields(|t, id, kind| match (id, kind) {
                (5 | 6, Kind::I32) => t.size().map(|found| levels = levels.saturating_add(found)),
                _ => t.skip(kind),
            }),
            _ => t.skip(kind),
        })?;
        // The crate passes over an index page, to a header that was not checked.
        if kind_of == INDEX_PAGE {
            return Err(Fault::new(
                0,
                "expected a page of values, found an index page",
            ));
        }
        if levels > size {
            return Err(Fault::new(
                0,
                format!("levels: expected at most the {size} bytes of the page, found {levels}"),
            ));
        }
        Ok(Self {
            len: thrift.position(),
            size,
        })
    }

    fn decompress(&self, codec: Codec, stored: &Bytes, size: usize) -> Result<Bytes, Fault> {
        decompress(codec, stored, size).map_err(|fault| fault.within(self.len))
    }

    /// The definition levels and the values of a page of version 2.
    fn split_v2(
        &self,
        codec: Codec,
        stored: &Bytes,
        levels: usize,
    ) -> Result<(Bytes, Bytes), Fault> {
        let size = self.size.checked_sub(levels);
        let (Some(size), true) = (size, levels <= stored.len()) else {
            let reason = format!(
                "definition levels: expected at most the {} bytes of the page, found {levels}",
                stored.len()
            );
            return Err(Fault::new(0, reason));
        };
        let data = self.decompress(codec, &stored.slice(levels..), size)?;
        Ok((stored.slice(..levels), data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_page_is_refused_before_the_crate_passes_over_it() {
        // 1: type; 2 and 3: sizes.
        let header = |kind: u8| [0x15, 2 * kind, 0x15, 0, 0x15, 0, 0];
        assert!(Header::of(&header(0)).is_ok());
        let fault = Header::of(&header(1)).err().unwrap();
        let expected = Fault::new(0, "expected a page of values, found an index page");
        assert_eq!(fault, expected);
    }
}
