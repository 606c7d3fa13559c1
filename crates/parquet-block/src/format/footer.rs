//! The end of a Parquet file: metadata and page indexes, all a reader needs to find its pages.
//!
//! ```text
//! … column indexes | offset indexes | [checksums] | FileMetaData | u32 little-endian length | "PAR1"
//! ```
//!
//! No checksum of the file covers it; `meta.json` has its hash from the column indexes on.
//!
//! Page indexes are kept as they are stored and decoded when they are needed: stored, a page takes a few bytes, and a
//! query looks at the pages of a few columns.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use model::{FileSum, Xxh64};

use super::{
    decoded::DecodedPages,
    fault::Fault,
    metadata::{Column, ColumnChunk, Metadata, RowGroup},
    page_index::{self, ColumnIndex, OffsetIndex},
};
use crate::{error::Error, layout::schema};

/// `"PAR1"`, at both ends of a file.
const MAGIC: &[u8] = b"PAR1";

/// Length and magic at the end of a file.
const TRAILER: usize = 8;

/// The largest metadata with page indexes. Those of a block of 2,000 label names and a hundred row groups take 50 MB.
const MAX_TAIL: u64 = 256 << 20;

/// The most rows of a row group: those of parquet-common have a million.
const MAX_ROWS: u32 = 1 << 24;

/// The decoded end of one file of a block.
#[derive(Clone)]
pub struct Footer {
    file: Arc<str>,
    /// The size of the file in bytes.
    size: u64,
    /// The page indexes as stored, and the bytes from them to the metadata.
    indexes: Bytes,
    /// Their offset in the file.
    indexes_start: u64,
    /// The offset of the metadata.
    metadata_start: u64,
    metadata: Metadata,
    /// Whether all these bytes have the hash that `meta.json` states. Who wrote that has read them, so the types of fields
    /// are not checked at each use.
    is_listed: bool,
    /// The offset of the checksums of page headers and bloom filters, if there are any.
    checksums_start: Option<u64>,
    /// Where decoded pages are kept, if they are.
    pub(super) decoded: Option<Arc<dyn DecodedPages>>,
}

/// The outcome of reading a footer.
#[derive(Clone, Debug)]
pub enum FooterRead {
    /// All needed bytes were there.
    Done(Footer),
    /// The last `needed` bytes of the file are needed.
    Short {
        /// Counted from the end of the file.
        needed: u64,
    },
}

impl Footer {
    /// The range to read first of a file of `file_size` bytes: its last `hint` bytes.
    #[must_use]
    pub fn tail_range(file_size: u64, hint: u64) -> Range<u64> {
        file_size.saturating_sub(hint.max(TRAILER as u64))..file_size
    }

    /// As [`Self::tail_range`], for a file whose footer size `meta.json` may have.
    #[must_use]
    pub fn listed_range(file_size: u64, listed: Option<&FileSum>, hint: u64) -> Range<u64> {
        // A wrong number must not make a reader fetch the whole file.
        let hint = listed.map_or(hint, |listed| listed.footer.bytes.min(MAX_TAIL));
        Self::tail_range(file_size, hint)
    }

    /// As [`Self::decode`], for a file whose size and footer hash `meta.json` may have: they are compared before
    /// anything is decoded. Without them the file is not checked.
    ///
    /// # Errors
    /// As [`Self::decode`]; when the file or its footer differs from `meta.json`.
    pub fn decode_listed(
        file: impl Into<Arc<str>>,
        file_size: u64,
        tail: Bytes,
        listed: Option<&FileSum>,
    ) -> Result<FooterRead, Error> {
        let file = file.into();
        let Some(FileSum { size, footer }) = listed else {
            return Self::decode_tail(file, file_size, tail, false);
        };
        let start = file_size.saturating_sub(footer.bytes);
        let wrong = |reason: String| Err(Error::corrupt(&file, start, reason));
        if *size != file_size {
            return wrong(format!(
                "file size: expected {size} bytes by meta.json, found {file_size}"
            ));
        }
        if footer.bytes > file_size.min(MAX_TAIL) {
            return wrong(format!(
                "footer of {} bytes by meta.json: expected at most {}",
                footer.bytes,
                file_size.min(MAX_TAIL)
            ));
        }
        let place = (tail.len() as u64).checked_sub(footer.bytes);
        let Some(place) = place.and_then(|place| usize::try_from(place).ok()) else {
            return Ok(FooterRead::Short {
                needed: footer.bytes,
            });
        };
        let tail = tail.slice(place..);
        let found = Xxh64::of(&tail);
        if found != footer.xxh64 {
            return wrong(format!(
                "footer of {} bytes: expected XXH64 {} by meta.json, found {found}",
                footer.bytes, footer.xxh64
            ));
        }
        match Self::decode_tail(Arc::clone(&file), file_size, tail, true)? {
            FooterRead::Short { needed } => wrong(format!(
                "footer: expected {} bytes by meta.json, found one of {needed}",
                footer.bytes
            )),
            done @ FooterRead::Done(_) => Ok(done),
        }
    }

