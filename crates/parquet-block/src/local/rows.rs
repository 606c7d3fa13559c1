//! Rows for a merge of blocks: labels as the merge's own ids, so that no string is looked at, and chunks.
//!
//! ```text
//! s_… and l_… pages ─▶ ids of the row group's dictionaries ─▶ LabelIds ─▶ pairs of the merge's ids
//! ```
//! Rows are asked for in ascending order; then each page is decoded once, also if it has rows of several readers that
//! share what they know of the row group. A page of each column is held.

use std::{ops::Range, sync::Arc, vec};

use bytes::Bytes;
use model::{Aggregate, TimeRange};
use tsdb::Chunk;

use super::{
    data_cursor::{DataColumn, DataCursor, dictionary_of},
    file::LocalFile,
    shard::LocalShard,
    shared_group::{LabelPages, SharedGroup},
    shared_pages::{Share, SharedPages},
};
use crate::{
    error::Error,
    format::{
        footer::Footer,
        ids::{IdPage, NULL},
        page_index::PageLocation,
        row_ranges::RowRanges,
        values::Dictionary,
    },
    query::{column::ColumnPages, lookup::ShardFile, row_chunks::RowChunks},
};

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
    shared: Arc<SharedGroup>,
    /// None before labels are asked for.
    labels: Option<LabelCursors>,
    /// None before chunks are asked for.
    data: Option<(Arc<[DataColumn]>, Vec<DataCursor>)>,
    /// The rows whose labels are here.
    batch: Range<u32>,
    labels_of_row: Vec<Vec<(u32, u32)>>,
    chunks: RowChunks<'a>,
}

/// The columns of labels, and where the reader is in each.
#[derive(Debug)]
struct LabelCursors {
    columns: Arc<[LabelPages]>,
    cursors: Vec<LabelCursor>,
}

#[derive(Debug, Default)]
struct LabelCursor {
    /// The page that is being read, by its place.
    page: Option<(usize, Arc<IdPage>)>,
    ids: Vec<u32>,
}

impl LocalShard {
    /// For each label, in order of the names ([`crate::Shard::label_names`]), the values that it has in a row
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
    /// [`Self::dictionaries`] gives. `shared` is what it shares with the readers of other rows of the row group.
    #[must_use]
    pub fn read_rows<'a>(
        &'a self,
        group: usize,
        rows: Range<u32>,
        ids: &'a [LabelIds],
        shared: Arc<SharedGroup>,
    ) -> RowReader<'a> {
        RowReader {
            rows: rows.start..rows.end.min(self.shard().rows(group)),
            chunks: RowChunks::new(self.shard().chunks_file(), TimeRange::ALL),
            local: self,
            group,
            ids,
            shared,
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
    pub fn chunks(&mut self, row: u32) -> Result<vec::Drain<'_, Chunk>, Error> {
        self.each_value(row, |chunks, aggregate, page, value| {
            chunks.push(aggregate, page, &value)
        })?;
        self.chunks.take()
    }

    /// The values of a row of raw chunks, slice by slice, of which [`crate::envelope::decode`] makes the chunks. Rows
    /// ascend from call to call; of the same row [`Self::chunks`] may be asked for, too.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn values(&mut self, row: u32, mut each: impl FnMut(Bytes)) -> Result<(), Error> {
        self.each_value(row, |_, _, _, value| {
            each(value);
            Ok(())
        })
    }

    fn each_value(
        &mut self,
        row: u32,
        mut each: impl FnMut(
            &mut RowChunks<'_>,
            Option<Aggregate>,
            &PageLocation,
            Bytes,
        ) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !self.rows.contains(&row) {
            return Ok(());
        }
        let source = (
            self.local.file(ShardFile::Chunks),
            self.local.shard().chunks_file(),
        );
        let (columns, cursors) = match &mut self.data {
            Some(data) => data,
            none => {
                let columns = self.shared.data(self.local, self.group)?;
                let cursors = columns.iter().map(|_| DataCursor::default()).collect();
                none.insert((columns, cursors))
            }
        };
        let shared = (&self.shared.values, &self.rows);
        for (column, cursor) in columns.iter().zip(cursors) {
            if let Some((page, value)) = cursor.value(column, source, row, shared)? {
                each(&mut self.chunks, column.aggregate(), page, value)?;
            }
        }
        Ok(())
    }

    fn read_batch(&mut self, start: u32) -> Result<(), Error> {
        let rows = start..self.rows.end.min(start.saturating_add(BATCH));
        let labels = match &mut self.labels {
            Some(labels) => labels,
            none => {
                let columns = self.shared.labels(self.local, self.group)?;
                let cursors = columns.iter().map(|_| LabelCursor::default()).collect();
                none.insert(LabelCursors { columns, cursors })
            }
        };
        self.labels_of_row.resize_with(rows.len(), Vec::new);
        for labels in &mut self.labels_of_row {
            labels.clear();
        }
        let wanted = RowRanges::from(rows.clone());
        let source = Source {
            file: self.local.file(ShardFile::Labels),
            footer: self.local.shard().labels_file(),
            shared: &self.shared.ids,
            rows: &self.rows,
        };
        for (column, cursor) in labels.columns.iter().zip(&mut labels.cursors) {
            let Some(ids) = self.ids.get(column.place) else {
                let reason = format!(
                    "label {} has no ids, ids of {} were given",
                    column.place,
                    self.ids.len()
                );
                return Err(Error::layout(reason));
            };
            cursor.read(&column.pages, &source, &wanted, ids.values.len())?;
            for (labels, id) in self.labels_of_row.iter_mut().zip(&cursor.ids) {
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

impl Drop for RowReader<'_> {
    fn drop(&mut self) {
        self.shared.leave(self.rows.len());
    }
}

/// Where the pages of labels come from.
struct Source<'a> {
    file: &'a LocalFile,
    footer: &'a Footer,
    shared: &'a SharedPages<IdPage>,
    /// The rows of the reader.
    rows: &'a Range<u32>,
}

impl LabelCursor {
    /// Reads the ids of `rows`, which are not before those read last.
    fn read(
        &mut self,
        column: &ColumnPages,
        source: &Source<'_>,
        rows: &RowRanges,
        stored: usize,
    ) -> Result<(), Error> {
        self.ids.clear();
        let open = &mut self.page;
        column.read_ids(source.footer, rows, &mut self.ids, |place, location| {
            let page = match open.take() {
                Some((at, page)) if at == place => page,
                _ => source.page(column, place, location, stored)?,
            };
            Ok(Arc::clone(&open.insert((place, page)).1))
        })
    }
}

impl Source<'_> {
    fn page(
        &self,
        column: &ColumnPages,
        place: usize,
        location: &PageLocation,
        stored: usize,
    ) -> Result<Arc<IdPage>, Error> {
        let share = Share {
            column: column.column,
            place,
            page: &location.rows,
            rows: self.rows,
        };
        self.shared.page(share, || {
            let bytes = self.file.read_one(&location.bytes)?;
            let mut given = Dictionary::default();
            let page = column.id_page(self.footer, location, &bytes, &mut given, stored)?;
            if !given.is_empty() {
                let offset = location.bytes.start;
                let reason = "page of values where ids of the dictionary are expected";
                return Err(Error::corrupt(self.footer.file(), offset, reason));
            }
            let size = page.memory_size();
            Ok((page, size))
        })
    }
}
