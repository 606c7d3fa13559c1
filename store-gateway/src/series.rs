//! The series of an answer: their chunks, and the merge of several blocks.

mod chunks;

use std::cmp::Ordering;

use ::series::Mergeable;
use model::Labels;

pub use self::chunks::{Coding, Encoded, Samples, SeriesChunk};

/// A series of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The final labels.
    pub labels: Labels,
    /// In order of time; empty if chunks were not requested.
    pub chunks: Vec<SeriesChunk>,
}

impl Mergeable for Series {
    fn cmp_labels(&self, other: &Self) -> Ordering {
        self.labels.cmp(&other.labels)
    }

    fn join(&mut self, other: Self) {
        self.chunks.extend(other.chunks);
    }

    fn finish(&mut self) {
        chunks::arrange(&mut self.chunks);
    }
}