    /// Decodes the end of the file called `file`, of `file_size` bytes; `tail` are its last bytes.
    ///
    /// # Errors
    /// When the file is not Parquet, does not have a block's layout, or is damaged.
    pub fn decode(
        file: impl Into<Arc<str>>,
        file_size: u64,
        tail: Bytes,
    ) -> Result<FooterRead, Error> {
        Self::decode_tail(file.into(), file_size, tail, false)
    }

    fn decode_tail(
        file: Arc<str>,
        file_size: u64,
        tail: Bytes,
        is_listed: bool,
    ) -> Result<FooterRead, Error> {
        let damaged = |at: u64, reason: String| Error::corrupt(&file, at, reason);
        let tail_start = file_size.checked_sub(tail.len() as u64).ok_or_else(|| {
            damaged(
                0,
                format!("expected at most {file_size} bytes, found {}", tail.len()),
            )
        })?;
        let Some((body, [length @ .., p, a, r, one])) = tail.split_last_chunk::<TRAILER>() else {
            return if file_size < (MAGIC.len() + TRAILER) as u64 {
                Err(damaged(
                    0,
                    format!("file is {file_size} bytes, too short for a Parquet footer"),
                ))
            } else {
                Ok(FooterRead::Short {
                    needed: TRAILER as u64,
                })
            };
        };
        let magic = [*p, *a, *r, *one];
        if magic != MAGIC {
            return Err(damaged(
                file_size.saturating_sub(4),
                format!("magic of Parquet: expected {MAGIC:?}, found {magic:?}"),
            ));
        }
        let metadata_size = u64::from(u32::from_le_bytes(*length));
        let needed = metadata_size + TRAILER as u64;
        if needed + MAGIC.len() as u64 > file_size || needed > MAX_TAIL {
            return Err(damaged(
                file_size - TRAILER as u64,
                format!(
                    "metadata: expected less than the {file_size} bytes of the file, found a length of {metadata_size}"
                ),
            ));
        }
        let metadata_start = usize::try_from(metadata_size)
            .ok()
            .and_then(|size| body.len().checked_sub(size));
        let Some(metadata_start) = metadata_start else {
            return Ok(FooterRead::Short { needed });
        };
        let metadata_at = tail_start + metadata_start as u64;
        let metadata = body.get(metadata_start..).unwrap_or_default();
        let metadata = Metadata::decode(metadata, metadata_at, is_listed)
            .map_err(|fault| damaged(metadata_at + fault.at, fault.reason))?;

        let has_checksums = match metadata.key_value(schema::CHECKSUMS_KEY) {
            None => false,
            Some(schema::CHECKSUMS) => true,
            Some(other) => {
                let (key, known) = (schema::CHECKSUMS_KEY, schema::CHECKSUMS);
                let reason = format!("key-value {key:?}: expected {known:?}, found {other:?}");
                return Err(damaged(metadata_at, reason));
            }
        };
        let indexes = Indexes::of(&metadata);
        let first = indexes.first.unwrap_or(metadata_at).min(metadata_at);
        let needed = file_size - first;
        if needed > MAX_TAIL {
            return Err(damaged(
                metadata_at,
                format!(
                    "page indexes: expected within the last {MAX_TAIL} bytes, found at byte {first}, {needed} bytes before the end"
                ),
            ));
        }
        if let Some(group) = metadata.row_groups.iter().find(|g| g.rows > MAX_ROWS) {
            return Err(damaged(
                metadata_at,
                format!(
                    "row group: expected at most {MAX_ROWS} rows, found {}",
                    group.rows
                ),
            ));
        }
        let Some(surplus) = (tail.len() as u64).checked_sub(needed) else {
            return Ok(FooterRead::Short { needed });
        };
        let surplus = usize::try_from(surplus).unwrap_or(usize::MAX);
        Ok(FooterRead::Done(Self {
            file,
            size: file_size,
            // A copy, so that excess bytes are freed.
            indexes: Bytes::copy_from_slice(tail.get(surplus..metadata_start).unwrap_or_default()),
            indexes_start: first,
            metadata_start: metadata_at,
            checksums_start: has_checksums.then(|| indexes.end.unwrap_or(metadata_at)),
            decoded: None,
            metadata,
            is_listed,
        }))
    }

