//! Reads the chunks of rows: the columns of the time slices and aggregates asked for, the pages that hold the
//! rows, and of each value the records that overlap the time asked for. Bytes of raw chunks are slices of their
//! page.

use bytes::Bytes;
use model::{Aggregate, AggregateSet, TimeRange};
use rayon::prelude::*;
use tsdb::Chunk;

use super::{
    column::supplied,
    data_columns::DataPages,
    lookup::{Lookup, ShardFile, Step, Supply},
    row_chunks::RowChunks,
    shard::Shard,
};
use crate::{
    error::Error,
    format::{page_index::PageLocation, row_ranges::RowRanges, values::ByteArrays},
};

/// Rows whose chunks are put together as one piece of work, at least.
const ROWS_PER_TASK: usize = 256;

/// Chunks being read; the answer has those of each row, in the order of the rows. The raw chunks of a row are
/// in the order of the time slices, and within one in the order they are stored in; downsampled ones, which are
/// of [`tsdb::Encoding::Aggr`], are in the order of their times.
#[derive(Debug)]
pub struct ReadChunks {
    shard: Shard,
    group: usize,
    rows: RowRanges,
    range: TimeRange,
    aggregates: AggregateSet,
    columns: Option<Vec<DataPages>>,
    supply: Supply,
}

/// The pages of one column, decoded.
struct DataValues<'a> {
    aggregate: Option<Aggregate>,
    pages: Vec<PageValues<'a>>,
}

/// One page of a column.
struct PageValues<'a> {
    location: &'a PageLocation,
    values: ByteArrays,
}

impl ReadChunks {
    pub(crate) fn new(
        shard: Shard,
        group: usize,
        rows: RowRanges,
        range: TimeRange,
        aggregates: AggregateSet,
    ) -> Self {
        Self {
            shard,
            group,
            rows,
            range,
            aggregates,
            columns: None,
            supply: Supply::default(),
        }
    }

    fn plan(&self) -> Result<Vec<DataPages>, Error> {
        let file = self.shard.chunks_file();
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        self.shard
            .data_columns(self.range, self.aggregates)
            .into_iter()
            .map(|column| {
                let mut column = column.pages(file, self.group)?;
                column.pages.retain(&self.rows);
                Ok(column)
            })
            .collect()
    }

    fn decode(&self, columns: &[DataPages]) -> Result<Vec<Vec<Chunk>>, Error> {
        let footer = self.shard.chunks_file();
        let dictionaries = columns
            .iter()
            .map(|column| column.pages.byte_dictionary(footer, &self.supply))
            .collect::<Result<Vec<_>, _>>()?;
        let pages: Vec<_> = columns
            .iter()
            .zip(&dictionaries)
            .flat_map(|(column, dictionary)| {
                let column = &column.pages;
                let pages = column.pages.iter();
                pages.map(move |page| (column, page, dictionary))
            })
            .collect();
        let mut pages = pages
            .par_iter()
            .map(|(column, location, dictionary)| {
                let bytes = supplied(&self.supply, &location.bytes)?;
                let values = column.byte_page(footer, location, bytes, dictionary)?;
                Ok(PageValues { location, values })
            })
            .collect::<Result<Vec<_>, Error>>()?
            .into_iter();
        let columns: Vec<DataValues<'_>> = columns
            .iter()
            .map(|column| DataValues {
                aggregate: column.aggregate,
                pages: pages.by_ref().take(column.pages.pages.len()).collect(),
            })
            .collect();
        let rows: Vec<u32> = self.rows.rows().collect();
        rows.par_iter()
            .with_min_len(ROWS_PER_TASK)
            .map(|row| self.chunks_of_row(*row, &columns))
            .collect()
    }

    fn chunks_of_row(&self, row: u32, columns: &[DataValues<'_>]) -> Result<Vec<Chunk>, Error> {
        let mut chunks = RowChunks::new(self.shard.chunks_file(), self.range);
        for DataValues { aggregate, pages } in columns {
            let page = pages.partition_point(|page| page.location.rows.end <= row);
            let Some(page) = pages.get(page) else {
                continue;
            };
            let place = row.checked_sub(page.location.rows.start);
            let value = place.and_then(|place| page.values.slice(place as usize));
            chunks.push(*aggregate, page.location, &value.unwrap_or_default())?;
        }
        chunks.finish()
    }
}

impl Lookup for ReadChunks {
    type Answer = Vec<Vec<Chunk>>;

    fn next(&mut self) -> Result<Step<Vec<Vec<Chunk>>>, Error> {
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => self.plan()?,
        };
        let ranges = columns.iter().flat_map(|column| column.pages.ranges());
        if let Some(fetch) = self.supply.fetch(ShardFile::Chunks, ranges) {
            self.columns = Some(columns);
            return Ok(fetch);
        }
        let chunks = self.decode(&columns)?;
        self.supply.clear();
        self.rows = RowRanges::none();
        Ok(Step::Done(chunks))
    }

    fn supply(&mut self, bytes: Vec<Bytes>) -> Result<(), Error> {
        self.supply.supply(&mut bytes.into_iter())
    }
}
