//! What a reader of blocks keeps of a file's metadata, which the `parquet` crate decodes.
//!
//! ```text
//! "PAR1"
//! row groups: column chunks: [dictionary page] data page*
//! bloom filters, column indexes, offset indexes, checksums
//! FileMetaData   thrift
//! length         u32 little-endian, of FileMetaData
//! "PAR1"
//! ```
//!
//! It takes about 150 bytes a column chunk. The crate's own structs take 424 and more, and a gateway holds those of
//! every block.
//!
//! The schema is decoded here, and the crate is given one of as many columns. It would reserve memory for as many
//! columns as a schema claims, call itself as deep as groups nest, and refuse names that are not UTF-8.

use std::{ops::Range, sync::Arc};

use model::Quoted;
use parquet::{
    basic::{CompressionCodec, Encoding, EncodingMask, Type as PhysicalType},
    errors::ParquetError,
    file::{
        metadata::{
            ColumnChunkMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, RowGroupMetaData,
        },
        statistics::Statistics,
    },
    schema::types::{SchemaDescPtr, SchemaDescriptor, Type},
};

use super::{
    fault::Fault,
    thrift::{FILE_METADATA, Kind, ThriftReader},
};
use crate::layout::schema;

/// How a column's values may be absent or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repetition {
    Required,
    Optional,
    Repeated,
}

/// A leaf column of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: Box<[u8]>,
    pub(crate) repetition: Repetition,
    /// Whether its values are byte strings, as all columns of a block are.
    pub(crate) byte_array: bool,
}

/// How pages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Uncompressed,
    Snappy,
    Zstd,
    /// One that blocks are not written with.
    Other(CompressionCodec),
}

/// Bounds of a column chunk's values; either may be cut to a prefix, the upper one then rounded up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Where the lower bound is in [`Metadata::texts`].
    pub(crate) min: Option<Range<u32>>,
    /// Where the upper bound is in [`Metadata::texts`].
    pub(crate) max: Option<Range<u32>>,
    pub(crate) nulls: Option<u64>,
}

/// One column of one row group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnChunk {
    pub(crate) codec: Codec,
    /// The pages, dictionary included.
    pub(crate) pages: Range<u64>,
    /// Of all pages together.
    pub(crate) uncompressed_size: u64,
    /// Whether each data page is known to hold dictionary ids only.
    pub(crate) all_dictionary: bool,
    pub(crate) bounds: Bounds,
    pub(crate) offset_index: Option<Range<u64>>,
    pub(crate) column_index: Option<Range<u64>>,
    /// Only if its size is told, as older writers do not.
    pub(crate) bloom_filter: Option<Range<u64>>,
}

/// A row group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowGroup {
    pub(crate) rows: u32,
    /// In the order of the schema.
    pub(crate) columns: Vec<ColumnChunk>,
}

/// What the metadata say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) columns: Vec<Column>,
    pub(crate) key_values: Vec<(String, String)>,
    pub(crate) row_groups: Vec<RowGroup>,
    /// The bounds of all column chunks, one after the other.
    texts: Vec<u8>,
}

impl Metadata {
    /// Decodes the metadata of a file of `file_size` bytes; `is_listed`: see [`super::footer::Footer`].
    pub(crate) fn decode(bytes: &[u8], file_size: u64, is_listed: bool) -> Result<Self, Fault> {
        let mut metadata = Self {
            columns: schema(bytes)?,
            ..Self::default()
        };
        if !is_listed {
            FILE_METADATA.check(bytes)?;
        }
        let schema = schema_of(metadata.columns.len())?;
        let options = ParquetMetaDataOptions::new().with_schema(schema);
        let stored = ParquetMetaDataReader::decode_metadata_with_options(bytes, Some(&options))?;
        let file = stored.file_metadata();
        let pairs = file.key_value_metadata().into_iter().flatten();
        metadata.key_values = pairs
            .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
            .collect();
        let mut end = 0;
        for (i, group) in stored.row_groups().iter().enumerate() {
            let group = metadata.row_group(group, file_size)?;
            end = group.check_order(end).ok_or_else(|| {
                let reason = format!("row group {i}: its column chunks overlap with others");
                Fault::new(0, reason)
            })?;
            metadata.row_groups.push(group);
        }
        metadata.texts.shrink_to_fit();
        Ok(metadata)
    }

    fn row_group(&mut self, group: &RowGroupMetaData, file_size: u64) -> Result<RowGroup, Fault> {
        // The largest row number is reserved: it stands for none.
        let rows = u32::try_from(group.num_rows()).ok();
        let Some(rows) = rows.filter(|rows| *rows < u32::MAX) else {
            let reason = format!(
                "row group: expected a count of rows below 2^32 - 1, found {}",
                group.num_rows()
            );
            return Err(Fault::new(0, reason));
        };
        let columns = group.columns().iter();
        let columns = columns.map(|chunk| self.column_chunk(chunk, file_size));
        Ok(RowGroup {
            rows,
            columns: columns.collect::<Result<_, _>>()?,
        })
    }

