//! What becomes of a block's series on its way to the client: its final labels, the share that is wanted,
//! the order, and series of several blocks made one.

mod chunks;
mod finish;
mod merge;
mod order;
mod shard;

use model::Labels;

pub use self::chunks::{Coding, Encoded, Samples, SeriesChunk};
pub(crate) use self::{
    finish::Finish,
    merge::Merge,
    order::{Arrival, MetricOrder, OutOfOrder},
    shard::{Hashed, Shard},
};

/// A series as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The final labels.
    pub labels: Labels,
    /// In order of time; none where nobody asked for them.
    pub chunks: Vec<SeriesChunk>,
}
