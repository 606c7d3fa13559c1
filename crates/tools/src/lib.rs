//! What `varve tools bucket` does with the blocks of a bucket, TSDB and Parquet alike, beside the compactor's work.
//!
//! [`inspect()`] and [`wide`] turn `meta.json` into text, as Thanos writes it. [`mark()`] writes and removes marks, [`replicate()`] copies blocks,
//! [`overlaps`] finds those that overlap. Cleaning, retention, downsampling and rewriting are the compactor's.

mod error;
mod go;
mod inspect;
mod ls;
mod mark;
mod replicate;
#[cfg(test)]
mod testing;
mod verify;

pub use crate::{
    error::ToolError,
    inspect::{Column, Table, inspect},
    ls::{Deleted, Selection, select, wide},
    mark::{MarkChange, Marked, Marker, mark},
    replicate::{Replicated, Replication, replicate},
    verify::{Issue, Overlap, REPAIRED, Removal, back_up, overlaps, remove},
};
