//! Writes one file: row groups one after the other, then page indexes and metadata.
//!
//! ```text
//! "PAR1"
//! row group*   column chunks in order of the schema: [dictionary page] data page*; then bloom filters
//! column indexes, offset indexes    of all column chunks
//! checksums    of page headers and bloom filters; `page_index` draws them
//! FileMetaData | u32 little-endian length | "PAR1"
//! ```
//! What is needed at the end is kept as the bytes that will be written. From the column indexes on no checksum of the
//! file covers it: its hash is for `meta.json`.

use std::{
    fmt,
    io::{self, Write},
    vec,
};

use model::{FileSum, FooterSum, Xxh64};
use xxhash_rust::xxh64;

use super::{
    column::Column,
    metadata::{Place, checksums, column_index, column_metadata, offset_index, schema_element},
};
use crate::{
    error::Error,
    format::{page::EncodedColumn, thrift::ThriftWriter},
};

const MAGIC: &[u8] = b"PAR1";
const CREATED_BY: &str = concat!("varve version ", env!("CARGO_PKG_VERSION"));

/// Writes one file.
#[derive(Debug)]
pub(crate) struct FileWriter<W> {
    out: Counted<W>,
    /// The file's name, for errors.
    file: &'static str,
    columns: Vec<Column>,
    key_values: Vec<(&'static str, String)>,
    groups: Vec<RowGroup>,
}

struct Counted<W> {
    out: W,
    written: u64,
    /// Of what was written last, while it is wanted.
    hash: Option<xxh64::Xxh64>,
}

#[derive(Debug)]
struct RowGroup {
    start: u64,
    rows: u64,
    compressed: u64,
    uncompressed: u64,
    sorted_by: Option<usize>,
    chunks: Vec<ColumnChunk>,
}

/// What is written of a column chunk at the end of the file.
#[derive(Debug)]
struct ColumnChunk {
    metadata: Vec<u8>,
    column_index: Vec<u8>,
    offset_index: Vec<u8>,
    checksums: Vec<u32>,
}

impl<W: fmt::Debug> fmt::Debug for Counted<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted")
            .field("out", &self.out)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

impl<W: Write> Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        Ok(())
    }
}