    fn column_chunk(
        &mut self,
        chunk: &ColumnChunkMetaData,
        file_size: u64,
    ) -> Result<ColumnChunk, Fault> {
        if chunk.file_path().is_some() {
            return Err(Fault::new(
                0,
                "column chunk: expected in the same file, found in another one",
            ));
        }
        // Some writers write 0 for none.
        let data = chunk.data_page_offset();
        let start = match chunk.dictionary_page_offset() {
            Some(dictionary) if dictionary > 0 => dictionary.min(data),
            _ => data,
        };
        let range = |what: &str, start: i64, len: i64| {
            within(start, len, file_size).ok_or_else(|| {
                let reason = format!("{what}: expected within the {file_size} bytes of the file, found {len} bytes at byte {start}");
                Fault::new(0, reason)
            })
        };
        let optional = |what: &str, start: Option<i64>, len: Option<i32>| match start.zip(len) {
            Some((start, len)) => range(what, start, len.into()).map(Some),
            None => Ok(None),
        };
        let uncompressed_size = chunk.uncompressed_size();
        let uncompressed_size = u64::try_from(uncompressed_size).map_err(|_| {
            Fault::new(
                0,
                format!("uncompressed size: expected 0 or more, found {uncompressed_size}"),
            )
        })?;
        Ok(ColumnChunk {
            codec: match chunk.compression_codec() {
                CompressionCodec::UNCOMPRESSED => Codec::Uncompressed,
                CompressionCodec::SNAPPY => Codec::Snappy,
                CompressionCodec::ZSTD => Codec::Zstd,
                other => Codec::Other(other),
            },
            pages: range("column chunk", start, chunk.compressed_size())?,
            uncompressed_size,
            all_dictionary: chunk
                .page_encoding_stats_mask()
                .is_some_and(only_dictionary),
            bounds: self.bounds(chunk.statistics()),
            offset_index: optional(
                "offset index",
                chunk.offset_index_offset(),
                chunk.offset_index_length(),
            )?,
            column_index: optional(
                "column index",
                chunk.column_index_offset(),
                chunk.column_index_length(),
            )?,
            bloom_filter: optional(
                "bloom filter",
                chunk.bloom_filter_offset(),
                chunk.bloom_filter_length(),
            )?,
        })
    }

    /// `min_value`, `max_value` and `null_count`; the older `min` and `max` have no defined order.
    fn bounds(&mut self, statistics: Option<&Statistics>) -> Bounds {
        let Some(statistics) = statistics else {
            return Bounds::default();
        };
        let defined = !statistics.is_min_max_deprecated();
        let mut keep = |bytes: Option<&[u8]>| {
            let bytes = bytes.filter(|_| defined)?;
            let start = u32::try_from(self.texts.len()).ok()?;
            let end = u32::try_from(self.texts.len() + bytes.len()).ok()?;
            self.texts.extend_from_slice(bytes);
            Some(start..end)
        };
        Bounds {
            min: keep(statistics.min_bytes_opt()),
            max: keep(statistics.max_bytes_opt()),
            nulls: statistics.null_count_opt(),
        }
    }

    /// The bounds of all values of a column chunk; either may be missing.
    pub(crate) fn bounds_of(&self, chunk: &ColumnChunk) -> (Option<&[u8]>, Option<&[u8]>) {
        let get = |place: &Option<Range<u32>>| {
            let Range { start, end } = place.clone()?;
            self.texts.get(start as usize..end as usize)
        };
        (get(&chunk.bounds.min), get(&chunk.bounds.max))
    }

    /// The value of a key in the key-value metadata.
    pub(crate) fn key_value(&self, key: &str) -> Option<&str> {
        let pair = self.key_values.iter().find(|(k, _)| k == key);
        pair.map(|(_, value)| value.as_str())
    }

    /// Bytes held on the heap.
    pub(crate) fn heap_size(&self) -> usize {
        let names: usize = self.columns.iter().map(|c| c.name.len()).sum();
        let chunks: usize = self.row_groups.iter().map(|g| g.columns.len()).sum();
        names
            + self.texts.len()
            + self.columns.len() * size_of::<Column>()
            + self.row_groups.len() * size_of::<RowGroup>()
            + chunks * size_of::<ColumnChunk>()
    }
}

impl RowGroup {
    /// Checks that column chunks follow one another after `from`, in any order; returns their end.
    fn check_order(&self, from: u64) -> Option<u64> {
        let mut chunks: Vec<_> = self.columns.iter().map(|chunk| &chunk.pages).collect();
        chunks.sort_unstable_by_key(|pages| (pages.start, pages.end));
        chunks
            .into_iter()
            .try_fold(from, |end, pages| (pages.start >= end).then_some(pages.end))
    }
}

