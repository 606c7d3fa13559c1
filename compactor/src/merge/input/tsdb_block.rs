//! A TSDB block as a source.

use std::{ops::Range, path::Path, sync::Arc};

use model::{BlockId, METRIC_NAME, SeriesOrder, TimeRange};
use tsdb::{
    Block, Chunk, ChunkCursor, ChunkError, Intervals, SeriesCursor, SeriesEntry, SeriesRef,
};

use super::{
    super::{
        MergeError,
        deleted::{divides, without},
        key::{Key, Keys},
    },
    SAMPLE_STEP, Table, check_within,
    refs::{self, Refs},
    share,
    unset::{self, Metrics},
};

/// What is read at once of a series that is looked at alone, in bytes.
const SAMPLED_BYTES: usize = 1 << 10;

/// An open block, or some of its series.
#[derive(Debug)]
pub(crate) struct TsdbInput {
    /// For errors.
    id: BlockId,
    block: Block,
    /// Its series in the order of the output.
    refs: Refs,
    /// Bytes of their chunks, about.
    bytes: u64,
    /// The global id of each of its symbols.
    ids: Arc<[u32]>,
    keys: Keys,
}

/// One whose symbols are not translated yet.
#[derive(Debug)]
pub(super) struct OpenedTsdb {
    id: BlockId,
    block: Block,
    refs: Refs,
    /// In the same order, those with labels whose values are empty; they are not in `refs`.
    unset: Vec<SeriesRef>,
}

/// Reads some of the series.
#[derive(Debug)]
pub(crate) struct TsdbCursor<'a> {
    input: &'a TsdbInput,
    rest: refs::Iter<'a>,
    series: SeriesCursor,
    chunks: ChunkCursor,
    entry: SeriesEntry,
    at: Option<SeriesRef>,
    key: Key,
    before: Key,
}

impl OpenedTsdb {
    pub(super) fn open(dir: &Path, id: BlockId, order: SeriesOrder) -> Result<Self, MergeError> {
        let named = MergeError::block(id);
        let block = Block::open(dir).map_err(&named)?;
        let mut refs = block.refs_by_name().map_err(&named)?;
        if order == SeriesOrder::ByLabels {
            // The index has them in this order, which references follow.
            refs.sort_unstable();
        }
        // Without these labels a series is in another place.
        let empty = block.refs_with_empty_values().map_err(&named)?;
        let is_unset = |series: &SeriesRef| empty.binary_search(series).is_ok();
        let (unset, refs): (Vec<_>, Vec<_>) = match empty.is_empty() {
            true => (Vec::new(), refs),
            false => refs.into_iter().partition(is_unset),
        };
        Ok(Self {
            id,
            refs: refs.into_iter().collect(),
            block,
            unset,
        })
    }

    pub(super) fn table(&self) -> Table<'_> {
        Box::new(self.block.symbols().iter())
    }

    /// `ids` are those of the symbols. There is one input, and more for series with labels whose values are empty.
    pub(super) fn translated(
        self,
        mut ids: Vec<Vec<u32>>,
        keys: Keys,
    ) -> Result<Vec<TsdbInput>, MergeError> {
        let unnamed = self.block.header().postings_range(METRIC_NAME, "");
        let unnamed = unnamed.map_err(MergeError::block(self.id))?;
        let is_mixed = unnamed.is_some()
            || self
                .block
                .label_names()
                .any(|name| name < METRIC_NAME.as_bytes());
        let metrics = match keys.order() {
            SeriesOrder::ByLabels if is_mixed => Metrics::Mixed,
            _ => Metrics::Apart,
        };
        let all = self.refs.len() + self.unset.len();
        let mut main = TsdbInput {
            id: self.id,
            bytes: self.block.chunk_bytes(),
            block: self.block,
            refs: self.refs,
            ids: ids.pop().unwrap_or_default().into(),
            keys,
        };
        let (mut cursor, mut entry) = (main.block.series_cursor(), SeriesEntry::default());
        let layers = unset::layers(main.id, self.unset, metrics, keys, |series| {
            let mut key = Key::default();
            main.read(series, &mut cursor, &mut entry, &mut key)?;
            Ok(key)
        })?;
        let parts = layers.into_iter().map(|refs| main.part(refs, all));
        let parts: Vec<TsdbInput> = parts.collect();
        main.bytes = main.bytes_of(main.refs.len(), all);
        let mut inputs = vec![main];
        inputs.extend(parts);
        Ok(inputs)
    }
}

impl TsdbInput {
    /// The same block, but these of its series, of which there are `all` together.
    fn part(&self, refs: Refs, all: usize) -> Self {
        Self {
            bytes: self.bytes_of(refs.len(), all),
            refs,
            id: self.id,
            block: self.block.clone(),
            ids: Arc::clone(&self.ids),
            keys: self.keys,
        }
    }

