//! Rows for a merge of blocks: labels as the merge's own ids, so that no string is looked at, and chunks.
//!
//! ```text
//! s_… and l_… pages ─▶ ids of the row group's dictionaries ─▶ LabelIds ─▶ pairs of the merge's ids
//! ```
//! Rows are asked for in ascending order; then each page is decoded once. A page of each column is held.

use std::ops::Range;

use model::TimeRange;
use tsdb::Chunk;

use super::{
    column::{ColumnPages, rows_of_page},
    footer::Footer,
    ids::{IdPage, NULL},
    labels::pages_with_values,
    local::{LocalFile, LocalShard},
    lookup::ShardFile,
    row_chunks::RowChunks,
    row_ranges::RowRanges,
    scan::{DataCursor, data_cursors, dictionary_of},
    values::Dictionary,
};
use crate::error::Error;

/// Rows whose labels are read at once.
const BATCH: u32 = 512;

/// What a label of a row group is called elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelIds {
    /// The id of its name.
    pub name: u32,
    /// The id of each value of the row group's dictionary.
    pub values: Vec<u32>,
}

impl LabelIds {
    /// Stands for a value that is as if there were none: the empty one.
    pub const NONE: u32 = NULL;
}

/// Reads rows of one row group.
#[derive(Debug)]
pub struct RowReader<'a> {
    local: &'a LocalShard,
    group: usize,
    /// The rows that may be asked for.
    rows: Range<u32>,
    ids: &'a [LabelIds],
    /// The columns that have values in these rows; none before labels are asked for.
    labels: Option<Vec<LabelCursor>>,
    /// None before chunks are asked for.
    data: Option<Vec<DataCursor>>,
    /// The rows whose labels are here.
    batch: Range<u32>,
    labels_of_row: Vec<Vec<(u32, u32)>>,
}

#[derive(Debug)]
struct LabelCursor {
    /// Where the label is among the shard's.
    place: usize,
    pages: ColumnPages,
    /// The page that is being read, by its place.
    page: Option<(usize, IdPage)>,
    ids: Vec<u32>,
}

impl LocalShard {
    /// For each label, in order of the names ([`super::Shard::label_names`]), the values that it has in a row
    /// group, in the order of their ids there; none for a label without a dictionary.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn dictionaries(&self, group: usize) -> Result<Vec<Dictionary>, Error> {
        let shard = self.shard();
        let read = |column| {
            let pages = ColumnPages::of(shard.labels_file(), group, column)?;
            dictionary_of(self, &pages)
        };
        let labels = shard.label_columns().iter();
        labels.map(|label| read(label.column)).collect()
    }

    /// Bytes of the file that holds the chunks.
    #[must_use]
    pub fn data_size(&self) -> u64 {
        self.shard().chunks_file().file_size()
    }

    /// A reader of some rows of a row group; `ids` has an entry for each label, with an id for each value that
    /// [`Self::dictionaries`] gives.
    #[must_use]
    pub fn read_rows<'a>(
        &'a self,
        group: usize,
        rows: Range<u32>,
        ids: &'a [LabelIds],
    ) -> RowReader<'a> {
        RowReader {
            rows: rows.start..rows.end.min(self.shard().rows(group)),
            local: self,
            group,
            ids,
            labels: None,
            data: None,
            batch: 0..0,
            labels_of_row: Vec::new(),
        }
    }
}

