//! A block on the local disk: a directory of meta.json, index, chunks and tombstones.
//!
//! ```text
//! meta.json      what the block says of itself; without it there is no block
//! index          index.rs
//! chunks/000001  segment.rs
//! tombstones     tombstones.rs; may be missing
//! ```

mod cursor;
mod window;
mod writer;

use std::{
    fs::{self, File},
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use model::{BlockMeta, METRIC_NAME, Matcher};

pub use self::{
    cursor::{ChunkCursor, SeriesCursor},
    writer::BlockWriter,
};
use crate::{
    error::{Error, Result},
    index::{FILE as INDEX, IndexHeader, Postings, Symbols, Toc},
    read_at::ReadAt,
    refs::SeriesRef,
    segment,
    tombstones::Tombstones,
};

/// A block in a directory. Clones share the open files and the memory.
///
/// The symbols and the offsets of postings are in memory; everything else is read when needed.
#[derive(Clone, Debug)]
pub struct Block(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    meta: BlockMeta,
    index: File,
    index_path: PathBuf,
    header: IndexHeader,
    symbols: Symbols,
    label_names: Vec<Vec<u8>>,
    segments: Vec<Segment>,
    tombstones: Tombstones,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Block {
    /// Opens the block in `dir`.
    ///
    /// # Errors
    /// When a file cannot be read, is damaged or of an unknown version.
    pub fn open(dir: &Path) -> Result<Self> {
        Inner::open(dir)
            .map(|inner| Self(Arc::new(inner)))
            .map_err(|error| error.in_dir(dir))
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The contents of `meta.json`.
    #[must_use]
    pub fn meta(&self) -> &BlockMeta {
        &self.0.meta
    }

    /// The header of the index, which is in memory.
    #[must_use]
    pub fn header(&self) -> &IndexHeader {
        &self.0.header
    }

    /// The symbols in order.
    #[must_use]
    pub fn symbols(&self) -> &Symbols {
        &self.0.symbols
    }

    /// The label names in order.
    pub fn label_names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.label_names.iter().map(Vec::as_slice)
    }

    /// The deleted ranges of series, which the chunks still have.
    #[must_use]
    pub fn tombstones(&self) -> &Tombstones {
        &self.0.tombstones
    }

    /// Bytes of all chunk segments.
    #[must_use]
    pub fn chunk_bytes(&self) -> u64 {
        self.0.segments.iter().map(|segment| segment.size).sum()
    }

    /// All series, ordered by metric name, those without one first; then by their labels.
    ///
    /// # Errors
    /// When the postings cannot be read or are damaged.
    pub fn refs_by_name(&self) -> Result<Vec<SeriesRef>> {
        self.0
            .refs_by_name()
            .map_err(|error| error.in_dir(&self.0.dir))
    }

    /// The series that have a label with an empty value, ascending. It means the same as no label. Neither Prometheus
    /// nor Varve writes any; others do.
    ///
    /// # Errors
    /// When the postings cannot be read or are damaged.
    pub fn refs_with_empty_values(&self) -> Result<Vec<SeriesRef>> {
        self.0
            .refs_with_empty_values()
            .map_err(|error| error.in_dir(&self.0.dir))
    }

    /// The series that all matchers match, ascending.
    ///
    /// # Errors
    /// When the postings cannot be read or are damaged.
    pub fn select(&self, matchers: &[Matcher]) -> Result<Vec<SeriesRef>> {
        let plan = self.0.header.select(matchers)?;
        let read = |range: Range<u64>| read_range(&self.0.index, &self.0.index_path, range);
        let bytes: Vec<Bytes> = plan.ranges().into_iter().map(read).collect::<Result<_>>()?;
        plan.evaluate(&bytes)
            .map_err(|error| error.in_dir(&self.0.dir))
    }

    /// A cursor over the series. It shares the open block and may outlive this value.
    #[must_use]
    pub fn series_cursor(&self) -> SeriesCursor {
        SeriesCursor::new(Arc::clone(&self.0))
    }

    /// A cursor over the chunks. It shares the open block and may outlive this value.
    #[must_use]
    pub fn chunk_cursor(&self) -> ChunkCursor {
        ChunkCursor::new(Arc::clone(&self.0))
    }
}

impl Inner {
    fn open(dir: &Path) -> Result<Self> {
        let meta_path = dir.join(BlockMeta::FILE);
        let meta = fs::read(&meta_path).map_err(Error::io(&meta_path))?;
        let meta = BlockMeta::decode(&meta).map_err(|source| Error::Meta {
            file: BlockMeta::FILE.to_owned(),
            source,
        })?;
        let index_path = dir.join(INDEX);
        let index = File::open(&index_path).map_err(Error::io(&index_path))?;
        let header = read_header(&index, &index_path)?;
        Ok(Self {
            meta,
            index,
            index_path,
            symbols: Symbols::new(&header)?,
            label_names: header.label_names()?,
            header,
            segments: open_segments(dir)?,
            tombstones: Tombstones::read(dir)?,
            dir: dir.to_owned(),
        })
    }

    fn refs_by_name(&self) -> Result<Vec<SeriesRef>> {
        let mut all: Vec<SeriesRef> = Vec::new();
        if let Some(range) = self.header.postings_range("", "")? {
            self.read_postings(range, &mut all)?;
        }
        let mut named = Vec::with_capacity(all.len());
        for range in self.header.postings_ranges(METRIC_NAME)? {
            self.read_postings(range, &mut named)?;
        }
        if named.len() < all.len() {
            let mut sorted = named.clone();
            sorted.sort();
            all.retain(|series| sorted.binary_search(series).is_err());
            all.append(&mut named);
            named = all;
        }
        Ok(named)
    }

    fn refs_with_empty_values(&self) -> Result<Vec<SeriesRef>> {
        let mut refs = Vec::new();
        for name in &self.label_names {
            if let Some(range) = self.header.postings_range(name, "")? {
                self.read_postings(range, &mut refs)?;
            }
        }
        refs.sort_unstable();
        refs.dedup();
        Ok(refs)
    }

    fn read_postings(&self, range: Range<u64>, out: &mut Vec<SeriesRef>) -> Result<()> {
        let start = range.start;
        let bytes = read_range(&self.index, &self.index_path, range)?;
        let postings = Postings::decode(&bytes, start)?;
        out.reserve(postings.len());
        out.extend(postings.iter());
        Ok(())
    }
}

fn read_header(index: &File, path: &Path) -> Result<IndexHeader> {
    let size = index.size().map_err(Error::io(path))?;
    let toc = Toc::decode(&read_range(index, path, Toc::range(size))?, size)?;
    let ranges = toc.header_ranges();
    let head = read_range(index, path, ranges.head)?;
    let symbols = read_range(index, path, ranges.symbols)?;
    let table = read_range(index, path, ranges.postings_table)?;
    IndexHeader::decode(toc, &head, &symbols, &table)
}

/// Reads a range that lies within the file.
fn read_range(file: &File, path: &Path, range: Range<u64>) -> Result<Bytes> {
    let len = usize::try_from(range.end.saturating_sub(range.start))
        .map_err(|_| Error::io(path)(io::ErrorKind::OutOfMemory.into()))?;
    let mut buf = vec![0; len];
    file.read_at(range.start, &mut buf)
        .map_err(Error::io(path))?;
    Ok(buf.into())
}

/// Opens the segments in the order of their names, which is that of chunk references.
fn open_segments(dir: &Path) -> Result<Vec<Segment>> {
    let chunks = dir.join(segment::DIR);
    let mut names = Vec::new();
    for entry in fs::read_dir(&chunks).map_err(Error::io(&chunks))? {
        let name = entry.map_err(Error::io(&chunks))?.file_name();
        // A writer that was interrupted may leave other files.
        if let Some(name) = name.to_str()
            && name.parse::<u64>().is_ok()
        {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    let open = |name: String| {
        let path = chunks.join(&name);
        let file = File::open(&path).map_err(Error::io(&path))?;
        let size = file.size().map_err(Error::io(&path))?;
        let head = read_range(&file, &path, 0..size.min(segment::HEAD.len() as u64))?;
        segment::check_head(&format!("{}/{name}", segment::DIR), &head)?;
        Ok(Segment { path, file, size })
    };
    names.into_iter().map(open).collect()
}
