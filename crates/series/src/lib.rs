//! Series under the labels under which they are sent, in StoreAPI's order: what the store gateway and the sidecar do
//! alike to what they have read, and what an answer consists of.

mod answer;
mod chunks;
mod final_labels;
mod merge;
mod order;
mod shard;

pub use crate::{
    answer::{AnswerPart, Series},
    chunks::{Coding, Encoded, Samples, SeriesChunk},
    final_labels::FinalLabels,
    merge::{Merge, Mergeable},
    order::{Budget, FinalOrder, OrderError},
    shard::{Hashed, Shard},
};
