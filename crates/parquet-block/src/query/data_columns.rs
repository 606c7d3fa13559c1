//! The columns of a shard's second file: which hold what, and which may hold a time.

use hashbrown::HashMap;
use model::{Aggregate, AggregateSet, TimeRange};

use super::column::ColumnPages;
use crate::{
    error::Error,
    format::footer::Footer,
    layout::{
        contents::Contents,
        schema::{self, Slices},
    },
};

/// The columns of the second file.
pub(crate) struct DataColumns {
    contents: Contents,
    /// The column of each value of a row.
    columns: Vec<usize>,
    /// By how much chunks may be longer than what is left of the slice they begin in, milliseconds.
    longest: i64,
}

/// A column of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataColumn {
    /// Which aggregate it holds, if any.
    pub(crate) aggregate: Option<Aggregate>,
    column: usize,
}

/// The pages of a column that are wanted.
#[derive(Debug)]
pub(crate) struct DataPages {
    /// Which aggregate it holds, if any.
    pub(crate) aggregate: Option<Aggregate>,
    pub(crate) pages: ColumnPages,
}

impl DataColumns {
    /// Finds the columns of `slices` time slices.
    pub(crate) fn open(file: &Footer, slices: usize) -> Result<Self, Error> {
        let mut places = HashMap::new();
        for (place, column) in file.columns().iter().enumerate() {
            places.entry(&*column.name).or_insert(place);
        }
        let aggregates = !places.contains_key(schema::data_column(0).as_bytes())
            && places.contains_key(schema::aggregate_column(Aggregate::Count, 0).as_bytes());
        let contents = if aggregates {
            Contents::Aggregates
        } else {
            Contents::Chunks
        };
        let names = (0..slices).flat_map(|slice| contents.columns(slice));
        let columns = names
            .map(|name| {
                places
                    .get(name.as_bytes())
                    .copied()
                    .ok_or_else(|| file.invalid(format!("no column {name:?}")))
            })
            .collect::<Result<_, _>>()?;
        let longest = match contents {
            Contents::Chunks => 0,
            Contents::Aggregates => longest(file)?,
        };
        Ok(Self {
            contents,
            columns,
            longest,
        })
    }

    pub(crate) fn contents(&self) -> Contents {
        self.contents
    }

    /// The columns that may hold chunks of `range`; where they hold aggregates, these. In order of time.
    pub(crate) fn of(
        &self,
        slices: &Slices,
        range: TimeRange,
        aggregates: AggregateSet,
    ) -> Vec<DataColumn> {
        let width = self.contents.width();
        let slices_of = self.columns.chunks_exact(width).enumerate();
        let last = (self.columns.len() / width).saturating_sub(1);
        let in_range = slices_of.filter(|(k, _)| {
            let mut slice = slices.range(*k);
            slice.max.0 = slice.max.0.saturating_add(self.longest);
            // A writer puts what lies before the first slice into it, and what lies after the last too.
            if *k == 0 {
                slice.min = TimeRange::ALL.min;
            }
            if *k == last {
                slice.max = TimeRange::ALL.max;
            }
            slice.overlaps(range)
        });
        in_range
            .flat_map(|(_, columns)| {
                let of_chunks = columns.iter().map(|column| (None, *column));
                let of_aggregates = Aggregate::ALL.into_iter().map(Some);
                let of_aggregates = of_aggregates.zip(columns.iter().copied());
                let chosen: Vec<_> = match self.contents {
                    Contents::Chunks => of_chunks.collect(),
                    Contents::Aggregates => of_aggregates
                        .filter(|(one, _)| one.is_some_and(|one| aggregates.contains(one)))
                        .collect(),
                };
                chosen
            })
            .map(|(aggregate, column)| DataColumn { aggregate, column })
            .collect()
    }
}

impl DataColumn {
    /// All pages of the column in a row group.
    pub(crate) fn pages(self, file: &Footer, group: usize) -> Result<DataPages, Error> {
        let pages = ColumnPages::of(file, group, self.column)?;
        // Raw chunks share the bytes of a dictionary, but aggregates are copied when they are put together, and
        // many rows with one large value would take memory out of proportion to the file.
        if self.aggregate.is_some() && pages.dictionary.is_some() {
            return Err(file.invalid(format!(
                "dictionary in column {} of row group {group}, which holds aggregates",
                self.column
            )));
        }
        Ok(DataPages {
            aggregate: self.aggregate,
            pages,
        })
    }
}

/// How long the longest chunk is; without end if the file does not say.
fn longest(file: &Footer) -> Result<i64, Error> {
    let key = schema::MAX_CHUNK_KEY;
    let Some(value) = file.key_value(key) else {
        return Ok(i64::MAX);
    };
    let longest = value.parse().ok().filter(|longest: &i64| *longest >= 0);
    longest.ok_or_else(|| file.invalid(format!("key-value {key:?} is no length: {value:?}")))
}
