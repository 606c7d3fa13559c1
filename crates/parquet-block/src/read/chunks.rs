//! Reads the chunks of rows: the columns of the time slices asked for, the pages that hold the rows, and of
//! each value the records that overlap the time asked for. Chunk bytes are slices of their page.

use bytes::Bytes;
use model::TimeRange;
use rayon::prelude::*;
use tsdb::Chunk;

use super::{
    column::{ColumnPages, rows_of_page, supplied},
    fault::Fault,
    footer::Footer,
    lookup::{Lookup, ShardFile, Step, Supply},
    page_index::PageLocation,
    row_ranges::RowRanges,
    shard::Shard,
    values::ByteArrays,
};
use crate::{envelope, error::Error};

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

/// The chunks of the chosen rows of one page.
struct PageChunks {
    chunks: Vec<Chunk>,
    /// Where each row's chunks end.
    ends: Vec<usize>,
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
            .map(|(column, page, dictionary)| self.decode_page(column, page, dictionary))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter();
        let mut rows = Vec::new();
        rows.resize_with(self.rows.len(), Vec::new);
        for column in columns {
            hand_out(pages.by_ref().take(column.pages.len()), &mut rows);
        }
        Ok(rows)
    }

    fn decode_page(
        &self,
        column: &ColumnPages,
        location: &PageLocation,
        dictionary: &ByteArrays,
    ) -> Result<PageChunks, Error> {
        let footer = self.shard.chunks_file();
        let bytes = supplied(&self.supply, &location.bytes)?;
        let values = column.byte_page(footer, location, bytes, dictionary)?;
        let mut page = PageChunks {
            chunks: Vec::new(),
            ends: Vec::new(),
        };
        for row in rows_of_page(&self.rows, &location.rows).rows() {
            let value = values.slice(row as usize).unwrap_or_default();
            chunks_of(footer, location, &value, self.range, &mut page.chunks)?;
            page.ends.push(page.chunks.len());
        }
        Ok(page)
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

/// Hands out the chunks of one column's pages to the rows.
fn hand_out(pages: impl Iterator<Item = PageChunks>, rows: &mut [Vec<Chunk>]) {
    let mut rows = rows.iter_mut();
    for page in pages {
        let mut chunks = page.chunks.into_iter();
        let mut start = 0;
        // In this order, so that no row is taken when the page has no more.
        for (end, row) in page.ends.into_iter().zip(&mut rows) {
            row.extend(chunks.by_ref().take(end - start));
            start = end;
        }
    }
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
