//! Reads a column of chunks row after row.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use model::{Aggregate, AggregateSet, TimeRange};

use super::{
    file::LocalFile,
    shard::LocalShard,
    shared_pages::{Share, SharedPages},
};
use crate::{
    error::Error,
    format::{
        footer::Footer,
        page_index::PageLocation,
        row_ranges::RowRanges,
        values::{ByteArrays, Dictionary},
    },
    query::{
        column::ColumnPages,
        data_columns::DataPages,
        lookup::{ShardFile, Supply},
    },
};

/// A column of chunks in a row group.
#[derive(Debug)]
pub(super) struct DataColumn {
    data: DataPages,
    dictionary: ByteArrays,
}

/// Where a reader is in a column.
#[derive(Debug, Default)]
pub(super) struct DataCursor {
    page: Option<(usize, Arc<ByteArrays>)>,
}

impl DataColumn {
    /// Which aggregate it holds, if any.
    pub(super) fn aggregate(&self) -> Option<Aggregate> {
        self.data.aggregate
    }
}

/// The columns of all chunks, with the pages that have some of `rows`.
pub(super) fn open_data(
    local: &LocalShard,
    group: usize,
    rows: &RowRanges,
) -> Result<Vec<DataColumn>, Error> {
    let shard = local.shard();
    let mut columns = Vec::new();
    for column in shard.data_columns(TimeRange::ALL, AggregateSet::ALL) {
        let mut data = column.pages(shard.chunks_file(), group)?;
        data.pages.retain(rows);
        let supply = fetch_dictionary(local.file(ShardFile::Chunks), &data.pages)?;
        columns.push(DataColumn {
            dictionary: data.pages.byte_dictionary(shard.chunks_file(), &supply)?,
            data,
        });
    }
    Ok(columns)
}

/// The dictionary of a label's column.
pub(super) fn dictionary_of(local: &LocalShard, pages: &ColumnPages) -> Result<Dictionary, Error> {
    let supply = fetch_dictionary(local.file(ShardFile::Labels), pages)?;
    pages.dictionary(local.shard().labels_file(), &supply)
}

fn fetch_dictionary(file: &LocalFile, pages: &ColumnPages) -> Result<Supply, Error> {
    let mut supply = Supply::default();
    supply.ask(pages.dictionary.clone());
    let bytes = file.read(supply.asked())?;
    supply.supply(&mut bytes.into_iter())?;
    Ok(supply)
}

impl DataCursor {
    /// The value of `row` of `column`, which is not before the row read before, and its page. `shared` has the pages that
    /// the reader, of `rows`, shares with others.
    pub(super) fn value<'a>(
        &mut self,
        column: &'a DataColumn,
        (file, footer): (&LocalFile, &Footer),
        row: u32,
        (shared, rows): (&SharedPages<ByteArrays>, &Range<u32>),
    ) -> Result<Option<(&'a PageLocation, Bytes)>, Error> {
        let (pages, known) = (&column.data.pages, self.page.take());
        let mut place = known.as_ref().map_or_else(
            || pages.pages.partition_point(|page| page.rows.end <= row),
            |(place, _)| *place,
        );
        while pages
            .pages
            .get(place)
            .is_some_and(|page| page.rows.end <= row)
        {
            place += 1;
        }
        let Some(location) = pages.pages.get(place) else {
            return Ok(None);
        };
        let decode = || {
            let bytes = file.read_one(&location.bytes)?;
            let values = pages.byte_page(footer, location, &bytes, &column.dictionary)?;
            let size = values.memory_size();
            Ok((values, size))
        };
        let values = match known {
            Some((at, values)) if at == place => values,
            _ => {
                let share = Share {
                    column: pages.column,
                    place,
                    page: &location.rows,
                    rows,
                };
                shared.page(share, decode)?
            }
        };
        let value: Bytes = values
            .slice((location.rows.start..row).len())
            .unwrap_or_default();
        self.page = Some((place, values));
        Ok(Some((location, value)))
    }
}
