//! One label's column of a record batch: each value once, and a key for each row.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, DictionaryArray,
    builder::{PrimitiveBuilder, StringBuilder},
    types::Int32Type,
};
use arrow_schema::ArrowError;
use hashbrown::HashMap;

use crate::layout::text;

/// A label's column, as far as it is filled.
#[derive(Debug, Default)]
pub(crate) struct LabelColumn {
    keys: PrimitiveBuilder<Int32Type>,
    values: StringBuilder,
    seen: HashMap<Vec<u8>, i32>,
    count: i32,
}

impl LabelColumn {
    /// The key of a value in this batch.
    pub(crate) fn key(&mut self, value: &[u8]) -> i32 {
        if let Some(&key) = self.seen.get(value) {
            return key;
        }
        let key = self.count;
        self.count += 1;
        self.values.append_value(text(value));
        self.seen.insert(value.to_vec(), key);
        key
    }

    /// Appends `rows` rows with this key.
    pub(crate) fn append(&mut self, key: Option<i32>, rows: usize) {
        match key {
            Some(key) => self.keys.append_value_n(key, rows),
            None => self.keys.append_nulls(rows),
        }
    }

    /// The column; the next batch begins without values.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.seen.clear();
        self.count = 0;
        let values = Arc::new(self.values.finish());
        Ok(Arc::new(DictionaryArray::try_new(
            self.keys.finish(),
            values,
        )?))
    }
}
