//! What a run has done.

use bucket::Holder;
use model::BlockId;

use crate::{CompactError, Outcome, group::GroupKey};

/// What was done.
#[derive(Debug, Default)]
pub struct Summary {
    /// Tasks that were done, with the blocks that each made.
    pub merged: Vec<(String, Outcome)>,
    /// Blocks that were marked because another block holds their samples, sources of merges apart.
    pub covered: Vec<BlockId>,
    /// Blocks that were marked because they are older than blocks of their resolution are kept.
    pub expired: Vec<BlockId>,
    /// Blocks that turned out to be damaged and were marked so that no later run takes them; each is in `failed` too.
    pub no_compact: Vec<BlockId>,
    /// Blocks that were deleted.
    pub deleted: Vec<BlockId>,
    /// Groups that another compactor works at.
    pub left_to_others: Vec<(GroupKey, Holder)>,
    /// What could not be done: a task, a group or a block, with the reason. The rest went on.
    pub failed: Vec<(String, CompactError)>,
}
