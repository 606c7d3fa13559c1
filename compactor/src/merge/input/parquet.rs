//! A Parquet block as a source.
//!
//! A row's labels are ids of its row group's dictionaries, which are translated once; no string is looked at after
//! that. Rows are read in order, so that each page is decoded once for each stretch that it has rows of.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use model::{METRIC_NAME, ParquetMeta, Resolution, TimeRange};
use parquet_block::{Contents, Dictionary, LabelIds, LocalShard, RowReader, labels_file};
use rayon::prelude::*;
use tsdb::Chunk;

use super::{
    super::{
        MergeError,
        key::{Key, Keys, Order},
    },
    SAMPLE_STEP, Table, check_within,
    permuted::{Gathered, Permutation},
};

/// An open block.
#[derive(Debug)]
pub(crate) struct ParquetInput {
    /// Where it lies, for errors.
    dir: PathBuf,
    shards: Vec<LocalShard>,
    groups: Vec<Group>,
    keys: Keys,
    /// The keys of every [`SAMPLE_STEP`]th series, from the first on.
    samples: Vec<Key>,
    /// Where the rows are in another order than the output.
    permutation: Option<Permutation>,
}

/// A row group.
#[derive(Debug)]
struct Group {
    /// Its shard.
    shard: usize,
    /// Its place in the shard.
    place: usize,
    /// Its rows, counted over the block.
    rows: Range<usize>,
    ids: Vec<LabelIds>,
}

/// One whose symbols are not translated yet.
#[derive(Debug)]
pub(super) struct OpenedParquet {
    dir: PathBuf,
    shards: Vec<OpenedShard>,
}

#[derive(Debug)]
struct OpenedShard {
    shard: LocalShard,
    names: Vec<String>,
    /// The dictionaries of each row group's labels.
    dictionaries: Vec<Vec<Sorted>>,
}

/// A dictionary in byte order.
#[derive(Debug)]
struct Sorted {
    values: Dictionary,
    /// The ids of the values in byte order, without that of the empty one.
    order: Vec<u32>,
}

/// Reads some of the series.
#[derive(Debug)]
pub(crate) struct ParquetStretch<'a> {
    input: &'a ParquetInput,
    /// What is still to be read.
    rest: Range<usize>,
    at: Option<usize>,
    reader: Reader<'a>,
    /// The chunks of all series, where they are not in the order of rows.
    gathered: Option<Gathered>,
    key: Key,
    before: Key,
}

/// Reads rows in order, over all row groups.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    input: &'a ParquetInput,
    end: usize,
    group: Option<(&'a Group, RowReader<'a>)>,
}

impl OpenedParquet {
    pub(super) fn open(
        dir: &Path,
        meta: &ParquetMeta,
        resolution: Resolution,
    ) -> Result<Self, MergeError> {
        let numbers = 0..u32::try_from(meta.shards.len()).unwrap_or(u32::MAX);
        let shards = numbers
            .into_par_iter()
            .map(|number| OpenedShard::open(dir, number, resolution))
            .collect::<Result<_, _>>()
            .map_err(MergeError::parquet(dir))?;
        let dir = dir.to_path_buf();
        Ok(Self { dir, shards })
    }

    pub(super) fn tables(&self) -> Vec<Table<'_>> {
        let mut tables: Vec<Table<'_>> = Vec::new();
        for shard in &self.shards {
            tables.push(Box::new(shard.names.iter().map(String::as_str)));
            for sorted in shard.dictionaries.iter().flatten() {
                let ids = sorted.order.iter();
                let value = |id: &u32| sorted.values.get(*id as usize).unwrap_or_default();
                tables.push(Box::new(ids.map(value)));
            }
        }
        tables
    }

    /// `ids` are those of the strings of each table.
    pub(super) fn translated(
        self,
        ids: &[Vec<u32>],
        keys: Keys,
        metric_name: Option<u32>,
        order: Order,
    ) -> Result<ParquetInput, MergeError> {
        let mut input = ParquetInput {
            dir: self.dir,
            shards: Vec::new(),
            groups: Vec::new(),
            keys,
            samples: Vec::new(),
            permutation: None,
        };
        let mut ids = ids.iter();
        let mut row = 0;
        let mut has_earlier_name = false;
        for (number, opened) in self.shards.into_iter().enumerate() {
            has_earlier_name |= opened.names.iter().any(|name| name.as_str() < METRIC_NAME);
            let names = ids.next().map(Vec::as_slice).unwrap_or_default();
            for (place, dictionaries) in opened.dictionaries.iter().enumerate() {
                let labels = names.iter().zip(dictionaries).zip(&mut ids);
                let labels = labels.map(|((name, sorted), ids)| sorted.translated(*name, ids));
                let labels = labels.collect();
                let rows = opened.shard.shard().rows(place) as usize;
                input.groups.push(Group {
                    shard: number,
                    place,
                    rows: row..row + rows,
                    ids: labels,
                });
                row += rows;
            }
            input.shards.push(opened.shard);
        }
        if order == Order::ByLabels && (has_earlier_name || input.begins_unnamed(metric_name)?) {
            let permutation = Permutation::of(&input)?;
            input.samples = permutation.sample();
            input.permutation = Some(permutation);
        } else {
            input.samples = input.sampled()?;
        }
        Ok(input)
    }
}

