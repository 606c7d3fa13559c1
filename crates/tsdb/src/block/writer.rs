//! Writes a block: series in their order, then `meta.json` once everything else is durable.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use files::Durability;
use model::{BlockMeta, BlockStats, Labels};

use crate::{
    Chunk, Encoding,
    codec::put_uvarint,
    error::{Error, Result},
    index::{FILE as INDEX, IndexWriter},
    refs::{ChunkMeta, ChunkRef, SymbolRef},
    segment::{DIR, HEAD, RECORD_OVERHEAD, segment_file_name},
    tombstones::Tombstones,
};

/// The segment length in bytes after which the next one starts, as in Prometheus.
const SEGMENT_SIZE: u64 = 512 << 20;

/// A block being written: symbols first, then series in the order of their labels.
///
/// The symbols and, for each label value, its series are in memory. The bytes written depend only on the input. The
/// directory is not a block until [`BlockWriter::finish`] has written `meta.json`.
pub struct BlockWriter {
    dir: PathBuf,
    index: IndexWriter,
    segments: SegmentWriter,
    stats: BlockStats,
    longest_chunk: u64,
    labels: Vec<(SymbolRef, SymbolRef)>,
    metas: Vec<ChunkMeta>,
}

struct SegmentWriter {
    dir: PathBuf,
    limit: u64,
    current: Option<Current>,
    /// The number of started segments.
    count: u32,
    record: Vec<u8>,
}

struct Current {
    path: PathBuf,
    out: BufWriter<File>,
    at: u64,
}

impl BlockWriter {
    /// Starts a block in `dir`, which is created if it is missing. `symbols` are all names and values of labels, in
    /// byte order, each once; unused ones do no harm.
    ///
    /// # Errors
    /// When the symbols are not in order, or a file cannot be written.
    pub fn create<S: AsRef<[u8]>>(
        dir: &Path,
        symbols: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let chunks = dir.join(DIR);
        fs::create_dir_all(&chunks).map_err(Error::io(&chunks))?;
        Ok(Self {
            index: IndexWriter::create(dir.join(INDEX), symbols)?,
            segments: SegmentWriter {
                dir: dir.to_owned(),
                limit: SEGMENT_SIZE,
                current: None,
                count: 0,
                record: Vec::new(),
            },
            dir: dir.to_owned(),
            stats: BlockStats::default(),
            longest_chunk: 0,
            labels: Vec::new(),
            metas: Vec::new(),
        })
    }

    /// Starts the next segment at `bytes` instead of 512 MiB.
    #[must_use]
    pub fn with_segment_size(mut self, bytes: u64) -> Self {
        self.segments.limit = bytes;
        self
    }

    /// Adds a series. Series come in the order of their labels, chunks in that of time.
    ///
    /// # Errors
    /// When the order is wrong, a label's text is not among the symbols, the samples of a chunk cannot be counted, or
    /// a file cannot be written.
    pub fn add_series(&mut self, labels: &Labels, chunks: &[Chunk]) -> Result<()> {
        let mut pairs = std::mem::take(&mut self.labels);
        pairs.clear();
        for (name, value) in labels.iter() {
            pairs.push((self.index.symbol(name)?, self.index.symbol(value)?));
        }
        self.add_series_of(&pairs, chunks)?;
        self.labels = pairs;
        Ok(())
    }

    /// As [`BlockWriter::add_series`], with labels as indices of the symbols given to [`BlockWriter::create`].
    ///
    /// # Errors
    /// As [`BlockWriter::add_series`].
    pub fn add_series_of(
        &mut self,
        labels: &[(SymbolRef, SymbolRef)],
        chunks: &[Chunk],
    ) -> Result<()> {
        self.index.check_order(labels)?;
        check_times(chunks)?;
        self.append_series(labels, chunks)
    }

    /// Adds a series whose order has been checked.
    fn append_series(&mut self, labels: &[(SymbolRef, SymbolRef)], chunks: &[Chunk]) -> Result<()> {
        self.metas.clear();
        for chunk in chunks {
            let reference = self.segments.write(chunk)?;
            self.longest_chunk = self.longest_chunk.max(self.segments.record.len() as u64);
            self.metas.push(ChunkMeta {
                min: chunk.min,
                max: chunk.max,
                reference,
            });
            self.count(chunk, reference)?;
        }
        self.index.add_series(labels, &self.metas)?;
        self.stats.num_series += 1;
        Ok(())
    }

