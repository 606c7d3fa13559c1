//! A shard in local files: lookups are answered at once, with positioned reads.

use std::{fs::File, ops::Range, os::unix::fs::FileExt, path::Path, sync::Arc};

use bytes::Bytes;
use model::{FileSum, ParquetShard};
use rayon::prelude::*;

use super::{
    column::ColumnPages,
    footer::{Footer, FooterRead},
    lookup::{Lookup, ShardFile, Step},
    page,
    scan::Scan,
    shard::Shard,
};
use crate::error::Error;

/// How much of the end of a file is read at first.
const TAIL_HINT: u64 = 64 << 10;

/// How much of a page is read for its header at first.
const HEADER_HINT: u64 = 128;

/// Ranges with no more between them are read together.
const MAX_GAP: u64 = 16 << 10;

/// Up to how much is read at once, so that large answers are read in parallel.
const MAX_READ: u64 = 1 << 20;

/// A shard whose files are on a local disk.
#[derive(Debug)]
pub struct LocalShard {
    shard: Shard,
    labels: LocalFile,
    chunks: LocalFile,
}

#[derive(Debug)]
pub(crate) struct LocalFile {
    file: File,
    name: Arc<str>,
}

impl LocalShard {
    /// Opens the two files of a shard of which nothing is known; [`Self::open_listed`] knows when a footer is damaged.
    ///
    /// # Errors
    /// When a file cannot be read, or they do not make a shard ([`Shard::open`]).
    pub fn open(labels: &Path, chunks: &Path) -> Result<Self, Error> {
        Self::open_listed(labels, chunks, &ParquetShard::default())
    }

    /// As [`Self::open`], of a shard that a `meta.json` lists: where that tells of the files' footers, they are compared.
    ///
    /// # Errors
    /// As [`Self::open`]; when a file or its footer is not the one that was written.
    pub fn open_listed(labels: &Path, chunks: &Path, listed: &ParquetShard) -> Result<Self, Error> {
        let labels = LocalFile::open(labels)?;
        let chunks = LocalFile::open(chunks)?;
        Ok(Self {
            shard: Shard::open(
                labels.footer(listed.labels_sum().as_ref())?,
                chunks.footer(listed.chunks_sum().as_ref())?,
            )?,
            labels,
            chunks,
        })
    }

    /// The shard, from which lookups are made.
    #[must_use]
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Answers a lookup.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub fn answer<L: Lookup>(&self, mut lookup: L) -> Result<L::Answer, Error> {
        loop {
            match lookup.next()? {
                Step::Done(answer) => return Ok(answer),
                Step::Fetch { file, ranges } => lookup.supply(self.file(file).read(&ranges)?)?,
            }
        }
    }

    /// Compares all that no page's own checksum covers, and a reader of rows does not ask for, with its checksum: the
    /// headers of pages, and bloom filters. Values are not read.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub fn check_heads(&self) -> Result<(), Error> {
        let files = [
            (&self.labels, self.shard.labels_file()),
            (&self.chunks, self.shard.chunks_file()),
        ];
        for (file, footer) in files {
            let groups = (0..footer.row_groups().len()).into_par_iter();
            groups.try_for_each(|group| {
                let mut columns = 0..footer.columns().len();
                columns.try_for_each(|column| file.check_heads(footer, group, column))
            })?;
        }
        Ok(())
    }

    /// All rows in order, with their labels and all their chunks, downsampled ones with all aggregates. Holds a page of each column in memory, and
    /// the dictionaries of one row group.
    #[must_use]
    pub fn scan(&self) -> Scan<'_> {
        let rows = (0..self.shard.row_groups()).map(|group| (group, 0..self.shard.rows(group)));
        Scan::new(self, rows.collect())
    }

    /// As [`Self::scan`], of some rows of one row group.
    #[must_use]
    pub fn scan_rows(&self, group: usize, rows: Range<u32>) -> Scan<'_> {
        let end = rows.end.min(self.shard.rows(group));
        Scan::new(self, vec![(group, rows.start..end)])
    }

    pub(crate) fn file(&self, file: ShardFile) -> &LocalFile {
        match file {
            ShardFile::Labels => &self.labels,
            ShardFile::Chunks => &self.chunks,
        }
    }
}

impl LocalFile {
    fn open(path: &Path) -> Result<Self, Error> {
        let name: Arc<str> = path.to_string_lossy().into();
        let file = File::open(path).map_err(|source| Error::io(&name, source))?;
        Ok(Self { file, name })
    }

    fn footer(&self, listed: Option<&FileSum>) -> Result<Footer, Error> {
        let metadata = self.file.metadata();
        let size = metadata
            .map_err(|source| Error::io(&self.name, source))?
            .len();
        let mut range = Footer::listed_range(size, listed, TAIL_HINT);
        loop {
            let tail = self.read_one(&range)?;
            match Footer::decode_listed(Arc::clone(&self.name), size, tail, listed)? {
                FooterRead::Done(footer) => return Ok(footer),
                FooterRead::Short { needed } => range = Footer::tail_range(size, needed),
            }
        }
    }

    fn check_heads(&self, footer: &Footer, group: usize, column: usize) -> Result<(), Error> {
        let pages = ColumnPages::of(footer, group, column)?;
        for (range, crc) in pages.headers() {
            let head = range.start..range.end.min(range.start.saturating_add(HEADER_HINT));
            let checked = match page::check_header(&self.read_one(&head)?, crc) {
                // It may go on.
                Err(_) if head.end < range.end => page::check_header(&self.read_one(range)?, crc),
                checked => checked,
            };
            checked.map_err(|fault| footer.damaged(range.start, fault))?;
        }
        let (_, chunk) = footer.chunk(group, column)?;
        if let Some(range) = &chunk.bloom_filter {
            page::check_crc("bloom filter", &self.read_one(range)?, pages.bloom_crc)
                .map_err(|fault| footer.damaged(range.start, fault))?;
        }
        Ok(())
    }

    /// Reads ranges, ascending ones; neighbours together.
    pub(crate) fn read(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Error> {
        let runs: Vec<&[Range<u64>]> = runs(ranges).collect();
        let parts = runs
            .par_iter()
            .map(|run| self.read_run(run))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(parts.into_iter().flatten().collect())
    }

    fn read_run(&self, run: &[Range<u64>]) -> Result<Vec<Bytes>, Error> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            return Ok(Vec::new());
        };
        let whole = self.read_one(&(first.start..last.end))?;
        let place = |at: u64| {
            usize::try_from(at.saturating_sub(first.start))
                .unwrap_or(usize::MAX)
                .min(whole.len())
        };
        Ok(run
            .iter()
            .map(|range| whole.slice(place(range.start)..place(range.end)))
            .collect())
    }

    /// Reads one range, which lies within the file as its footer or size tells.
    pub(crate) fn read_one(&self, range: &Range<u64>) -> Result<Bytes, Error> {
        let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        self.file
            .read_exact_at(&mut bytes, range.start)
            .map_err(|source| Error::io(&self.name, source))?;
        Ok(bytes.into())
    }
}

/// Splits ranges into runs to be read at once.
fn runs(ranges: &[Range<u64>]) -> impl Iterator<Item = &[Range<u64>]> {
    let mut start = 0;
    ranges.chunk_by(move |a, b| {
        if start == 0 {
            start = a.start;
        }
        let together = b.start.saturating_sub(a.end) <= MAX_GAP
            && b.end.saturating_sub(start) <= MAX_READ
            && b.start >= a.end;
        if !together {
            start = b.start;
        }
        together
    })
}
