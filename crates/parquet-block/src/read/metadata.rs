//! The metadata at the end of a Parquet file: schema, key-values, row groups and their column chunks.
//!
//! ```text
//! "PAR1"
//! row groups: column chunks: [dictionary page] data page*
//! bloom filters, column indexes, offset indexes
//! FileMetaData   thrift; this file decodes it
//! length         u32 little-endian, of FileMetaData
//! "PAR1"
//! ```
//!
//! Only what a reader of blocks needs is kept, about 150 bytes a column chunk; bounds are places within
//! the bytes of the metadata, which the [`super::footer::Footer`] holds on to.

use std::ops::Range;

use model::Quoted;

use super::{
    fault::Fault,
    thrift::{Kind, Thrift},
};

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
    Other(i32),
}

/// Bounds of a column chunk's values; either may be cut to a prefix, the upper one then rounded up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Where the lower bound is, within the metadata.
    pub(crate) min: Option<Range<usize>>,
    /// Where the upper bound is, within the metadata.
    pub(crate) max: Option<Range<usize>>,
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
}

impl Metadata {
    /// Decodes the metadata of a file of `file_size` bytes.
    pub(crate) fn decode(bytes: &[u8], file_size: u64) -> Result<Self, Fault> {
        let mut thrift = Thrift::new(bytes);
        let mut metadata = Self::default();
        thrift.fields(|t, id, kind| {
            match (id, kind) {
                (2, Kind::List) => metadata.columns = schema(t)?,
                (4, Kind::List) => {
                    for _ in 0..t.list_of(Kind::Struct)? {
                        let group = row_group(t, file_size)?;
                        metadata.row_groups.push(group);
                    }
                }
                (5, Kind::List) => {
                    for _ in 0..t.list_of(Kind::Struct)? {
                        metadata.key_values.push(key_value(t)?);
                    }
                }
                (8, _) => return Err(t.fault("file is encrypted")),
                _ => t.skip(kind)?,
            }
            Ok(())
        })?;
        let mut end = 0;
        for (i, group) in metadata.row_groups.iter().enumerate() {
            end = group.check_order(end).ok_or_else(|| {
                thrift.fault(format!(
                    "column chunks of row group {i} overlap with others"
                ))
            })?;
            if group.columns.len() != metadata.columns.len() {
                return Err(thrift.fault(format!(
                    "row group {i} has {} columns, the schema {}",
                    group.columns.len(),
                    metadata.columns.len()
                )));
            }
        }
        Ok(metadata)
    }

    /// Bytes held on the heap.
    pub(crate) fn heap_size(&self) -> usize {
        let names: usize = self.columns.iter().map(|c| c.name.len()).sum();
        let chunks: usize = self.row_groups.iter().map(|g| g.columns.len()).sum();
        names
            + self.columns.len() * size_of::<Column>()
            + self.row_groups.len() * size_of::<RowGroup>()
            + chunks * size_of::<ColumnChunk>()
    }
}

impl RowGroup {
    /// Checks that column chunks follow one another after `from`, in any order; tells where they end.
    fn check_order(&self, from: u64) -> Option<u64> {
        let mut chunks: Vec<_> = self.columns.iter().map(|chunk| &chunk.pages).collect();
        chunks.sort_unstable_by_key(|pages| (pages.start, pages.end));
        chunks
            .into_iter()
            .try_fold(from, |end, pages| (pages.start >= end).then_some(pages.end))
    }
}

/// The flat list of a schema's elements: a root, then leaves.
fn schema(t: &mut Thrift<'_>) -> Result<Vec<Column>, Fault> {
    let len = t.list_of(Kind::Struct)?;
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
                    "schema of {len} elements whose root has {children} children: columns of blocks do not nest"
                )));
            }
            continue;
        }
        if children > 0 {
            return Err(t.fault(format!("column {} is a group", Quoted(name))));
        }
        columns.push(Column {
            name: name.into(),
            repetition: match repetition {
                0 => Repetition::Required,
                1 => Repetition::Optional,
                2 => Repetition::Repeated,
                other => return Err(t.fault(format!("unknown repetition {other}"))),
            },
            byte_array: kind_of == Some(6),
        });
    }
    Ok(columns)
}

fn key_value(t: &mut Thrift<'_>) -> Result<(String, String), Fault> {
    let (mut key, mut value) = ("", "");
    t.fields(|t, id, kind| {
        match (id, kind) {
            (1, Kind::Binary) => key = t.string()?,
            (2, Kind::Binary) => value = t.string()?,
            _ => t.skip(kind)?,
        }
        Ok(())
    })?;
    Ok((key.to_owned(), value.to_owned()))
}

fn row_group(t: &mut Thrift<'_>, file_size: u64) -> Result<RowGroup, Fault> {
    let (mut rows, mut columns) = (None, Vec::new());
    t.fields(|t, id, kind| {
        match (id, kind) {
            (1, Kind::List) => {
                for _ in 0..t.list_of(Kind::Struct)? {
                    columns.push(column_chunk(t, file_size)?);
                }
            }
            (3, Kind::I64) => rows = Some(t.unsigned()?),
            _ => t.skip(kind)?,
        }
        Ok(())
    })?;
    // The largest row number is kept free: it stands for none.
    match rows.and_then(|rows| u32::try_from(rows).ok()) {
        Some(rows) if rows < u32::MAX => Ok(RowGroup { rows, columns }),
        _ => Err(t.fault(format!("row group with {rows:?} rows"))),
    }
}

#[derive(Default)]
struct Location {
    offset: Option<u64>,
    len: Option<usize>,
}