    /// Writes the rest and makes everything durable, `meta.json` last: `meta` with its counts, and if it has Thanos's
    /// section, the sizes of the longest series and chunk.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(mut self, mut meta: BlockMeta) -> Result<BlockMeta> {
        let longest_series = self.index.longest_series();
        self.segments.close()?;
        self.index.finish()?;
        let dir = self.dir.join(DIR);
        files::sync_folder(&dir).map_err(Error::io(&dir))?;
        Tombstones::default().write(&self.dir)?;

        meta.stats = self.stats;
        if let Some(thanos) = &mut meta.thanos {
            thanos.index_stats.series_max_size = longest_series;
            thanos.index_stats.chunk_max_size = self.longest_chunk;
        }
        let path = self.dir.join(BlockMeta::FILE);
        files::replace(&path, &meta.encode(), Durability::Durable).map_err(Error::io(&path))?;
        Ok(meta)
    }

    fn count(&mut self, chunk: &Chunk, reference: ChunkRef) -> Result<()> {
        let samples = chunk.num_samples().map_err(|source| Error::Chunk {
            file: segment_file_name(reference.segment()),
            offset: u64::from(reference.offset()),
            source,
        })?;
        let samples = u64::from(samples);
        self.stats.num_chunks += 1;
        self.stats.num_samples += samples;
        match chunk.encoding {
            Encoding::Xor => self.stats.num_float_samples += samples,
            Encoding::Histogram | Encoding::FloatHistogram => {
                self.stats.num_histogram_samples += samples;
            }
            Encoding::Aggr => {}
        }
        Ok(())
    }
}

impl SegmentWriter {
    fn write(&mut self, chunk: &Chunk) -> Result<ChunkRef> {
        let len = chunk.data.len() as u64;
        let size = len + RECORD_OVERHEAD;
        let limit = u64::from(u32::MAX) - HEAD.len() as u64;
        if size > limit {
            return Err(Error::TooLarge {
                file: segment_file_name(self.count),
                what: "chunk",
                size,
                limit,
            });
        }
        let full = |current: &Current| current.at + size > self.limit;
        if self.current.as_ref().is_none_or(full) {
            self.cut()?;
        }
        self.record.clear();
        put_uvarint(&mut self.record, len);
        let start = self.record.len();
        self.record.push(chunk.encoding as u8);
        self.record.extend_from_slice(&chunk.data);
        let crc = crc32c::crc32c(self.record.get(start..).unwrap_or_default());
        self.record.extend_from_slice(&crc.to_be_bytes());

        let segment = self.count.saturating_sub(1);
        let Some(current) = &mut self.current else {
            return Err(Error::io(&self.dir)(std::io::ErrorKind::NotFound.into()));
        };
        let offset = u32::try_from(current.at).map_err(|_| Error::TooLarge {
            file: segment_file_name(segment),
            what: "segment",
            size: current.at,
            limit: u64::from(u32::MAX),
        })?;
        current
            .out
            .write_all(&self.record)
            .map_err(Error::io(&current.path))?;
        current.at += self.record.len() as u64;
        Ok(ChunkRef::new(segment, offset))
    }

    fn cut(&mut self) -> Result<()> {
        self.close()?;
        let path = self.dir.join(segment_file_name(self.count));
        let file = File::create(&path).map_err(Error::io(&path))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(&HEAD).map_err(Error::io(&path))?;
        self.count += 1;
        self.current = Some(Current {
            path,
            out,
            at: HEAD.len() as u64,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let file = current.out.into_inner().map_err(|error| Error::Io {
            path: current.path.clone(),
            source: error.into_error(),
        })?;
        file.sync_all().map_err(Error::io(&current.path))
    }
}

fn check_times(chunks: &[Chunk]) -> Result<()> {
    let mut previous: Option<&Chunk> = None;
    for chunk in chunks {
        let after = previous.is_none_or(|previous| previous.max < chunk.min);
        if !after || chunk.min > chunk.max {
            return Err(Error::OutOfOrder {
                what: "chunk",
                previous: previous.map_or_else(
                    || "its own start".to_owned(),
                    |p| format!("{} to {}", p.min, p.max),
                ),
                found: format!("{} to {}", chunk.min, chunk.max),
            });
        }
        previous = Some(chunk);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