impl OpenedShard {
    fn open(dir: &Path, number: u32, resolution: Resolution) -> Result<Self, parquet_block::Error> {
        let shard = LocalShard::open(
            &dir.join(labels_file(number)),
            &dir.join(Contents::of(resolution).file(number)),
        )?;
        let names = shard.shard().label_names().map(str::to_owned).collect();
        let dictionaries = (0..shard.shard().row_groups())
            .into_par_iter()
            .map(|group| {
                let dictionaries = shard.dictionaries(group)?;
                Ok(dictionaries.into_iter().map(Sorted::new).collect())
            })
            .collect::<Result<_, parquet_block::Error>>()?;
        Ok(Self {
            shard,
            names,
            dictionaries,
        })
    }
}

impl Sorted {
    fn new(values: Dictionary) -> Self {
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        let value = |id: &u32| values.get(*id as usize).unwrap_or_default();
        let mut order: Vec<u32> = (0..count).filter(|id| !value(id).is_empty()).collect();
        order.sort_by(|a, b| value(a).cmp(value(b)));
        Self { order, values }
    }

    /// `ids` are those of the values in byte order.
    fn translated(&self, name: u32, ids: &[u32]) -> LabelIds {
        let mut values = vec![LabelIds::NONE; self.values.len()];
        for (own, id) in self.order.iter().zip(ids) {
            if let Some(value) = values.get_mut(*own as usize) {
                *value = *id;
            }
        }
        LabelIds { name, values }
    }
}

impl ParquetInput {
    pub(super) fn len(&self) -> usize {
        self.groups.last().map_or(0, |group| group.rows.end)
    }

    pub(super) fn chunk_bytes(&self) -> u64 {
        self.shards.iter().map(LocalShard::data_size).sum()
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn keys(&self) -> Keys {
        self.keys
    }

    pub(super) fn label_names(&self) -> Vec<String> {
        let names = |shard: &LocalShard| -> Vec<String> {
            shard.shard().label_names().map(str::to_owned).collect()
        };
        self.shards.iter().flat_map(names).collect()
    }

    pub(super) fn sample(&self) -> Vec<Key> {
        self.samples.iter().skip(1).cloned().collect()
    }

    pub(super) fn positions(&self, keys: &[Key]) -> Result<Vec<usize>, MergeError> {
        if let Some(permutation) = &self.permutation {
            return Ok(permutation.positions(keys));
        }
        let mut reader = self.reader(0..self.len());
        let mut found = Key::default();
        let mut low = 0;
        let mut positions = Vec::with_capacity(keys.len());
        for key in keys {
            let not_before = self.samples.partition_point(|sample| sample < key);
            let high = self.len().min(not_before * SAMPLE_STEP);
            // The sample before is before the key, so what follows it is the first candidate.
            low = low.max((not_before.saturating_sub(1) * SAMPLE_STEP + 1).min(high));
            while low < high {
                reader.key(low, &mut found)?;
                if found >= *key {
                    break;
                }
                low += 1;
            }
            positions.push(low);
        }
        Ok(positions)
    }

    pub(super) fn stretch(&self, series: Range<usize>) -> Result<ParquetStretch<'_>, MergeError> {
        let gathered = match &self.permutation {
            Some(permutation) => Some(permutation.gather(self, series.clone())?),
            None => None,
        };
        let mut stretch = ParquetStretch {
            input: self,
            reader: self.reader(series.clone()),
            rest: series,
            at: None,
            gathered,
            key: Key::default(),
            before: Key::default(),
        };
        stretch.advance()?;
        Ok(stretch)
    }

