//! Reads the labels of rows.
//!
//! `s_col_indexes` tells which labels a row has, so only the columns of those are read; where all columns
//! together are small, that question is skipped. Values are read column by column as dictionary ids and put
//! together row by row.
//!
//! ```text
//! s_col_indexes   zig-zag varint n, then n zig-zag varints: columns of the labels file, ascending
//! ```

use bytes::Bytes;
use model::Labels;
use rayon::prelude::*;

use super::{
    column::{ColumnPages, rows_of_page, supplied},
    lookup::{Lookup, ShardFile, Step, Supply, tasks_per_thread},
    shard::Shard,
};
use crate::{
    error::Error,
    format::{fault::Fault, ids::NULL, row_ranges::RowRanges, values::Dictionary},
    layout::col_indexes,
};

/// If the pages of all columns take no more than this, all are read without asking which are needed.
const DIRECT_BYTES: u64 = 128 << 10;

/// Rows that are put together as one piece of work: as many as a batch of an answer has, since its labels are read
/// beside those of the next one.
const ROWS_PER_TASK: usize = 4096;

/// Which labels to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Projection {
    /// All of them.
    All,
    /// Those with these names.
    Only(Vec<Vec<u8>>),
}

/// A lookup of labels; the answer has those of each row, in the order of the rows.
#[derive(Debug)]
pub struct ReadLabels {
    shard: Shard,
    group: usize,
    rows: RowRanges,
    state: State,
    supply: Supply,
}

#[derive(Debug)]
enum State {
    /// The start. The requested columns, as indices of label columns.
    Begun(Vec<usize>),
    /// `s_col_indexes` was asked for.
    Asked(ColumnPages, Vec<usize>),
    /// The columns to read.
    Known(Vec<(usize, ColumnPages)>),
}

impl ReadLabels {
    pub(crate) fn new(shard: Shard, group: usize, rows: RowRanges, projection: Projection) -> Self {
        let columns = match projection {
            Projection::All => (0..shard.label_columns().len()).collect(),
            Projection::Only(names) => {
                let mut places: Vec<_> = names
                    .iter()
                    .filter_map(|name| shard.label_place(name))
                    .collect();
                places.sort_unstable();
                places.dedup();
                places
            }
        };
        Self {
            shard,
            group,
            rows,
            state: State::Begun(columns),
            supply: Supply::default(),
        }
    }

    /// Reads all columns if they are small; else asks first which are needed.
    fn begin(&mut self, places: Vec<usize>) -> Result<State, Error> {
        if self.rows.is_empty() {
            return Ok(State::Known(Vec::new()));
        }
        let columns = self.open(places.iter().copied())?;
        let size: u64 = columns.iter().map(|(_, pages)| pages.size()).sum();
        if size <= DIRECT_BYTES {
            return Ok(State::Known(columns));
        }
        let indexes = self.shard.col_indexes_column();
        let mut pages = ColumnPages::of(self.shard.labels_file(), self.group, indexes)?;
        pages.retain(&self.rows);
        if pages.size() >= size {
            return Ok(State::Known(columns));
        }
        let places = columns.into_iter().map(|(place, _)| place).collect();
        Ok(State::Asked(pages, places))
    }

    /// The columns at `places`, with the pages that hold values of the rows.
    fn open(
        &self,
        places: impl Iterator<Item = usize>,
    ) -> Result<Vec<(usize, ColumnPages)>, Error> {
        let mut columns = Vec::new();
        for place in places {
            if let Some(label) = self.shard.label_columns().get(place) {
                let pages = pages_with_values(&self.shard, self.group, label.column, &self.rows)?;
                if !pages.pages.is_empty() {
                    columns.push((place, pages));
                }
            }
        }
        Ok(columns)
    }

    fn assemble(&self, columns: &[(usize, ColumnPages)]) -> Result<Vec<Labels>, Error> {
        let footer = self.shard.labels_file();
        let columns = columns
            .par_iter()
            .with_min_len(tasks_per_thread(columns.len(), self.supply.bytes()))
            .map(|(place, pages)| {
                let label = self.shard.label_columns().get(*place);
                let (dictionary, ids) = pages.ids(footer, &self.supply, &self.rows)?;
                Ok(LabelValues {
                    name: label.map_or(&[], |label| &*label.name),
                    dictionary,
                    ids,
                })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let columns: Vec<_> = columns.iter().collect();
        let rows = self.rows.len();
        Ok((0..rows.div_ceil(ROWS_PER_TASK))
            .into_par_iter()
            .flat_map_iter(|task| {
                let from = task * ROWS_PER_TASK;
                let columns = &columns;
                (from..rows.min(from + ROWS_PER_TASK)).map(move |row| labels_of(columns, row))
            })
            .collect())
    }
}

/// One label of rows.
#[derive(Debug)]
pub(crate) struct LabelValues<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) dictionary: Dictionary,
    pub(crate) ids: Vec<u32>,
}

