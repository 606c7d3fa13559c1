//! Cursors: read series and chunks of a block in turn, within a window of memory.

use std::{path::Path, sync::Arc};

use super::{Inner, window::Window};
use crate::{
    Chunk, Fetched,
    error::{Error, Result},
    refs::{ChunkMeta, SeriesEntry, SeriesRef},
    segment::decode_chunk_record,
};

/// The largest window of a cursor, in bytes. A merge has two for each block and thread; larger ones read no faster.
const WINDOW: usize = 256 << 10;

/// Reads series of one block; cheap if references ascend. Holds at most 256 KiB of the index.
#[derive(Debug)]
pub struct SeriesCursor {
    block: Arc<Inner>,
    window: Window,
}

/// Reads chunks of one block; cheap if references ascend. Holds at most 256 KiB of a segment, and the memory of chunks
/// that are still in use.
#[derive(Debug)]
pub struct ChunkCursor {
    block: Arc<Inner>,
    window: Window,
    /// The segment of the window.
    segment: u32,
}

impl SeriesCursor {
    pub(super) fn new(block: Arc<Inner>) -> Self {
        Self {
            block,
            window: Window::new(WINDOW),
        }
    }

    /// Sets about how many bytes will be read in order, so that it reads no more.
    #[must_use]
    pub fn expecting(mut self, bytes: usize) -> Self {
        self.window.expect(bytes);
        self
    }

    /// Reads a series into `entry`, whose memory is reused.
    ///
    /// # Errors
    /// When the index cannot be read or is damaged, or has no such series.
    pub fn read(&mut self, series: SeriesRef, entry: &mut SeriesEntry) -> Result<()> {
        let header = &self.block.header;
        let offset = header.series_offset(series);
        let end = header.toc().series_range().end;
        let mut needed = 0;
        loop {
            // The decoder never asks for more than the section has.
            if offset < end {
                self.window
                    .fill(&self.block.index, offset, needed, end)
                    .map_err(Error::io(&self.block.index_path))?;
            }
            let bytes = self.window.from(offset);
            match header
                .decode_series_into(bytes, series, entry)
                .map_err(|error| error.in_dir(&self.block.dir))?
            {
                Fetched::Done(()) => return Ok(()),
                Fetched::Short { needed: more } => needed = more,
            }
        }
    }
}

impl ChunkCursor {
    pub(super) fn new(block: Arc<Inner>) -> Self {
        Self {
            block,
            window: Window::new(WINDOW),
            segment: 0,
        }
    }

    /// Sets about how many bytes will be read in order, so that it reads no more.
    #[must_use]
    pub fn expecting(mut self, bytes: usize) -> Self {
        self.window.expect(bytes);
        self
    }

    /// Reads a chunk. Its data is a slice of the window as it is then.
    ///
    /// # Errors
    /// When the segment cannot be read, is damaged, or does not exist.
    pub fn read(&mut self, chunk: &ChunkMeta) -> Result<Chunk> {
        self.read_record(chunk)
            .map_err(|error| error.in_dir(&self.block.dir))
    }

    fn read_record(&mut self, chunk: &ChunkMeta) -> Result<Chunk> {
        let number = chunk.reference.segment();
        let offset = u64::from(chunk.reference.offset());
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(segment) = self.block.segments.get(index) else {
            let expected = format!("one of {} segments", self.block.segments.len());
            let found = format!("a chunk in segment {number}");
            return Err(Error::corrupt(super::INDEX, 0, expected, found));
        };
        if self.segment != number {
            self.window.clear();
            self.segment = number;
        }
        let mut needed = 1;
        loop {
            if offset.saturating_add(needed) > segment.size {
                let file = file_below(&segment.path, &self.block.dir);
                return Err(Error::truncated(&file, offset, needed, segment.size));
            }
            self.window
                .fill(&segment.file, offset, needed, segment.size)
                .map_err(Error::io(&segment.path))?;
            match decode_chunk_record(&self.window.share(offset), chunk)? {
                Fetched::Done(chunk) => return Ok(chunk),
                Fetched::Short { needed: more } => needed = more,
            }
        }
    }
}

fn file_below(path: &Path, dir: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).display().to_string()
}
