//! One source block as the merge sees it: its series in the order of the output, in global ids.

use std::path::{Path, PathBuf};

use model::TimeRange;
use tsdb::{Block, Chunk, ChunkCursor, SeriesCursor, SeriesEntry, SeriesRef};

use super::{MergeError, deleted::without, symbols::SymbolTable};

/// A source block, open, with its symbols translated.
#[derive(Debug)]
pub(crate) struct Input {
    /// Where it lies, for errors.
    dir: PathBuf,
    pub(crate) block: Block,
    /// Its series by metric name, then by labels.
    pub(crate) refs: Vec<SeriesRef>,
    /// The global id of each of its symbols.
    ids: Vec<u32>,
    /// The global id of `__name__`.
    metric_name: Option<u32>,
}

/// The place of a series in the output: by metric name (0 where it has none, else id + 1), then by
/// labels. Ids follow byte order, so keys compare as the strings would.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) name: u32,
    /// Global ids of names and values, in order of names.
    pub(crate) labels: Vec<(u32, u32)>,
}

/// Reads a stretch of an input's series one after the other.
#[derive(Debug)]
pub(crate) struct Stretch<'a> {
    input: &'a Input,
    rest: std::slice::Iter<'a, SeriesRef>,
    series: SeriesCursor,
    chunks: ChunkCursor,
    entry: SeriesEntry,
    at: Option<SeriesRef>,
    key: Key,
}

impl Input {
    /// Opens the blocks and makes one symbol table of theirs.
    ///
    /// # Errors
    /// When a block cannot be read; the error names it.
    pub(crate) fn open_all(dirs: &[PathBuf]) -> Result<(Vec<Self>, SymbolTable), MergeError> {
        let mut blocks = Vec::with_capacity(dirs.len());
        for dir in dirs {
            let named = |e| MergeError::block(dir, e);
            let block = Block::open(dir).map_err(named)?;
            let refs = block.refs_by_name().map_err(named)?;
            blocks.push((dir.clone(), block, refs));
        }
        let (table, ids) = SymbolTable::union(blocks.iter().map(|(_, b, _)| b.symbols().iter()));
        let metric_name = table.find(model::METRIC_NAME);
        let inputs = blocks
            .into_iter()
            .zip(ids)
            .map(|((dir, block, refs), ids)| Self {
                dir,
                block,
                refs,
                ids,
                metric_name,
            })
            .collect();
        Ok((inputs, table))
    }

    /// A reader of `refs`, which are some of this input's, standing at the first.
    pub(crate) fn stretch<'a>(&'a self, refs: &'a [SeriesRef]) -> Result<Stretch<'a>, MergeError> {
        let mut stretch = Stretch {
            input: self,
            rest: refs.iter(),
            series: self.block.series_cursor(),
            chunks: self.block.chunk_cursor(),
            entry: SeriesEntry::default(),
            at: None,
            key: Key::default(),
        };
        stretch.advance()?;
        Ok(stretch)
    }

    /// The first of `refs` whose key is not before `key`.
    pub(crate) fn lower_bound(&self, key: &Key) -> Result<usize, MergeError> {
        let mut cursor = self.block.series_cursor();
        let (mut entry, mut found) = (SeriesEntry::default(), Key::default());
        let (mut low, mut high) = (0, self.refs.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(series) = self.refs.get(middle) else {
                break;
            };
            self.read(*series, &mut cursor, &mut entry, &mut found)?;
            if found < *key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The key of every `step`th series.
    pub(crate) fn sample(&self, step: usize) -> Result<Vec<Key>, MergeError> {
        let mut cursor = self.block.series_cursor();
        let mut entry = SeriesEntry::default();
        let mut keys = Vec::with_capacity(self.refs.len() / step.max(1));
        for series in self.refs.iter().step_by(step.max(1)).skip(1) {
            let mut key = Key::default();
            self.read(*series, &mut cursor, &mut entry, &mut key)?;
            keys.push(key);
        }
        Ok(keys)
    }

    /// Where the block lies.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn read(
        &self,
        series: SeriesRef,
        cursor: &mut SeriesCursor,
        entry: &mut SeriesEntry,
        key: &mut Key,
    ) -> Result<(), MergeError> {
        cursor
            .read(series, entry)
            .map_err(|e| MergeError::block(&self.dir, e))?;
        key.name = 0;
        key.labels.clear();
        for (name, value) in &entry.labels {
            let (name, value) = (self.id(*name)?, self.id(*value)?);
            if Some(name) == self.metric_name {
                key.name = value + 1;
            }
            key.labels.push((name, value));
        }
        Ok(())
    }

    fn id(&self, symbol: tsdb::SymbolRef) -> Result<u32, MergeError> {
        let id = self.ids.get(symbol.0 as usize).copied();
        id.ok_or_else(|| MergeError::Symbol {
            dir: self.dir.clone(),
            found: symbol.0,
            symbols: self.ids.len(),
        })
    }
}

impl Stretch<'_> {
    /// The key of the series that the stretch stands at; none at its end.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.at.map(|_| &self.key)
    }

    /// Goes to the next series.
    pub(crate) fn advance(&mut self) -> Result<(), MergeError> {
        let before = self.at.is_some().then(|| self.key.clone());
        self.at = self.rest.next().copied();
        if let Some(series) = self.at {
            self.input
                .read(series, &mut self.series, &mut self.entry, &mut self.key)?;
            if before.is_some_and(|before| before >= self.key) {
                return Err(MergeError::Order {
                    dir: self.input.dir.clone(),
                    series: series.0,
                });
            }
        }
        Ok(())
    }

    /// Reads the chunks of the series that the stretch stands at, without what tombstones delete.
    ///
    /// # Errors
    /// When a chunk cannot be read, or lies outside of `range`.
    pub(crate) fn chunks(
        &mut self,
        range: TimeRange,
        mut each: impl FnMut(Chunk),
    ) -> Result<(), MergeError> {
        let Some(series) = self.at else {
            return Ok(());
        };
        let named = |e| MergeError::block(&self.input.dir, e);
        let damaged = |source| MergeError::Chunk {
            dir: self.input.dir.clone(),
            source,
        };
        let deleted = self.input.block.tombstones().get(series);
        for meta in &self.entry.chunks {
            let (min, max) = (meta.min, meta.max);
            if !range.covers(TimeRange { min, max }) {
                let dir = self.input.dir.clone();
                return Err(MergeError::Outside {
                    dir,
                    min,
                    max,
                    range,
                });
            }
            let chunk = self.chunks.read(meta).map_err(named)?;
            match deleted {
                None => each(chunk),
                Some(intervals) => {
                    for kept in without(&chunk, intervals).map_err(damaged)? {
                        each(kept);
                    }
                }
            }
        }
        Ok(())
    }
}
