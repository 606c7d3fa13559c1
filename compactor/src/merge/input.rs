//! One source block as the merge sees it: its series in the order of the output, in global ids.

mod parquet;
mod refs;
mod tsdb_block;
mod unset;

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use model::{
    BlockId, BlockMeta, Labels, METRIC_NAME, Resolution, SeriesOrder, TimeRange, Timestamp,
};
use rayon::prelude::*;
use tsdb::{Chunk, ChunkError, Intervals};

use self::{
    parquet::{OpenedParquet, ParquetCursor, ParquetInput},
    tsdb_block::{OpenedTsdb, TsdbCursor, TsdbInput},
};
use super::{
    MergeError,
    key::{Key, Keys},
    symbols::SymbolTable,
};

/// Of how many series one key is taken into the sample that key ranges are cut by.
pub(crate) const SAMPLE_STEP: usize = 256;

/// A source block, open, with its symbols translated.
#[derive(Debug)]
pub(crate) enum Input {
    /// Of Prometheus's format.
    Tsdb(TsdbInput),
    /// Of ours.
    Parquet(ParquetInput),
}

/// Reads some of an input's series one after the other.
#[derive(Debug)]
pub(crate) enum InputCursor<'a> {
    /// Of a TSDB block.
    Tsdb(TsdbCursor<'a>),
    /// Of a Parquet block.
    Parquet(ParquetCursor<'a>),
}

/// What is open of a merge's sources.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) all: Vec<Input>,
    /// For each input the place of its block among those to be merged. A block with labels whose values are empty is
    /// several inputs.
    blocks: Vec<usize>,
    /// The symbols of all of them.
    pub(crate) symbols: Arc<SymbolTable>,
    /// The resolution that all of them have.
    pub(crate) resolution: Resolution,
    /// The id of `__name__`.
    pub(crate) metric_name: Option<u32>,
}

/// A chunk, and before it the place of the block that it comes from; of equal timestamps the earlier block's sample counts.
pub(crate) type SourceChunk = (usize, Chunk);

/// A block whose symbols are not translated yet.
enum Opened {
    Tsdb(OpenedTsdb),
    Parquet(OpenedParquet),
}

/// Strings in byte order.
type Table<'a> = Box<dyn Iterator<Item = &'a [u8]> + 'a>;

impl Inputs {
    /// Opens the blocks and makes one symbol table of theirs. `shared_pages` is how many
    /// bytes of pages the readers of one row group may leave to one another.
    ///
    /// # Errors
    /// When a block cannot be read, or is of another resolution than the first; the error names it.
    pub(crate) fn open(
        dirs: &[PathBuf],
        order: SeriesOrder,
        shared_pages: usize,
    ) -> Result<Self, MergeError> {
        let mut resolution = None;
        let mut opened = Vec::with_capacity(dirs.len());
        for dir in dirs {
            let meta = read_meta(dir)?;
            let block = meta.ulid;
            let expected = *resolution.get_or_insert_with(|| meta.resolution());
            if meta.resolution() != expected {
                return Err(MergeError::Resolution {
                    block,
                    expected,
                    found: meta.resolution(),
                });
            }
            opened.push(match &meta.parquet {
                Some(_) => Opened::Parquet(OpenedParquet::open(dir, &meta)?),
                None => Opened::Tsdb(OpenedTsdb::open(dir, block, order)?),
            });
        }
        let tables: Vec<Vec<Table<'_>>> = opened.iter().map(Opened::tables).collect();
        let counts: Vec<usize> = tables.iter().map(Vec::len).collect();
        let (symbols, ids) = SymbolTable::union(tables.into_iter().flatten());
        let metric_name = symbols.find(METRIC_NAME.as_bytes());
        let keys = Keys::new(order, metric_name, symbols.find(b""));
        let mut ids = ids.into_iter();
        let mut with_ids = Vec::with_capacity(opened.len());
        for (opened, count) in opened.into_iter().zip(counts) {
            with_ids.push((opened, ids.by_ref().take(count).collect::<Vec<_>>()));
        }
        let of_blocks = with_ids
            .into_par_iter()
            .map(|(opened, ids)| match opened {
                Opened::Tsdb(block) => {
                    let inputs = block.translated(ids, keys)?.into_iter();
                    Ok(inputs.map(Input::Tsdb).collect())
                }
                Opened::Parquet(block) => Ok(vec![Input::Parquet(block.translated(
                    &ids,
                    keys,
                    metric_name,
                    order,
                    shared_pages,
                )?)]),
            })
            .collect::<Result<Vec<Vec<Input>>, MergeError>>()?;
        let (mut all, mut blocks) = (Vec::new(), Vec::new());
        for (block, inputs) in of_blocks.into_iter().enumerate() {
            blocks.extend(inputs.iter().map(|_| block));
            all.extend(inputs);
        }
        Ok(Self {
            all,
            blocks,
            symbols: Arc::new(symbols),
            resolution: resolution.unwrap_or_default(),
            metric_name,
        })
    }