    /// The file's name, as given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The size of the file, bytes.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.size
    }

    /// Bytes held on the heap.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        self.indexes.len() + self.metadata.heap_size()
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.metadata.columns
    }

    pub(crate) fn row_groups(&self) -> &[RowGroup] {
        &self.metadata.row_groups
    }

    /// The value of a key in the file's key-value metadata.
    pub(crate) fn key_value(&self, key: &str) -> Option<&str> {
        self.metadata.key_value(key)
    }

    /// An error about the file as a whole.
    pub(crate) fn invalid(&self, reason: impl Into<String>) -> Error {
        Error::corrupt(&self.file, self.metadata_start, reason.into())
    }

    /// An error at `offset` of the file.
    pub(crate) fn damaged(&self, offset: u64, fault: Fault) -> Error {
        Error::corrupt(&self.file, offset.saturating_add(fault.at), fault.reason)
    }

    /// The rows of a row group and one of its column chunks.
    pub(crate) fn chunk(&self, group: usize, column: usize) -> Result<(u32, &ColumnChunk), Error> {
        self.metadata
            .row_groups
            .get(group)
            .and_then(|g| Some((g.rows, g.columns.get(column)?)))
            .ok_or_else(|| self.invalid(format!("row group {group}: column {column} is missing")))
    }

    /// The pages of a column chunk.
    pub(crate) fn offset_index(&self, group: usize, column: usize) -> Result<OffsetIndex, Error> {
        let (rows, chunk) = self.chunk(group, column)?;
        let Some(range) = &chunk.offset_index else {
            return Err(self.invalid(format!(
                "row group {group}: column {column} has no offset index"
            )));
        };
        let bytes = self.slice(range)?;
        let mut index = page_index::decode_offset_index(bytes, &chunk.pages, rows, self.is_listed)
            .map_err(|fault| self.damaged(range.start, fault))?;
        if let Some(start) = self.checksums_start {
            let table = self.slice(&(start..self.metadata_start))?;
            let columns = self.metadata.columns.len();
            let place = group.saturating_mul(columns).saturating_add(column);
            let chunks = columns.saturating_mul(self.metadata.row_groups.len());
            page_index::checksums_of(table, place, chunks)
                .ok_or_else(|| Fault::new(0, format!("checksums: expected those of {chunks} column chunks, found a damaged table")))
                .and_then(|checksums| {
                    let has_bloom_filter = chunk.bloom_filter.is_some();
                    index.set_checksums(checksums, &chunk.pages, has_bloom_filter)
                })
                .map_err(|fault| self.damaged(start, fault))?;
        }
        Ok(index)
    }

    /// The bounds of each of a column chunk's `pages` data pages, if it has an index of them.
    pub(crate) fn page_bounds(
        &self,
        group: usize,
        column: usize,
        pages: usize,
    ) -> Result<Option<ColumnIndex>, Error> {
        let (_, chunk) = self.chunk(group, column)?;
        let Some(range) = &chunk.column_index else {
            return Ok(None);
        };
        let bytes = self.slice(range)?;
        page_index::decode_column_index(bytes, pages, self.is_listed)
            .map(Some)
            .map_err(|fault| self.damaged(range.start, fault))
    }

    /// The bounds of all values of a column chunk; either may be missing.
    pub(crate) fn chunk_bounds(&self, chunk: &ColumnChunk) -> (Option<&[u8]>, Option<&[u8]>) {
        self.metadata.bounds_of(chunk)
    }

    fn slice(&self, range: &Range<u64>) -> Result<&[u8], Error> {
        let place = |at: u64| usize::try_from(at.checked_sub(self.indexes_start)?).ok();
        place(range.start)
            .zip(place(range.end))
            .and_then(|(start, end)| self.indexes.get(start..end))
            .ok_or_else(|| {
                self.invalid(format!(
                    "page index: expected within the footer, found at bytes {} to {}",
                    range.start, range.end
                ))
            })
    }
}

/// The range of a file's page indexes.
#[derive(Default)]
struct Indexes {
    /// The first index that a reader of blocks may want: offset indexes of all columns, and column indexes of labels.
    first: Option<u64>,
    /// The end of the last index.
    end: Option<u64>,
}

impl Indexes {
    fn of(metadata: &Metadata) -> Self {
        let mut all = Self::default();
        for group in &metadata.row_groups {
            for (column, chunk) in metadata.columns.iter().zip(&group.columns) {
                let is_label = schema::label_name(&column.name).is_some();
                let wanted = chunk
                    .offset_index
                    .iter()
                    .chain(chunk.column_index.iter().filter(|_| is_label));
                all.first = wanted.map(|range| range.start).chain(all.first).min();
                let ends = chunk.offset_index.iter().chain(&chunk.column_index);
                all.end = ends.map(|range| range.end).max().max(all.end);
            }
        }
        all
    }
}

impl fmt::Debug for Footer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Footer")
            .field("file", &self.file)
            .field("columns", &self.metadata.columns.len())
            .field("row_groups", &self.metadata.row_groups.len())
            .finish_non_exhaustive()
    }
}
