//! What becomes of a block's series on its way to the client: its final labels, the share that is wanted,
//! the order, and series of several blocks made one.

mod chunks;
mod finish;
mod merge;
mod order;
mod shard;

use model::Labels;

pub(crate) use self::{
    chunks::{Coding, Encoded, Samples, SeriesChunk},
    finish::Finish,
    merge::Merge,
    order::{Arrival, MetricOrder, OutOfOrder},
    shard::{Hashed, Shard},
};

/// A series as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Series {
    /// The final labels.
    pub(crate) labels: Labels,
    /// In order of time; none where nobody asked for them.
    pub(crate) chunks: Vec<SeriesChunk>,
}
