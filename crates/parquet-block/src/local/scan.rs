//! Reads all rows in order, in bounded memory: a page of each column, and the dictionaries of a row group.

use std::{ops::Range, vec};

use model::{Labels, TimeRange};
use tsdb::Chunk;

use super::{
    LocalFile, LocalShard,
    data_cursor::{DataColumn, DataCursor, dictionary_of, open_data},
};
use crate::{
    error::Error,
    format::{
        footer::Footer,
        ids::{IdPage, NULL},
        row_ranges::RowRanges,
    },
    query::{
        column::{ColumnPages, rows_of_page},
        labels::{LabelValues, labels_of, pages_with_values},
        lookup::ShardFile,
        row_chunks::RowChunks,
    },
};

/// Rows whose labels are put together at once.
const BATCH: u32 = 512;

/// Rows in order, with their labels and all their chunks, or all their aggregates. Ends after an error.
#[derive(Debug)]
pub struct Scan<'a> {
    shard: &'a LocalShard,
    /// What is left, the last first.
    left: Vec<(usize, Range<u32>)>,
    group: Option<Group<'a>>,
    batch: vec::IntoIter<(Labels, Vec<Chunk>)>,
}

/// A row group that is being read.
#[derive(Debug)]
struct Group<'a> {
    rows: Range<u32>,
    labels: Vec<LabelCursor<'a>>,
    data: Vec<(DataColumn, DataCursor)>,
}

#[derive(Debug)]
struct LabelCursor<'a> {
    values: LabelValues<'a>,
    pages: ColumnPages,
    /// How many values the dictionary page has.
    stored: usize,
    /// The page that is being read, by its place.
    page: Option<(usize, IdPage)>,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(shard: &'a LocalShard, mut rows: Vec<(usize, Range<u32>)>) -> Self {
        rows.reverse();
        Self {
            shard,
            left: rows,
            group: None,
            batch: Vec::new().into_iter(),
        }
    }

    /// Reads the next rows; none are left if there are none.
    fn read_batch(&mut self) -> Result<Vec<(Labels, Vec<Chunk>)>, Error> {
        let (labels, chunks) = (
            self.shard.file(ShardFile::Labels),
            self.shard.file(ShardFile::Chunks),
        );
        let (labels_footer, chunks_footer) = (
            self.shard.shard().labels_file(),
            self.shard.shard().chunks_file(),
        );
        loop {
            let Some(group) = &mut self.group else {
                let Some((group, rows)) = self.left.pop() else {
                    return Ok(Vec::new());
                };
                self.group = Some(Group::open(self.shard, group, rows)?);
                continue;
            };
            let start = group.rows.start;
            let end = group.rows.end.min(start.saturating_add(BATCH));
            if start >= end {
                self.group = None;
                continue;
            }
            group.rows.start = end;
            for column in &mut group.labels {
                column.read(labels, labels_footer, start..end)?;
            }
            let columns: Vec<_> = group.labels.iter().map(|column| &column.values).collect();
            let mut batch = Vec::with_capacity(BATCH as usize);
            for (i, row) in (start..end).enumerate() {
                let mut of_row = RowChunks::new(chunks_footer, TimeRange::ALL);
                for (column, cursor) in &mut group.data {
                    let value = cursor.value(column, (chunks, chunks_footer), row, None)?;
                    if let Some((page, value)) = value {
                        of_row.push(column.aggregate(), page, &value)?;
                    }
                }
                batch.push((labels_of(&columns, i), of_row.finish()?));
            }
            return Ok(batch);
        }
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<(Labels, Vec<Chunk>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.batch.next() {
            return Some(Ok(row));
        }
        match self.read_batch() {
            Ok(batch) => {
                self.batch = batch.into_iter();
                self.batch.next().map(Ok)
            }
            Err(error) => {
                self.left.clear();
                self.group = None;
                Some(Err(error))
            }
        }
    }
}

impl<'a> Group<'a> {
    fn open(local: &'a LocalShard, group: usize, rows: Range<u32>) -> Result<Self, Error> {
        let shard = local.shard();
        let wanted = RowRanges::from(rows.clone());
        let mut labels = Vec::new();
        for label in shard.label_columns() {
            let pages = pages_with_values(shard, group, label.column, &wanted)?;
            let dictionary = dictionary_of(local, &pages)?;
            labels.push(LabelCursor {
                stored: dictionary.len(),
                values: LabelValues {
                    name: &label.name,
                    dictionary,
                    ids: Vec::new(),
                },
                pages,
                page: None,
            });
        }
        let data = open_data(local, group, &wanted)?.into_iter();
        Ok(Self {
            rows,
            labels,
            data: data.map(|column| (column, DataCursor::default())).collect(),
        })
    }
}

impl LabelCursor<'_> {
    /// Reads the ids of `rows`, which follow those read before.
    fn read(&mut self, file: &LocalFile, footer: &Footer, rows: Range<u32>) -> Result<(), Error> {
        let ids = &mut self.values.ids;
        ids.clear();
        let mut done = rows.start;
        let from = self
            .pages
            .pages
            .partition_point(|page| page.rows.end <= rows.start);
        for (place, location) in self.pages.pages.iter().enumerate().skip(from) {
            if location.rows.start >= rows.end {
                break;
            }
            // Pages without values are left out.
            ids.resize(ids.len() + gap(done, location.rows.start), NULL);
            done = location.rows.end;
            let page = match self.page.take() {
                Some((at, page)) if at == place => page,
                _ => {
                    let bytes = file.read_one(&location.bytes)?;
                    let dictionary = &mut self.values.dictionary;
                    self.pages
                        .id_page(footer, location, &bytes, dictionary, self.stored)?
                }
            };
            page.read(&rows_of_page(&rows.clone().into(), &location.rows), ids)
                .map_err(|fault| footer.damaged(location.bytes.start, fault))?;
            self.page = Some((place, page));
        }
        ids.resize(rows.len(), NULL);
        Ok(())
    }
}

fn gap(from: u32, to: u32) -> usize {
    (from..to).len()
}