/// The labels of the row at `row`, of columns in order of their names.
pub(crate) fn labels_of(columns: &[&LabelValues<'_>], row: usize) -> Labels {
    Labels::from_sorted(columns.iter().filter_map(|column| {
        let id = *column.ids.get(row)?;
        let value = column.dictionary.get(id as usize)?;
        (id != NULL && !value.is_empty()).then_some((column.name, value))
    }))
}

/// The pages of a label's column that hold a value of some of `rows`, by the bounds.
pub(crate) fn pages_with_values(
    shard: &Shard,
    group: usize,
    column: usize,
    rows: &RowRanges,
) -> Result<ColumnPages, Error> {
    let footer = shard.labels_file();
    let mut pages = ColumnPages::of(footer, group, column)?;
    let bounds = footer.page_bounds(group, column, pages.pages.len())?;
    if let Some(bounds) = bounds {
        let mut place = 0..;
        pages.pages.retain(|_| {
            let bounds = place.next().and_then(|place| bounds.get(place));
            bounds.is_none_or(|bounds| !bounds.all_null)
        });
    }
    pages.retain(rows);
    Ok(pages)
}

/// The columns that `s_col_indexes` names for `rows`; true for each that is named.
pub(crate) fn columns_of(
    shard: &Shard,
    pages: &ColumnPages,
    supply: &Supply,
    rows: &RowRanges,
) -> Result<Vec<bool>, Error> {
    let footer = shard.labels_file();
    let mut named = vec![false; footer.columns().len()];
    let dictionary = pages.byte_dictionary(footer, supply)?;
    let mut last = Vec::new();
    for location in &pages.pages {
        let bytes = supplied(supply, &location.bytes)?;
        let lists = pages.byte_page(footer, location, bytes, &dictionary)?;
        for row in rows_of_page(rows, &location.rows).rows() {
            let list = lists.get(row as usize).unwrap_or_default();
            // Series of one metric usually have the same labels.
            if list == last {
                continue;
            }
            // Its offset is in the list, not in the file.
            mark(list, &mut named)
                .map_err(|fault| footer.damaged(location.bytes.start, Fault { at: 0, ..fault }))?;
            last.clear();
            last.extend_from_slice(list);
        }
    }
    Ok(named)
}

/// Marks the columns that a list names.
fn mark(list: &[u8], named: &mut [bool]) -> Result<(), Fault> {
    for column in col_indexes::decode(list)? {
        match named.get_mut(column) {
            Some(named) => *named = true,
            None => {
                let reason = format!(
                    "list of columns: expected numbers below {}, found {column}",
                    named.len()
                );
                return Err(Fault::new(0, reason));
            }
        }
    }
    Ok(())
}

impl Lookup for ReadLabels {
    type Answer = Vec<Labels>;

    fn next(&mut self) -> Result<Step<Vec<Labels>>, Error> {
        loop {
            let state = std::mem::replace(&mut self.state, State::Known(Vec::new()));
            self.state = match state {
                State::Begun(places) => self.begin(places)?,
                State::Asked(pages, places) => {
                    if let Some(fetch) = self.supply.fetch(ShardFile::Labels, pages.ranges()) {
                        self.state = State::Asked(pages, places);
                        return Ok(fetch);
                    }
                    let named = columns_of(&self.shard, &pages, &self.supply, &self.rows)?;
                    self.supply.clear();
                    let labels = self.shard.label_columns();
                    let is_named = |place: &usize| {
                        let column = labels.get(*place).map(|label| label.column);
                        column.and_then(|column| named.get(column)) == Some(&true)
                    };
                    State::Known(self.open(places.into_iter().filter(is_named))?)
                }
                State::Known(columns) => {
                    let ranges = columns.iter().flat_map(|(_, pages)| pages.ranges());
                    if let Some(fetch) = self.supply.fetch(ShardFile::Labels, ranges) {
                        self.state = State::Known(columns);
                        return Ok(fetch);
                    }
                    let labels = self.assemble(&columns)?;
                    self.supply.clear();
                    self.rows = RowRanges::none();
                    return Ok(Step::Done(labels));
                }
            };
        }
    }

    fn supply(&mut self, bytes: Vec<Bytes>) -> Result<(), Error> {
        self.supply.supply(&mut bytes.into_iter())
    }
}
