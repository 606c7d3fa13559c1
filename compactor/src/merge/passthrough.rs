//! Values of a row that pass through unchanged: what a Parquet block has of a series in a slice, where no other input
//! has samples of that time. None of their chunks is decoded, sorted or encoded again.

use bytes::Bytes;
use model::{Resolution, TimeRange};
use parquet_block::{Slices, envelope};

use super::{
    MergeError,
    input::InputCursor,
    rows::{Layout, Value},
};

/// The values of a row, from all inputs.
#[derive(Debug)]
pub(super) struct Passthrough {
    slices: Slices,
    /// The times that all samples lie in.
    range: TimeRange,
    values: Vec<Value>,
}

impl Passthrough {
    /// None if more is made of chunks than to put them into slices.
    pub(super) fn of(outputs: &[(Resolution, Layout)], range: TimeRange) -> Option<Self> {
        let [(Resolution::Raw, Layout::Raw(slices))] = outputs else {
            return None;
        };
        Some(Self {
            slices: *slices,
            range,
            values: Vec::new(),
        })
    }

    /// The values of the series that `cursors` stand at, in order of time; none where its chunks have to be looked at
    /// one by one, since they overlap, or straddle the border of two slices, or one of them is damaged.
    ///
    /// # Errors
    /// When an input cannot be read.
    pub(super) fn read<'a, 'b: 'a>(
        &mut self,
        cursors: impl Iterator<Item = &'a mut InputCursor<'b>>,
    ) -> Result<Option<&[Value]>, MergeError> {
        self.values.clear();
        for cursor in cursors {
            let mut all = true;
            let found = cursor.values(|bytes| all = all && self.push(bytes))?;
            if !(found && all) {
                return Ok(None);
            }
        }
        self.values.sort_by_key(|value| value.summary.range.min);
        let follow = self.values.array_windows().all(|[a, b]| {
            // Chunks of several encodings have an order of their own in a slice.
            let join = a.slice != b.slice || a.summary.encoding == b.summary.encoding;
            join && a.summary.range.max < b.summary.range.min
        });
        Ok(follow.then_some(&self.values))
    }

    /// Whether what is in a value is known to be fit to be handed on.
    fn push(&mut self, bytes: Bytes) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let Some(summary) = envelope::summary(&bytes) else {
            return false;
        };
        let slices = &self.slices;
        let slice = slices
            .index_of(summary.range.min)
            .filter(|slice| slices.index_of(summary.range.max) == Some(*slice));
        let Some(slice) = slice.filter(|_| self.range.covers(summary.range)) else {
            return false;
        };
        self.values.push(Value {
            slice,
            summary,
            bytes,
        });
        true
    }
}
