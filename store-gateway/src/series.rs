//! The series of an answer: their chunks, and the merge of several blocks.

mod chunks;
mod merge;

use model::Labels;

pub use self::chunks::{Coding, Encoded, Samples, SeriesChunk};
pub(crate) use self::merge::Merge;

/// A series of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The final labels.
    pub labels: Labels,
    /// In order of time; empty if chunks were not requested.
    pub chunks: Vec<SeriesChunk>,
}
