//! Reads the chunks of rows: the columns of the time slices asked for, the pages that hold the rows, and of
//! each value the records that overlap the time asked for. Chunk bytes are slices of their page.

use bytes::Bytes;
use model::TimeRange;
use rayon::prelude::*;
use tsdb::Chunk;

use super::{
    column::{ColumnPages, supplied},
    fault::Fault,
    footer::Footer,
    lookup::{Lookup, ShardFile, Step, Supply},
    page_index::PageLocation,
    row_ranges::RowRanges,
    shard::Shard,
    values::ByteArrays,
};
use crate::{envelope, error::Error};

/// Rows whose chunks are put together as one piece of work, at least.
const ROWS_PER_TASK: usize = 256;

/// Chunks being read; the answer has those of each row, in the order of the rows. The chunks of a row are
/// in the order of the time slices, and within one in the order they are stored in.
#[derive(Debug)]
pub struct ReadChunks {
    shard: Shard,
    rows: RowRanges,
    range: TimeRange,
    group: usize,
    columns: Option<Vec<ColumnPages>>,
    supply: Supply,
}

/// One page of a column.
struct PageValues<'a> {
    location: &'a PageLocation,
    values: ByteArrays,
}

impl ReadChunks {
    pub(crate) fn new(shard: Shard, group: usize, rows: RowRanges, range: TimeRange) -> Self {
        Self {
            shard,
            rows,
            range,
            group,
            columns: None,
            supply: Supply::default(),
        }
    }

    fn plan(&self) -> Result<Vec<ColumnPages>, Error> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        self.shard
            .data_columns(self.range)
            .map(|column| {
                let mut pages = ColumnPages::of(self.shard.chunks_file(), self.group, column)?;
                pages.retain(&self.rows);
                Ok(pages)
            })
            .collect()
    }

    fn decode(&self, columns: &[ColumnPages]) -> Result<Vec<Vec<Chunk>>, Error> {
        let footer = self.shard.chunks_file();
        let dictionaries = columns
            .iter()
            .map(|column| column.byte_dictionary(footer, &self.supply))
            .collect::<Result<Vec<_>, _>>()?;
        let pages: Vec<_> = columns
            .iter()
            .zip(&dictionaries)
            .flat_map(|(column, dictionary)| {
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
        let columns: Vec<Vec<PageValues<'_>>> = columns
            .iter()
            .map(|column| pages.by_ref().take(column.pages.len()).collect())
            .collect();
        let rows: Vec<u32> = self.rows.rows().collect();
        rows.par_iter()
            .with_min_len(ROWS_PER_TASK)
            .map(|row| self.chunks_of_row(*row, &columns))
            .collect()
    }

    fn chunks_of_row(
        &self,
        row: u32,
        columns: &[Vec<PageValues<'_>>],
    ) -> Result<Vec<Chunk>, Error> {
        let mut chunks = Vec::new();
        for pages in columns {
            let page = pages.partition_point(|page| page.location.rows.end <= row);
            let Some(page) = pages.get(page) else {
                continue;
            };
            let place = row.checked_sub(page.location.rows.start);
            let value = place.and_then(|place| page.values.slice(place as usize));
            let value = value.unwrap_or_default();
            chunks_of(
                self.shard.chunks_file(),
                page.location,
                &value,
                self.range,
                &mut chunks,
            )?;
        }
        Ok(chunks)
    }
}

/// Appends the chunks of one value that overlap `range`.
pub(crate) fn chunks_of(
    footer: &Footer,
    location: &PageLocation,
    value: &Bytes,
    range: TimeRange,
    out: &mut Vec<Chunk>,
) -> Result<(), Error> {
    for chunk in envelope::decode(value) {
        let chunk = chunk.map_err(|e| footer.damaged(location.bytes.start, Fault::new(0, e)))?;
        if range.min <= chunk.max && chunk.min <= range.max {
            out.push(chunk);
        }
    }
    Ok(())
}

impl Lookup for ReadChunks {
    type Answer = Vec<Vec<Chunk>>;

    fn next(&mut self) -> Result<Step<Vec<Vec<Chunk>>>, Error> {
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => self.plan()?,
        };
        self.supply
            .ask(columns.iter().flat_map(ColumnPages::ranges));
        if !self.supply.asked().is_empty() {
            self.columns = Some(columns);
            return Ok(Step::Fetch {
                file: ShardFile::Chunks,
                ranges: self.supply.asked().to_vec(),
            });
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
