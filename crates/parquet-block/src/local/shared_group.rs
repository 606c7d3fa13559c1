//! What the readers of a row group's parts share: where its pages are, and the pages that have rows of two parts.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{
    data_cursor::{DataColumn, open_data},
    shard::LocalShard,
    shared_pages::SharedPages,
};
use crate::{
    error::Error,
    format::{ids::IdPage, row_ranges::RowRanges, values::ByteArrays},
    query::{column::ColumnPages, labels::pages_with_values},
};

/// Shared by readers of one row group, each row of which one of them reads.
#[derive(Debug)]
pub struct SharedGroup {
    rows: usize,
    opened: Mutex<Opened>,
    pub(super) ids: SharedPages<IdPage>,
    pub(super) values: SharedPages<ByteArrays>,
}

/// What is open, while a reader is still to come.
#[derive(Debug)]
struct Opened {
    /// Rows whose readers are not done.
    left: usize,
    labels: Option<Arc<[LabelPages]>>,
    data: Option<Arc<[DataColumn]>>,
}

/// The pages of a label's column.
#[derive(Debug)]
pub(super) struct LabelPages {
    /// Where the label is among the shard's.
    pub(super) place: usize,
    pub(super) pages: ColumnPages,
}

impl SharedGroup {
    /// Of a row group of `rows` rows; at most `limit` bytes of pages are held.
    #[must_use]
    pub fn new(rows: usize, limit: usize) -> Self {
        // Pages of labels are small.
        let of_ids = limit / 4;
        Self {
            rows,
            opened: Mutex::new(Opened {
                left: rows,
                labels: None,
                data: None,
            }),
            ids: SharedPages::new(of_ids),
            values: SharedPages::new(limit - of_ids),
        }
    }

    /// The columns of labels that have values in the row group.
    pub(super) fn labels(
        &self,
        local: &LocalShard,
        group: usize,
    ) -> Result<Arc<[LabelPages]>, Error> {
        let mut opened = self.opened.lock();
        if let Some(labels) = &opened.labels {
            return Ok(Arc::clone(labels));
        }
        let labels: Arc<[LabelPages]> = open_labels(local, group)?.into();
        opened.labels = Some(Arc::clone(&labels));
        Ok(labels)
    }

    /// The columns of chunks.
    pub(super) fn data(
        &self,
        local: &LocalShard,
        group: usize,
    ) -> Result<Arc<[DataColumn]>, Error> {
        let mut opened = self.opened.lock();
        if let Some(data) = &opened.data {
            return Ok(Arc::clone(data));
        }
        let rows = RowRanges::all(local.shard().rows(group));
        let data: Arc<[DataColumn]> = open_data(local, group, &rows)?.into();
        opened.data = Some(Arc::clone(&data));
        Ok(data)
    }

    /// Tells that a reader of `rows` rows is done. After the last, nothing stays open.
    pub(super) fn leave(&self, rows: usize) {
        let mut opened = self.opened.lock();
        opened.left = opened.left.saturating_sub(rows);
        if opened.left == 0 {
            *opened = Opened {
                left: self.rows,
                labels: None,
                data: None,
            };
            // What is there still belongs to rows that were left unread.
            self.ids.clear();
            self.values.clear();
        }
    }
}

fn open_labels(local: &LocalShard, group: usize) -> Result<Vec<LabelPages>, Error> {
    let shard = local.shard();
    let rows = RowRanges::all(shard.rows(group));
    let mut columns = Vec::new();
    for (place, label) in shard.label_columns().iter().enumerate() {
        let pages = pages_with_values(shard, group, label.column, &rows)?;
        if !pages.pages.is_empty() {
            columns.push(LabelPages { place, pages });
        }
    }
    Ok(columns)
}