impl RowReader<'_> {
    /// The labels of a row, as ids of names and values in order of the names. Rows ascend from call to call.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn labels(&mut self, row: u32) -> Result<&[(u32, u32)], Error> {
        if !self.batch.contains(&row) {
            self.read_batch(row)?;
        }
        let at = row.checked_sub(self.batch.start);
        let labels = at.and_then(|at| self.labels_of_row.get(at as usize));
        Ok(labels.map(Vec::as_slice).unwrap_or_default())
    }

    /// All chunks of a row: raw ones slice by slice, within one as they are stored; downsampled ones, which are of
    /// [`tsdb::Encoding::Aggr`], in order of time. Rows ascend from call to call.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn chunks(&mut self, row: u32) -> Result<Vec<Chunk>, Error> {
        let file = self.local.file(ShardFile::Chunks);
        let footer = self.local.shard().chunks_file();
        let mut chunks = RowChunks::new(footer, TimeRange::ALL);
        if self.rows.contains(&row) {
            let data = match &mut self.data {
                Some(data) => data,
                none => {
                    let rows = RowRanges::from(self.rows.clone());
                    none.insert(data_cursors(self.local, self.group, &rows)?)
                }
            };
            for column in data {
                column.read(file, footer, row, &mut chunks)?;
            }
        }
        chunks.finish()
    }

    fn read_batch(&mut self, start: u32) -> Result<(), Error> {
        let rows = start..self.rows.end.min(start.saturating_add(BATCH));
        let shard = self.local.shard();
        let columns = match &mut self.labels {
            Some(columns) => columns,
            none => none.insert(LabelCursor::open_all(self.local, self.group, &self.rows)?),
        };
        self.labels_of_row.resize_with(rows.len(), Vec::new);
        for labels in &mut self.labels_of_row {
            labels.clear();
        }
        let (file, footer) = (self.local.file(ShardFile::Labels), shard.labels_file());
        for column in columns {
            let Some(ids) = self.ids.get(column.place) else {
                let reason = format!(
                    "label {} has no ids, ids of {} were given",
                    column.place,
                    self.ids.len()
                );
                return Err(Error::layout(reason));
            };
            column.read(file, footer, rows.clone(), ids.values.len())?;
            for (labels, id) in self.labels_of_row.iter_mut().zip(&column.ids) {
                match ids.values.get(*id as usize) {
                    Some(value) if *value != LabelIds::NONE => labels.push((ids.name, *value)),
                    _ => {}
                }
            }
        }
        self.batch = rows;
        Ok(())
    }
}

impl LabelCursor {
    /// The columns that have values in `rows`.
    fn open_all(local: &LocalShard, group: usize, rows: &Range<u32>) -> Result<Vec<Self>, Error> {
        let shard = local.shard();
        let rows = RowRanges::from(rows.clone());
        let mut columns = Vec::new();
        for (place, label) in shard.label_columns().iter().enumerate() {
            let pages = pages_with_values(shard, group, label.column, &rows)?;
            if !pages.pages.is_empty() {
                columns.push(Self {
                    place,
                    pages,
                    page: None,
                    ids: Vec::new(),
                });
            }
        }
        Ok(columns)
    }

    /// Reads the ids of `rows`, which are not before those read last.
    fn read(
        &mut self,
        file: &LocalFile,
        footer: &Footer,
        rows: Range<u32>,
        stored: usize,
    ) -> Result<(), Error> {
        self.ids.clear();
        let mut done = rows.start;
        let pages = &self.pages.pages;
        let from = pages.partition_point(|page| page.rows.end <= rows.start);
        for (place, location) in pages.iter().enumerate().skip(from) {
            if location.rows.start >= rows.end {
                break;
            }
            // Pages without values are left out.
            let gap = (done..location.rows.start).len();
            self.ids.resize(self.ids.len() + gap, NULL);
            done = location.rows.end;
            let page = match self.page.take() {
                Some((at, page)) if at == place => page,
                _ => {
                    let bytes = file.read_one(&location.bytes)?;
                    let mut given = Dictionary::default();
                    let page = self
                        .pages
                        .id_page(footer, location, &bytes, &mut given, stored)?;
                    if !given.is_empty() {
                        let offset = location.bytes.start;
                        let reason = "page of values where ids of the dictionary are expected";
                        return Err(Error::corrupt(footer.file(), offset, reason));
                    }
                    page
                }
            };
            page.read(
                &rows_of_page(&rows.clone().into(), &location.rows),
                &mut self.ids,
            )
            .map_err(|fault| footer.damaged(location.bytes.start, fault))?;
            self.page = Some((place, page));
        }
        self.ids.resize(rows.len(), NULL);
        Ok(())
    }
}
