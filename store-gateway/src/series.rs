//! What becomes of a block's series on its way to the client, besides their labels and order: the share that is
//! wanted, and series of several blocks made one.

mod chunks;
mod merge;

use model::Labels;

pub(crate) use self::{
    chunks::{Coding, Encoded, Samples, SeriesChunk},
    merge::Merge,
};

/// A series as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Series {
    /// The final labels.
    pub(crate) labels: Labels,
    /// In order of time; none where nobody asked for them.
    pub(crate) chunks: Vec<SeriesChunk>,
}