    /// How many blocks there are.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks.last().map_or(0, |last| last.saturating_add(1))
    }

    /// The place of an input's block among those to be merged.
    pub(crate) fn block_of(&self, input: usize) -> usize {
        self.blocks.get(input).copied().unwrap_or(usize::MAX)
    }

    /// The block at this place.
    pub(crate) fn id(&self, block: usize) -> BlockId {
        let mut inputs = self.blocks.iter().zip(&self.all);
        let input = inputs.find(|(of, _)| **of == block);
        input.map(|(_, input)| input.block()).unwrap_or_default()
    }

    /// The labels of a key for a person to read.
    pub(crate) fn text(&self, key: &Key) -> String {
        let text = |id| self.symbols.get(id);
        let labels = key.labels.iter().map(|(n, v)| (text(*n), text(*v)));
        Labels::from_sorted(labels).to_string()
    }

    /// The names of labels in any of the inputs, sorted.
    pub(crate) fn label_names(&self) -> Vec<Vec<u8>> {
        let mut names: Vec<Vec<u8>> = self.all.iter().flat_map(Input::label_names).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The `meta.json` of the block in a folder.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read_meta(dir: &Path) -> Result<BlockMeta, MergeError> {
    let path = dir.join(BlockMeta::FILE);
    let read = fs::read(&path).map_err(|source| tsdb::Error::Io { path, source });
    let decoded = read.and_then(|json| {
        BlockMeta::decode(&json).map_err(|source| tsdb::Error::Meta {
            file: BlockMeta::FILE.to_owned(),
            source,
        })
    });
    decoded.map_err(|source| MergeError::Meta {
        dir: dir.to_path_buf(),
        source,
    })
}

impl Opened {
    /// Every string that a label may be made of, table by table.
    fn tables(&self) -> Vec<Table<'_>> {
        match self {
            Self::Tsdb(block) => vec![block.table()],
            Self::Parquet(block) => block.tables(),
        }
    }
}