    fn bytes_of(&self, some: usize, all: usize) -> u64 {
        let bytes = share(self.block.chunk_bytes(), some, all);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    pub(super) fn len(&self) -> usize {
        self.refs.len()
    }

    pub(super) fn chunk_bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn block(&self) -> BlockId {
        self.id
    }

    pub(super) fn label_names(&self) -> Vec<Vec<u8>> {
        self.block.label_names().map(<[u8]>::to_vec).collect()
    }

    pub(super) fn sample(&self) -> Result<Vec<Key>, MergeError> {
        // One series in so many: each by itself, not all that lies between.
        let mut cursor = self.block.series_cursor().expecting(SAMPLED_BYTES);
        let mut entry = SeriesEntry::default();
        let mut keys = Vec::with_capacity(self.refs.len() / SAMPLE_STEP);
        for series in self.refs.sample() {
            let mut key = Key::default();
            self.read(series, &mut cursor, &mut entry, &mut key)?;
            keys.push(key);
        }
        Ok(keys)
    }

    pub(super) fn positions(
        &self,
        keys: &[Key],
        samples: &[Key],
    ) -> Result<Vec<usize>, MergeError> {
        let mut cursor = self.block.series_cursor();
        let (mut entry, mut found) = (SeriesEntry::default(), Key::default());
        let mut positions = Vec::with_capacity(keys.len());
        for key in keys {
            // Between two samples: bytes that are in memory after the first look at them.
            let before = samples.partition_point(|sample| sample < key) * SAMPLE_STEP;
            let between = self.refs.iter(before..before + SAMPLE_STEP);
            let between: Vec<SeriesRef> = between.collect();
            let (mut low, mut high) = (0, between.len());
            let mut looked_at = 0;
            while let Some(series) = between.get(looked_at).filter(|_| low < high) {
                self.read(*series, &mut cursor, &mut entry, &mut found)?;
                if found < *key {
                    low = looked_at + 1;
                } else {
                    high = looked_at;
                }
                looked_at = low + (high - low) / 2;
            }
            positions.push(before + low);
        }
        Ok(positions)
    }

    pub(super) fn cursor(&self, series: Range<usize>) -> Result<TsdbCursor<'_>, MergeError> {
        let share = |bytes| share(bytes, series.len(), self.len());
        let index = self.block.header().toc().series_range();
        let mut cursor = TsdbCursor {
            input: self,
            series: self
                .block
                .series_cursor()
                .expecting(share(index.end.saturating_sub(index.start))),
            chunks: self.block.chunk_cursor().expecting(share(self.bytes)),
            rest: self.refs.iter(series),
            entry: SeriesEntry::default(),
            at: None,
            key: Key::default(),
            before: Key::default(),
        };
        cursor.advance()?;
        Ok(cursor)
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
            .map_err(MergeError::block(self.id))?;
        key.labels.clear();
        for (name, value) in &entry.labels {
            key.labels.push((self.id(*name)?, self.id(*value)?));
        }
        self.keys.complete(key);
        Ok(())
    }

    fn id(&self, symbol: tsdb::SymbolRef) -> Result<u32, MergeError> {
        let id = self.ids.get(symbol.0 as usize).copied();
        id.ok_or_else(|| MergeError::Symbol {
            block: self.id,
            found: symbol.0,
            symbols: self.ids.len(),
        })
    }
}

impl TsdbCursor<'_> {
    pub(super) fn key(&self) -> Option<&Key> {
        self.at.map(|_| &self.key)
    }

    pub(super) fn advance(&mut self) -> Result<(), MergeError> {
        let is_first = self.at.is_none();
        std::mem::swap(&mut self.key, &mut self.before);
        self.at = self.rest.next();
        let Some(series) = self.at else {
            return Ok(());
        };
        self.input
            .read(series, &mut self.series, &mut self.entry, &mut self.key)?;
        if !is_first && self.before >= self.key {
            return Err(MergeError::Order {
                block: self.input.id,
                series: series.0.into(),
            });
        }
        Ok(())
    }

    /// The chunks as they are stored, and what is deleted of them.
    pub(super) fn stored(
        &mut self,
        mut each: impl FnMut(Chunk, Option<&Intervals>) -> Result<(), ChunkError>,
    ) -> Result<(), MergeError> {
        let Some(series) = self.at else {
            return Ok(());
        };
        let id = self.input.id;
        let deleted = self.input.block.tombstones().get(series);
        for meta in &self.entry.chunks {
            let chunk = self.chunks.read(meta).map_err(MergeError::block(id))?;
            each(chunk, deleted).map_err(MergeError::chunk(id))?;
        }
        Ok(())
    }

    pub(super) fn chunks(
        &mut self,
        range: TimeRange,
        mut each: impl FnMut(Chunk),
    ) -> Result<(), MergeError> {
        let Some(series) = self.at else {
            return Ok(());
        };
        let id = self.input.id;
        let deleted = self.input.block.tombstones().get(series);
        for meta in &self.entry.chunks {
            check_within(id, (meta.min, meta.max), range)?;
            let chunk = self.chunks.read(meta).map_err(MergeError::block(id))?;
            match deleted {
                None => each(chunk),
                Some(intervals) if divides(intervals, &chunk) => {
                    return Err(MergeError::Divided {
                        block: id,
                        times: TimeRange {
                            min: chunk.min,
                            max: chunk.max,
                        },
                    });
                }
                Some(intervals) => {
                    let kept = without(&chunk, intervals).map_err(MergeError::chunk(id))?;
                    kept.into_iter().for_each(&mut each);
                }
            }
        }
        Ok(())
    }
}
