//! Series under the labels under which they are sent, in StoreAPI's order: what the store gateway and the sidecar do
//! alike to what they have read.

mod final_labels;
mod order;
mod shard;

pub use crate::{
    final_labels::FinalLabels,
    order::{Budget, FinalOrder, OrderError},
    shard::{Hashed, Shard},
};
