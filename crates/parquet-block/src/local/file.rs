//! A file of a shard on the local disk, read by position.

use std::{fs::File, ops::Range, path::Path, sync::Arc};

use bytes::Bytes;
use model::FileSum;
use rayon::prelude::*;

use crate::{
    error::Error,
    format::{
        footer::{Footer, FooterRead},
        page,
    },
    query::column::ColumnPages,
};

/// Bytes at the end of a file that are read first.
const TAIL_HINT: u64 = 64 << 10;

/// Bytes of a page that are read first for its header.
const HEADER_HINT: u64 = 128;

/// Ranges at most this far apart are read together.
const MAX_GAP: u64 = 16 << 10;

/// The most bytes of one read, so that large answers are read in parallel.
const MAX_READ: u64 = 1 << 20;

/// An open file.
#[derive(Debug)]
pub(super) struct LocalFile {
    file: File,
    name: Arc<str>,
}

impl LocalFile {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let name: Arc<str> = path.to_string_lossy().into();
        let file = File::open(path).map_err(|source| Error::io(&name, source))?;
        Ok(Self { file, name })
    }

    pub(super) fn footer(&self, listed: Option<&FileSum>) -> Result<Footer, Error> {
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

    pub(super) fn check_heads(
        &self,
        footer: &Footer,
        group: usize,
        column: usize,
    ) -> Result<(), Error> {
        let pages = ColumnPages::of(footer, group, column)?;
        for (range, crc) in pages.headers() {
            let head = range.start..range.end.min(range.start.saturating_add(HEADER_HINT));
            let checked = match page::check_header(&self.read_one(&head)?, crc) {
                // The header may be longer than what was read.
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

    /// Reads ascending ranges; neighbours together.
    pub(super) fn read(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Error> {
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

    /// Reads one range, which is within the file by its footer or size.
    pub(super) fn read_one(&self, range: &Range<u64>) -> Result<Bytes, Error> {
        let bytes = files::read_range(&self.file, range.clone());
        Ok(bytes
            .map_err(|source| Error::io(&self.name, source))?
            .into())
    }
}

/// Splits ranges into runs, each of which is read at once.
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
