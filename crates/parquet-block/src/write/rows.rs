//! The rows of a row group, before they are encoded.

use std::sync::Arc;

use model::Ragged;

use super::{byte_column::SharedStrings, options::WriteOptions, schema::ShardSchema};

/// The strings of labels, by id.
///
/// Ids ascend with the strings in byte order, and each string has one id: rows are compared by ids.
pub trait Symbols: Send + Sync {
    /// The string of this id; the empty string for an unknown id.
    fn get(&self, id: u32) -> &[u8];
}

/// Labels and values of rows.
pub(super) struct Rows {
    pub(super) schema: ShardSchema,
    pub(super) options: WriteOptions,
    pub(super) symbols: Arc<dyn Symbols>,
    pub(super) labels: RowLabels,
    /// The values of each slice, or of each aggregate of each slice.
    pub(super) data: Vec<SharedStrings>,
    /// The length of the longest chunk in milliseconds; of aggregates only.
    pub(super) longest: i64,
}

/// The labels of rows, as ids of names and values.
#[derive(Default)]
pub(super) struct RowLabels(Ragged<(u32, u32)>);

impl Rows {
    /// No rows.
    pub(super) fn new(
        schema: &ShardSchema,
        symbols: Arc<dyn Symbols>,
        options: &WriteOptions,
    ) -> Self {
        Self {
            data: (0..schema.values())
                .map(|_| SharedStrings::default())
                .collect(),
            longest: 0,
            schema: schema.clone(),
            options: *options,
            symbols,
            labels: RowLabels::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }
}

impl RowLabels {
    pub(super) fn push(&mut self, labels: &[(u32, u32)], symbols: &dyn Symbols) {
        // The empty string sorts before all others, so only the first id can be it.
        let empty = symbols.get(0).is_empty();
        if empty {
            let present = labels.iter().filter(|(_, value)| *value != 0);
            self.0.push(present.copied());
        } else {
            self.0.push(labels.iter().copied());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn size(&self) -> usize {
        self.0.size()
    }

    pub(super) fn get(&self, row: usize) -> &[(u32, u32)] {
        self.0.get(row).unwrap_or_default()
    }

    pub(super) fn text(&self, row: usize, symbols: &dyn Symbols) -> model::Labels {
        let pairs = self.get(row).iter();
        model::Labels::from_sorted(pairs.map(|(n, v)| (symbols.get(*n), symbols.get(*v))))
    }
}