impl Input {
    /// How many series it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Tsdb(block) => block.len(),
            Self::Parquet(block) => block.len(),
        }
    }

    /// Bytes of all its chunks, as they are stored.
    pub(crate) fn chunk_bytes(&self) -> u64 {
        match self {
            Self::Tsdb(block) => block.chunk_bytes(),
            Self::Parquet(block) => block.chunk_bytes(),
        }
    }

    /// Bytes of the chunks of some series, as if all had as many.
    pub(crate) fn share(&self, series: usize) -> usize {
        share(self.chunk_bytes(), series, self.len())
    }

    /// The block that it is, or is a part of.
    pub(crate) fn block(&self) -> BlockId {
        match self {
            Self::Tsdb(input) => input.block(),
            Self::Parquet(input) => input.block(),
        }
    }

    fn label_names(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Tsdb(block) => block.label_names(),
            Self::Parquet(block) => block.label_names(),
        }
    }

    /// The key of every [`SAMPLE_STEP`]th series but the first.
    pub(crate) fn sample(&self) -> Result<Vec<Key>, MergeError> {
        match self {
            Self::Tsdb(block) => block.sample(),
            Self::Parquet(block) => Ok(block.sample()),
        }
    }

    /// For each key, the first series whose key is not before it. The keys ascend; `samples` is what [`Self::sample`]
    /// gave.
    pub(crate) fn positions(
        &self,
        keys: &[Key],
        samples: &[Key],
    ) -> Result<Vec<usize>, MergeError> {
        match self {
            Self::Tsdb(block) => block.positions(keys, samples),
            Self::Parquet(block) => block.positions(keys),
        }
    }

    /// A reader of some of the series, standing at the first.
    pub(crate) fn cursor(&self, series: Range<usize>) -> Result<InputCursor<'_>, MergeError> {
        Ok(match self {
            Self::Tsdb(block) => InputCursor::Tsdb(block.cursor(series)?),
            Self::Parquet(block) => InputCursor::Parquet(block.cursor(series)?),
        })
    }
}

impl InputCursor<'_> {
    /// The key of the series that the cursor stands at; none at its end.
    pub(crate) fn key(&self) -> Option<&Key> {
        match self {
            Self::Tsdb(cursor) => cursor.key(),
            Self::Parquet(cursor) => cursor.key(),
        }
    }

    /// Goes to the next series.
    pub(crate) fn advance(&mut self) -> Result<(), MergeError> {
        match self {
            Self::Tsdb(cursor) => cursor.advance(),
            Self::Parquet(cursor) => cursor.advance(),
        }
    }

    /// The values of raw chunks of the series that the cursor stands at, as a Parquet block stores them; false where
    /// only [`Self::chunks`] can tell.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn values(&mut self, each: impl FnMut(Bytes)) -> Result<bool, MergeError> {
        match self {
            Self::Tsdb(_) => Ok(false),
            Self::Parquet(cursor) => cursor.values(each),
        }
    }

    /// Reads the chunks of the series that the cursor stands at as they are stored, each with what tombstones delete
    /// of the series.
    ///
    /// # Errors
    /// When a chunk cannot be read.
    pub(crate) fn stored(
        &mut self,
        mut each: impl FnMut(Chunk, Option<&Intervals>) -> Result<(), ChunkError>,
    ) -> Result<(), MergeError> {
        match self {
            Self::Tsdb(cursor) => cursor.stored(each),
            Self::Parquet(cursor) => {
                let block = cursor.block();
                let mut done = Ok(());
                cursor.chunks(TimeRange::ALL, |chunk| {
                    if done.is_ok() {
                        done = each(chunk, None);
                    }
                })?;
                done.map_err(MergeError::chunk(block))
            }
        }
    }

    /// Reads the chunks of the series that the cursor stands at, without what tombstones delete.
    ///
    /// # Errors
    /// When a chunk cannot be read, or lies outside of `range`.
    pub(crate) fn chunks(
        &mut self,
        range: TimeRange,
        each: impl FnMut(Chunk),
    ) -> Result<(), MergeError> {
        match self {
            Self::Tsdb(cursor) => cursor.chunks(range, each),
            Self::Parquet(cursor) => cursor.chunks(range, each),
        }
    }
}

/// What `some` of `all` series take of `bytes`, as if all took as much.
fn share(bytes: u64, some: usize, all: usize) -> usize {
    let bytes = u128::from(bytes) * some as u128 / all.max(1) as u128;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Refuses a chunk outside of `range`.
fn check_within(
    block: BlockId,
    (min, max): (Timestamp, Timestamp),
    range: TimeRange,
) -> Result<(), MergeError> {
    if range.covers(TimeRange { min, max }) {
        return Ok(());
    }
    Err(MergeError::Outside {
        block,
        min,
        max,
        range,
    })
}