    /// A reader of rows, which ascend.
    pub(super) fn reader(&self, rows: Range<usize>) -> Reader<'_> {
        Reader {
            input: self,
            end: rows.end,
            group: None,
        }
    }

    /// Whether the first row, before which no row without a metric name is, has none.
    fn begins_unnamed(&self, metric_name: Option<u32>) -> Result<bool, MergeError> {
        if self.len() == 0 {
            return Ok(false);
        }
        let mut key = Key::default();
        self.reader(0..1).key(0, &mut key)?;
        Ok(!key
            .labels
            .iter()
            .any(|(name, _)| Some(*name) == metric_name))
    }

    fn sampled(&self) -> Result<Vec<Key>, MergeError> {
        let of_group = |group: &Group| -> Result<Vec<Key>, MergeError> {
            let mut reader = self.reader(group.rows.clone());
            let first = group.rows.start.next_multiple_of(SAMPLE_STEP);
            let mut keys = Vec::new();
            for row in (first..group.rows.end).step_by(SAMPLE_STEP) {
                let mut key = Key::default();
                reader.key(row, &mut key)?;
                keys.push(key);
            }
            Ok(keys)
        };
        let groups = self.groups.par_iter().map(of_group);
        let groups: Vec<Vec<Key>> = groups.collect::<Result<_, _>>()?;
        Ok(groups.into_iter().flatten().collect())
    }
}

impl<'a> Reader<'a> {
    /// The reader of the row group that `row` is in, and the row's number there.
    fn at(&mut self, row: usize) -> Option<(&mut RowReader<'a>, u32)> {
        let is_in = |(group, _): &(&Group, RowReader<'_>)| group.rows.contains(&row);
        if !self.group.as_ref().is_some_and(is_in) {
            let groups = &self.input.groups;
            let place = groups.partition_point(|group| group.rows.end <= row);
            let group = groups.get(place)?;
            let shard = self.input.shards.get(group.shard)?;
            let local = |row: usize| {
                let row = row.clamp(group.rows.start, group.rows.end) - group.rows.start;
                u32::try_from(row).unwrap_or(u32::MAX)
            };
            let rows = local(row)..local(self.end);
            self.group = Some((group, shard.read_rows(group.place, rows, &group.ids)));
        }
        let (group, reader) = self.group.as_mut()?;
        let row = u32::try_from(row.checked_sub(group.rows.start)?).ok()?;
        Some((reader, row))
    }

    /// The key of a row.
    pub(super) fn key(&mut self, row: usize, key: &mut Key) -> Result<(), MergeError> {
        let input = self.input;
        key.labels.clear();
        if let Some((reader, row)) = self.at(row) {
            let labels = reader.labels(row);
            input
                .keys
                .set(key, labels.map_err(MergeError::parquet(&input.dir))?);
        }
        Ok(())
    }

    /// The chunks of a row.
    pub(super) fn chunks(&mut self, row: usize, each: impl FnMut(Chunk)) -> Result<(), MergeError> {
        let input = self.input;
        if let Some((reader, row)) = self.at(row) {
            let chunks = reader.chunks(row);
            let chunks = chunks.map_err(MergeError::parquet(&input.dir))?;
            chunks.into_iter().for_each(each);
        }
        Ok(())
    }
}

impl ParquetStretch<'_> {
    pub(super) fn key(&self) -> Option<&Key> {
        self.at.map(|_| &self.key)
    }

    pub(super) fn advance(&mut self) -> Result<(), MergeError> {
        let is_first = self.at.is_none();
        std::mem::swap(&mut self.key, &mut self.before);
        self.at = self.rest.next();
        let Some(at) = self.at else {
            return Ok(());
        };
        match &self.input.permutation {
            Some(permutation) => permutation.key(at, &mut self.key),
            None => self.reader.key(at, &mut self.key)?,
        }
        if !is_first && self.before >= self.key {
            return Err(MergeError::Order {
                dir: self.input.dir.clone(),
                series: at as u64,
            });
        }
        Ok(())
    }

    pub(super) fn chunks(
        &mut self,
        range: TimeRange,
        mut each: impl FnMut(Chunk),
    ) -> Result<(), MergeError> {
        let Some(at) = self.at else {
            return Ok(());
        };
        let mut outside = Ok(());
        let dir = &self.input.dir;
        let check = |chunk: Chunk| {
            if outside.is_ok() {
                outside = check_within(dir, (chunk.min, chunk.max), range);
                each(chunk);
            }
        };
        match &mut self.gathered {
            Some(gathered) => gathered.take(at).into_iter().for_each(check),
            None => self.reader.chunks(at, check)?,
        }
        outside
    }
}