impl Location {
    fn range(
        &self,
        t: &Thrift<'_>,
        what: &str,
        file_size: u64,
    ) -> Result<Option<Range<u64>>, Fault> {
        let (Some(start), Some(len)) = (self.offset, self.len) else {
            return Ok(None);
        };
        within(start, len as u64, file_size)
            .map(Some)
            .ok_or_else(|| {
                t.fault(format!(
                    "{what} at {start}, {len} bytes, in {file_size} bytes"
                ))
            })
    }
}

fn within(start: u64, len: u64, file_size: u64) -> Option<Range<u64>> {
    let end = start.checked_add(len)?;
    (end <= file_size).then_some(start..end)
}

fn column_chunk(t: &mut Thrift<'_>, file_size: u64) -> Result<ColumnChunk, Fault> {
    let (mut offset_index, mut column_index) = (Location::default(), Location::default());
    let mut chunk = None;
    t.fields(|t, id, kind| {
        match (id, kind) {
            (1, Kind::Binary) => return Err(t.fault("column chunk lies in another file")),
            (3, Kind::Struct) => chunk = Some(column_metadata(t, file_size)?),
            (4, Kind::I64) => offset_index.offset = Some(t.unsigned()?),
            (5, Kind::I32) => offset_index.len = Some(t.size()?),
            (6, Kind::I64) => column_index.offset = Some(t.unsigned()?),
            (7, Kind::I32) => column_index.len = Some(t.size()?),
            _ => t.skip(kind)?,
        }
        Ok(())
    })?;
    let Some(mut chunk) = chunk else {
        return Err(t.fault("column chunk without metadata"));
    };
    chunk.offset_index = offset_index.range(t, "offset index", file_size)?;
    chunk.column_index = column_index.range(t, "column index", file_size)?;
    Ok(chunk)
}

fn column_metadata(t: &mut Thrift<'_>, file_size: u64) -> Result<ColumnChunk, Fault> {
    let (mut codec, mut size, mut uncompressed_size) = (None, None, None);
    let (mut data_page, mut dictionary_page) = (None, None);
    let mut bounds = Bounds::default();
    let mut all_dictionary = false;
    let mut bloom_filter = Location::default();
    t.fields(|t, id, kind| {
        match (id, kind) {
            (4, Kind::I32) => codec = Some(t.i32()?),
            (6, Kind::I64) => uncompressed_size = Some(t.unsigned()?),
            (7, Kind::I64) => size = Some(t.unsigned()?),
            (9, Kind::I64) => data_page = Some(t.unsigned()?),
            (11, Kind::I64) => dictionary_page = Some(t.unsigned()?),
            (12, Kind::Struct) => bounds = statistics(t)?,
            (14, Kind::I64) => bloom_filter.offset = Some(t.unsigned()?),
            (15, Kind::I32) => bloom_filter.len = Some(t.size()?),
            (13, Kind::List) => all_dictionary = only_dictionary_pages(t)?,
            _ => t.skip(kind)?,
        }
        Ok(())
    })?;
    let (Some(codec), Some(size), Some(uncompressed_size), Some(data_page)) =
        (codec, size, uncompressed_size, data_page)
    else {
        return Err(t.fault("column chunk without codec, sizes or offset"));
    };
    // Some writers say 0 for none.
    let start = match dictionary_page {
        Some(dictionary) if dictionary > 0 => dictionary.min(data_page),
        _ => data_page,
    };
    let pages = within(start, size, file_size).ok_or_else(|| {
        t.fault(format!(
            "column chunk at {start}, {size} bytes, in {file_size} bytes"
        ))
    })?;
    Ok(ColumnChunk {
        codec: match codec {
            0 => Codec::Uncompressed,
            1 => Codec::Snappy,
            6 => Codec::Zstd,
            other => Codec::Other(other),
        },
        pages,
        uncompressed_size,
        all_dictionary,
        bounds,
        offset_index: None,
        column_index: None,
        bloom_filter: bloom_filter.range(t, "bloom filter", file_size)?,
    })
}

/// `min_value`, `max_value` and `null_count`; the older `min` and `max` have no defined order.
fn statistics(t: &mut Thrift<'_>) -> Result<Bounds, Fault> {
    let mut bounds = Bounds::default();
    t.fields(|t, id, kind| {
        match (id, kind) {
            (3, Kind::I64) => bounds.nulls = Some(t.unsigned()?),
            (5, Kind::Binary) => bounds.max = Some(place(t)?),
            (6, Kind::Binary) => bounds.min = Some(place(t)?),
            _ => t.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(bounds)
}

/// Where a binary value is, within the bytes that are read.
fn place(t: &mut Thrift<'_>) -> Result<Range<usize>, Fault> {
    let len = t.binary()?.len();
    let end = t.position();
    Ok(end.saturating_sub(len)..end)
}

fn only_dictionary_pages(t: &mut Thrift<'_>) -> Result<bool, Fault> {
    let (mut data, mut other) = (false, false);
    for _ in 0..t.list_of(Kind::Struct)? {
        let (mut page, mut encoding, mut count) = (None, None, 0);
        t.fields(|t, id, kind| {
            match (id, kind) {
                (1, Kind::I32) => page = Some(t.i32()?),
                (2, Kind::I32) => encoding = Some(t.i32()?),
                (3, Kind::I32) => count = t.i32()?,
                _ => t.skip(kind)?,
            }
            Ok(())
        })?;
        // Data pages are types 0 and 3, dictionary encodings 2 and 8.
        if matches!(page, Some(0 | 3)) && count > 0 {
            data = true;
            other |= !matches!(encoding, Some(2 | 8));
        }
    }
    Ok(data && !other)
}
