//! Rewriting a block: without some of its samples, with other labels, or in the other format.
//!
//! ```text
//! download ─▶ edit, series by series ─▶ runs: TSDB blocks here, each sorted ─▶ merge ─▶ verify ─▶ upload ─▶ commit ─▶ mark
//!                                        └ none if only the format changes: then the block itself is merged
//! ```
//! New labels give the series a new order. They are sorted as in a merge sort that does not fit into memory: as many as
//! do are sorted and written as a run, and the runs are merged by the merge that compacts.

mod change_log;
mod edits;

use std::path::PathBuf;

use model::BlockId;
use serde::Serialize;

pub use self::edits::{Deletion, EditError, Edits};
pub(crate) use self::{change_log::ChangeLog, edits::Fate};
use crate::OutputFormat;

/// What is to be rewritten, and how.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// The blocks.
    pub blocks: Vec<BlockId>,
    /// What is changed in each.
    pub edits: Edits,
    /// The format of the new blocks; none for that of the old one.
    pub format: Option<OutputFormat>,
    /// Whether anything is written into the bucket.
    pub mode: RewriteMode,
    /// What becomes of the old blocks.
    pub original: Original,
    /// What `meta.json` names as the source of the new ones.
    pub source: &'static str,
    /// Where the changes are written, one a line, to `<block>.change.log`; none for nowhere.
    pub change_logs: Option<PathBuf>,
}

/// Whether a rewrite writes into the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewriteMode {
    /// It does not: the changes are only found out.
    Dry,
    /// It does.
    Write,
}

/// What becomes of a block that is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Original {
    /// It stays as it is.
    Keep,
    /// It is marked for deletion, once the new block is verified and committed; also if no sample was left for one.
    MarkForDeletion,
    /// It is marked for deletion with these details, once the new block is verified and committed. If no sample was left
    /// for one, it stays.
    Replace(&'static str),
}

/// What came of a rewrite.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rewritten {
    /// The block.
    pub block: BlockId,
    /// The new one; none in a dry run, or if no sample is left.
    pub made: Option<BlockId>,
    /// Series of which samples were deleted.
    pub series_deleted: u64,
    /// Series with other labels.
    pub series_relabelled: u64,
    /// Samples of the old block, tombstones apart.
    pub samples: u64,
    /// Those that were deleted.
    pub samples_deleted: u64,
    /// The file with the changes.
    pub change_log: Option<PathBuf>,
}