impl<W: Write> FileWriter<W> {
    /// Begins a file with these columns.
    pub(crate) fn create(
        out: W,
        file: &'static str,
        columns: Vec<Column>,
        key_values: Vec<(&'static str, String)>,
    ) -> Result<Self, Error> {
        let mut out = Counted {
            out,
            written: 0,
            hash: None,
        };
        out.write(MAGIC).map_err(|source| Error::io(file, source))?;
        Ok(Self {
            out,
            file,
            columns,
            key_values,
            groups: Vec::new(),
        })
    }

    /// Appends a row group; its columns are those of the file.
    pub(crate) fn append(
        &mut self,
        columns: &[EncodedColumn],
        sorted_by: Option<usize>,
    ) -> Result<(), Error> {
        if columns.len() != self.columns.len() {
            let (expected, found) = (self.columns.len(), columns.len());
            return Err(Error::layout(format!(
                "{}: expected a row group of {expected} columns, found {found}",
                self.file
            )));
        }
        let start = self.out.written;
        let places = self
            .write_columns(columns)
            .map_err(|source| Error::io(self.file, source))?;
        let chunks = self.columns.iter().zip(columns).zip(&places);
        let chunks = chunks.map(|((column, encoded), place)| ColumnChunk {
            metadata: column_metadata(column, encoded, place),
            column_index: column_index(&encoded.pages),
            offset_index: offset_index(encoded, place),
            checksums: checksums(encoded),
        });
        self.groups.push(RowGroup {
            start,
            rows: columns.first().map_or(0, EncodedColumn::rows) as u64,
            compressed: places.iter().map(|place| place.compressed).sum(),
            uncompressed: places.iter().map(|place| place.uncompressed).sum(),
            sorted_by,
            chunks: chunks.collect(),
        });
        Ok(())
    }

    fn write_columns(&mut self, columns: &[EncodedColumn]) -> io::Result<Vec<Place>> {
        let mut places = Vec::with_capacity(columns.len());
        for column in columns {
            let start = self.out.written;
            for page in column.all_pages() {
                for part in page.parts() {
                    self.out.write(part)?;
                }
            }
            places.push(Place {
                start,
                compressed: self.out.written - start,
                uncompressed: column
                    .all_pages()
                    .map(|page| page.uncompressed as u64)
                    .sum(),
                bloom_filter: None,
            });
        }
        for (column, place) in columns.iter().zip(&mut places) {
            if let Some(filter) = &column.bloom_filter {
                place.bloom_filter = Some((self.out.written, filter.len()));
                self.out.write(filter)?;
            }
        }
        Ok(places)
    }

    /// Adds a key-value after the existing ones.
    pub(crate) fn add_key_value(&mut self, key: &'static str, value: String) {
        self.key_values.push((key, value));
    }

    /// Writes the end of the file; returns its size and the hash of its footer.
    pub(crate) fn finish(mut self) -> Result<FileSum, Error> {
        let file = self.file;
        self.write_end().map_err(|source| Error::io(file, source))
    }

    fn write_end(&mut self) -> io::Result<FileSum> {
        let start = self.out.written;
        self.out.hash = Some(xxh64::Xxh64::new(0));
        let mut column_indexes = self.write_indexes(|chunk| &chunk.column_index)?;
        let mut offset_indexes = self.write_indexes(|chunk| &chunk.offset_index)?;
        self.write_checksums()?;
        let metadata = self.metadata(&mut column_indexes, &mut offset_indexes);
        let len = u32::try_from(metadata.len()).map_err(|_| {
            io::Error::other(format!(
                "metadata: expected at most 4 GiB, found {} bytes",
                metadata.len()
            ))
        })?;
        self.out.write(&metadata)?;
        self.out.write(&len.to_le_bytes())?;
        self.out.write(MAGIC)?;
        self.out.out.flush()?;
        let hash = self.out.hash.take().unwrap_or_default();
        Ok(FileSum {
            size: self.out.written,
            footer: FooterSum {
                bytes: self.out.written - start,
                xxh64: Xxh64(hash.digest()),
            },
        })
    }

    /// Writes one index of each column chunk; returns their offsets and sizes.
    fn write_indexes(
        &mut self,
        index: impl Fn(&ColumnChunk) -> &[u8],
    ) -> io::Result<vec::IntoIter<(u64, usize)>> {
        let mut places = Vec::new();
        for chunk in self.groups.iter().flat_map(|group| &group.chunks) {
            places.push((self.out.written, index(chunk).len()));
            self.out.write(index(chunk))?;
        }
        Ok(places.into_iter())
    }

    fn write_checksums(&mut self) -> io::Result<()> {
        let chunks = self.groups.iter().flat_map(|group| &group.chunks);
        let mut table = Vec::new();
        let mut start = 0;
        for chunk in chunks.clone() {
            table.push(start);
            start += chunk.checksums.len();
        }
        table.push(start);
        let starts = table.into_iter().map(u32::try_from);
        let starts = starts.collect::<Result<Vec<u32>, _>>();
        let starts = starts.map_err(io::Error::other)?.into_iter();
        let checksums = chunks.flat_map(|chunk| &chunk.checksums).copied();
        let bytes: Vec<u8> = starts.chain(checksums).flat_map(u32::to_le_bytes).collect();
        self.out.write(&bytes)
    }

    fn metadata(
        &self,
        column_indexes: &mut vec::IntoIter<(u64, usize)>,
        offset_indexes: &mut vec::IntoIter<(u64, usize)>,
    ) -> Vec<u8> {
        ThriftWriter::of(|t| {
            t.i32(1, 2);
            let root = std::iter::once(None);
            let elements: Vec<_> = root.chain(self.columns.iter().map(Some)).collect();
            t.structures(2, elements.into_iter(), |t, column| match column {
                Some(column) => schema_element(t, column),
                // The name that parquet-common uses.
                None => {
                    t.binary(4, b"compressed");
                    t.size(5, self.columns.len());
                }
            });
            t.long(3, self.groups.iter().map(|group| group.rows).sum());
            t.structures(4, self.groups.iter().enumerate(), |t, (ordinal, group)| {
                group.write(t, ordinal, column_indexes, offset_indexes);
            });
            t.structures(5, self.key_values.iter(), |t, (key, value)| {
                t.binary(1, key.as_bytes());
                t.binary(2, value.as_bytes());
            });
            t.binary(6, CREATED_BY.as_bytes());
            // Bounds are in the order that the type defines: of unsigned bytes.
            t.structures(7, self.columns.iter(), |t, _| t.structure(1, |_| ()));
        })
    }
}

impl RowGroup {
    fn write(
        &self,
        t: &mut ThriftWriter,
        ordinal: usize,
        column_indexes: &mut vec::IntoIter<(u64, usize)>,
        offset_indexes: &mut vec::IntoIter<(u64, usize)>,
    ) {
        t.structures(1, self.chunks.iter(), |t, chunk| {
            // The format no longer uses this field.
            t.long(2, 0);
            t.written_structure(3, &chunk.metadata);
            let mut place = |id, (offset, len)| {
                t.long(id, offset);
                t.size(id + 1, len);
            };
            if let Some(index) = offset_indexes.next() {
                place(4, index);
            }
            if let Some(index) = column_indexes.next() {
                place(6, index);
            }
        });
        t.long(2, self.uncompressed);
        t.long(3, self.rows);
        if let Some(column) = self.sorted_by {
            t.structures(4, [column].into_iter(), |t, column| {
                t.size(1, column);
                t.bool(2, false);
                t.bool(3, false);
            });
        }
        t.long(5, self.start);
        t.long(6, self.compressed);
        // Left out if it does not fit, as the format allows.
        if let Ok(ordinal) = i16::try_from(ordinal) {
            t.i16(7, ordinal);
        }
    }
}
