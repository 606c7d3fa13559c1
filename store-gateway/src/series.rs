//! What becomes of a block's series on its way to the client, besides their labels and order: the share that is
//! wanted, and series of several blocks made one.

mod chunks;

use std::cmp::Ordering;

use ::series::Mergeable;
use model::Labels;

pub use self::chunks::{Coding, Encoded, Samples, SeriesChunk};

/// A series as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The final labels.
    pub labels: Labels,
    /// In order of time; none where nobody asked for them.
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