/// The columns of a file, from its metadata.
fn schema(metadata: &[u8]) -> Result<Vec<Column>, Fault> {
    let mut thrift = ThriftReader::new(metadata);
    let mut last = 0;
    while let Some((id, kind)) = thrift.field(last)? {
        last = id;
        match (id, kind) {
            (2, Kind::List) => return schema_elements(&mut thrift),
            _ => thrift.skip(kind)?,
        }
    }
    Err(thrift.fault("metadata: schema is missing"))
}

/// The flat list of a schema's elements: a root, then leaves.
fn schema_elements(t: &mut ThriftReader<'_>) -> Result<Vec<Column>, Fault> {
    let len = t.structs()?;
    let mut columns = Vec::new();
    for i in 0..len {
        let (mut name, mut children, mut repetition, mut kind_of) = (&b""[..], 0, 0, None);
        t.fields(|t, id, kind| {
            match (id, kind) {
                (1, Kind::I32) => kind_of = Some(t.i32()?),
                (3, Kind::I32) => repetition = t.i32()?,
                (4, Kind::Binary) => name = t.binary()?,
                (5, Kind::I32) => children = t.size()?,
                _ => t.skip(kind)?,
            }
            Ok(())
        })?;
        if i == 0 {
            if children + 1 != len {
                return Err(t.fault(format!(
                    "schema of {len} elements: expected columns that do not nest, found a root of {children} children"
                )));
            }
            continue;
        }
        if children > 0 {
            return Err(t.fault(format!(
                "column {}: expected values, found a group of columns",
                Quoted(name)
            )));
        }
        if kind_of.is_none() || name.is_empty() {
            return Err(t.fault(format!(
                "column {}: expected a name and a type, found none",
                Quoted(name)
            )));
        }
        columns.push(Column {
            name: schema::column_of(name).into(),
            repetition: match repetition {
                0 => Repetition::Required,
                1 => Repetition::Optional,
                2 => Repetition::Repeated,
                other => {
                    return Err(t.fault(format!("repetition: expected 0, 1 or 2, found {other}")));
                }
            },
            byte_array: kind_of == Some(6),
        });
    }
    Ok(columns)
}

/// A schema of `columns` columns whose bounds are byte strings: all that the crate must know.
fn schema_of(columns: usize) -> Result<SchemaDescPtr, ParquetError> {
    let column = Type::primitive_type_builder("column", PhysicalType::BYTE_ARRAY).build()?;
    let fields = std::iter::repeat_n(Arc::new(column), columns);
    let root = Type::group_type_builder("root").with_fields(fields.collect());
    Ok(Arc::new(SchemaDescriptor::new(Arc::new(root.build()?))))
}

fn within(start: i64, len: i64, file_size: u64) -> Option<Range<u64>> {
    let (start, len) = (u64::try_from(start).ok()?, u64::try_from(len).ok()?);
    let end = start.checked_add(len)?;
    (end <= file_size).then_some(start..end)
}

/// Whether all data pages of a column chunk are encoded by dictionary.
fn only_dictionary(encodings: &EncodingMask) -> bool {
    encodings.is_only(Encoding::PLAIN_DICTIONARY) || encodings.is_only(Encoding::RLE_DICTIONARY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_claims_columns_without_end_or_nests_is_refused() {
        // 4: name "a"; 5: children.
        let element = |children: &[u8]| [b"\x48\x01a\x15", children, b"\x00"].concat();
        let schema = |elements: &[Vec<u8>]| {
            let len = u8::try_from(elements.len()).unwrap();
            let head = vec![0x15, 0x04, 0x19, len << 4 | 0x0c];
            [head, elements.concat(), vec![0]].concat()
        };
        for (elements, expected) in [
            (
                vec![element(b"\xfe\xff\xff\xff\x0f")],
                "2147483647 children",
            ),
            (vec![element(b"\x02"); 14], "schema of 14 elements"),
            (
                vec![element(b"\x02"); 2],
                "column \"a\": expected values, found a group",
            ),
            (
                vec![element(b"\x02"), b"\x48\x01a\x00".to_vec()],
                "column \"a\": expected a name and a type",
            ),
            // 1: type 6, a byte string.
            (
                vec![element(b"\x02"), b"\x15\x0c\x00".to_vec()],
                "column \"\": expected a name and a type",
            ),
        ] {
            let fault = Metadata::decode(&schema(&elements), 100, false).unwrap_err();
            assert!(fault.reason.contains(expected), "{fault}");
        }
        let fault = Metadata::decode(&[0x15, 0x04, 0x00], 100, false).unwrap_err();
        assert_eq!(fault.reason, "metadata: schema is missing");
    }
}
