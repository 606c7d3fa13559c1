//! The files of a TSDB block.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{
    BlockId, BlockMeta, BlockStats, CompactionMeta, Downsample, Extra, IndexStats, Resolution,
    ThanosMeta, TimeRange, Timestamp,
};
use parquet_block::{SharedValue, envelope};
use tsdb::{BlockWriter, Chunk, SymbolRef, segment_file_name};

use super::super::{MergeError, MergeOutput, MergeTarget, rows::Rows, symbols::SymbolTable};

/// Writes series as they come. Its chunks are a copy of memory and a checksum each, so one thread keeps up.
pub(crate) struct TsdbSink {
    dir: PathBuf,
    resolution: Resolution,
    range: TimeRange,
    symbols: Arc<SymbolTable>,
    /// None before there is a series.
    writer: Option<BlockWriter>,
}

impl TsdbSink {
    /// Writes into the target's folder; no file is made before there is a series.
    pub(crate) fn new(target: &MergeTarget, range: TimeRange, symbols: Arc<SymbolTable>) -> Self {
        Self {
            dir: target.dir.clone(),
            resolution: target.resolution,
            range,
            symbols,
            writer: None,
        }
    }

    pub(super) fn take(&mut self, rows: Rows) -> Result<(), MergeError> {
        if rows.counts.num_series == 0 {
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(BlockWriter::create(&self.dir, self.symbols.iter())?),
        };
        let mut labels: Vec<(SymbolRef, SymbolRef)> = Vec::new();
        let mut chunks: Vec<Chunk> = Vec::new();
        let rows = rows.done();
        for (pairs, values) in rows.iter() {
            labels.clear();
            // Ids are places in the same table.
            labels.extend(pairs.iter().map(|(n, v)| (SymbolRef(*n), SymbolRef(*v))));
            chunks.clear();
            for SharedValue { buffer, range } in values {
                let value = buffer.slice(range);
                for chunk in envelope::decode(&value) {
                    let chunk = chunk.map_err(|fault| parquet_block::Error::Layout {
                        reason: fault.reason,
                    });
                    chunks.push(chunk?);
                }
            }
            // There they are in the order of their encodings.
            chunks.sort_by_key(|chunk| chunk.min);
            writer.add_series_of(&labels, &chunks)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<MergeOutput, MergeError> {
        let mut output = MergeOutput {
            resolution: self.resolution,
            shards: Vec::new(),
            stats: BlockStats::default(),
            index_stats: IndexStats::default(),
            files: Vec::new(),
        };
        let Some(writer) = self.writer else {
            return Ok(output);
        };
        let meta = writer.finish(nameless(self.range, self.resolution))?;
        output.stats = meta.stats;
        output.index_stats = meta.thanos.unwrap_or_default().index_stats;
        output.files = files(&self.dir)?;
        Ok(output)
    }
}

/// A `meta.json` with which the block can be opened here. What it is called, and where it comes from, is for the
/// caller to say.
fn nameless(range: TimeRange, resolution: Resolution) -> BlockMeta {
    BlockMeta {
        ulid: BlockId::new(range.min, 0),
        min_time: range.min,
        max_time: Timestamp(range.max.0.saturating_add(1)),
        stats: BlockStats::default(),
        compaction: CompactionMeta::default(),
        version: 1,
        thanos: Some(ThanosMeta {
            version: 1,
            downsample: Downsample { resolution },
            ..ThanosMeta::default()
        }),
        parquet: None,
        extra: Extra::default(),
    }
}

/// The segments, then the index.
fn files(dir: &Path) -> Result<Vec<String>, MergeError> {
    let mut files = Vec::new();
    for segment in 0.. {
        let name = segment_file_name(segment);
        let path = dir.join(&name);
        if !path.try_exists().map_err(MergeError::io(&path))? {
            break;
        }
        files.push(name);
    }
    files.push("index".to_owned());
    Ok(files)
}
