//! Reads the names and the values that labels have: of all rows from the dictionaries, of some rows from
//! their ids.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{
    column::ColumnPages,
    labels::{columns_of, pages_with_values},
    lookup::{Lookup, ShardFile, Step, Supply},
    shard::{Selection, Shard},
};
use crate::{
    error::Error,
    format::{ids::NULL, row_ranges::RowRanges},
};

/// The values of a label being read; the answer has each once, ascending.
#[derive(Debug)]
pub struct ReadLabelValues {
    shard: Shard,
    column: Option<usize>,
    selection: Selection,
    pages: Option<Vec<Wanted>>,
    supply: Supply,
}

/// A column chunk whose values are wanted.
#[derive(Debug)]
struct Wanted {
    pages: ColumnPages,
    /// None: all of the dictionary's.
    rows: Option<RowRanges>,
}

impl ReadLabelValues {
    pub(crate) fn new(shard: Shard, selection: Selection, name: &[u8]) -> Self {
        Self {
            column: shard.label_column(name),
            selection,
            shard,
            pages: None,
            supply: Supply::default(),
        }
    }

    fn plan(&self) -> Result<Vec<Wanted>, Error> {
        let Some(column) = self.column else {
            return Ok(Vec::new());
        };
        let mut wanted = Vec::new();
        for (group, rows) in &self.selection {
            let mut pages = pages_with_values(&self.shard, *group, column, rows)?;
            let (all, chunk) = self.shard.labels_file().chunk(*group, column)?;
            // A dictionary holds no value that no row has.
            let whole = chunk.all_dictionary && pages.dictionary.is_some();
            let whole = whole && rows.len() == all as usize;
            if whole {
                pages.pages.clear();
            }
            wanted.push(Wanted {
                pages,
                rows: (!whole).then(|| rows.clone()),
            });
        }
        Ok(wanted)
    }

    fn collect(&self, wanted: &[Wanted]) -> Result<Vec<Vec<u8>>, Error> {
        let footer = self.shard.labels_file();
        let mut values = BTreeSet::new();
        for column in wanted {
            let Some(rows) = &column.rows else {
                let dictionary = column.pages.dictionary(footer, &self.supply)?;
                add(&mut values, dictionary.iter());
                continue;
            };
            let (dictionary, mut ids) = column.pages.ids(footer, &self.supply, rows)?;
            ids.sort_unstable();
            ids.dedup();
            let used = ids.iter().filter(|id| **id != NULL);
            add(
                &mut values,
                used.filter_map(|id| dictionary.get(*id as usize)),
            );
        }
        Ok(values.into_iter().collect())
    }
}

fn add<'a>(values: &mut BTreeSet<Vec<u8>>, new: impl Iterator<Item = &'a [u8]>) {
    for value in new {
        if !value.is_empty() && !values.contains(value) {
            values.insert(value.to_owned());
        }
    }
}

impl Lookup for ReadLabelValues {
    type Answer = Vec<Vec<u8>>;

    fn next(&mut self) -> Result<Step<Vec<Vec<u8>>>, Error> {
        let wanted = match self.pages.take() {
            Some(wanted) => wanted,
            None => self.plan()?,
        };
        let ranges = wanted.iter().flat_map(|column| column.pages.ranges());
        if let Some(fetch) = self.supply.fetch(ShardFile::Labels, ranges) {
            self.pages = Some(wanted);
            return Ok(fetch);
        }
        let values = self.collect(&wanted)?;
        self.supply.clear();
        self.selection.clear();
        Ok(Step::Done(values))
    }

    fn supply(&mut self, bytes: Vec<Bytes>) -> Result<(), Error> {
        self.supply.supply(&mut bytes.into_iter())
    }
}

/// The names of labels being read; the answer has each once, ascending.
#[derive(Debug)]
pub struct ReadLabelNames {
    shard: Shard,
    selection: Selection,
    /// Places among the label columns.
    known: BTreeSet<usize>,
    pages: Option<Vec<(ColumnPages, RowRanges)>>,
    supply: Supply,
}

impl ReadLabelNames {
    pub(crate) fn new(shard: Shard, selection: Selection) -> Self {
        Self {
            shard,
            selection,
            known: BTreeSet::new(),
            pages: None,
            supply: Supply::default(),
        }
    }

    /// What counts of nulls do not tell must be read from `s_col_indexes`.
    fn plan(&mut self) -> Result<Vec<(ColumnPages, RowRanges)>, Error> {
        let footer = self.shard.labels_file();
        let mut wanted = Vec::new();
        for (group, rows) in std::mem::take(&mut self.selection) {
            let mut open = false;
            for (place, label) in self.shard.label_columns().iter().enumerate() {
                if self.known.contains(&place) || rows.is_empty() {
                    continue;
                }
                let (all, chunk) = footer.chunk(group, label.column)?;
                match chunk.bounds.nulls {
                    Some(nulls) if nulls == u64::from(all) => {}
                    // Fewer nulls than other rows, so one of these has a value.
                    Some(nulls) if nulls < rows.len() as u64 => {
                        self.known.insert(place);
                    }
                    _ => open = true,
                }
            }
            if open {
                let column = self.shard.col_indexes_column();
                let mut pages = ColumnPages::of(footer, group, column)?;
                pages.retain(&rows);
                wanted.push((pages, rows));
            }
        }
        Ok(wanted)
    }

    fn collect(&mut self, wanted: &[(ColumnPages, RowRanges)]) -> Result<Vec<Vec<u8>>, Error> {
        for (pages, rows) in wanted {
            let named = columns_of(&self.shard, pages, &self.supply, rows)?;
            for (place, label) in self.shard.label_columns().iter().enumerate() {
                if named.get(label.column) == Some(&true) {
                    self.known.insert(place);
                }
            }
        }
        let labels = self.shard.label_columns();
        let known = std::mem::take(&mut self.known);
        let names = known.into_iter().filter_map(|place| labels.get(place));
        Ok(names.map(|label| label.name.to_vec()).collect())
    }
}

impl Lookup for ReadLabelNames {
    type Answer = Vec<Vec<u8>>;

    fn next(&mut self) -> Result<Step<Vec<Vec<u8>>>, Error> {
        let wanted = match self.pages.take() {
            Some(wanted) => wanted,
            None => self.plan()?,
        };
        let ranges = wanted.iter().flat_map(|(pages, _)| pages.ranges());
        if let Some(fetch) = self.supply.fetch(ShardFile::Labels, ranges) {
            self.pages = Some(wanted);
            return Ok(fetch);
        }
        let names = self.collect(&wanted)?;
        self.supply.clear();
        Ok(Step::Done(names))
    }

    fn supply(&mut self, bytes: Vec<Bytes>) -> Result<(), Error> {
        self.supply.supply(&mut bytes.into_iter())
    }
}
