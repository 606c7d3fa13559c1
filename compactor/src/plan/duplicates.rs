//! Blocks whose samples another block holds, as their sources tell.

use std::fmt;

use model::{BlockId, covered_by};
use serde::Serialize;

use super::{Known, Plan, PlanOptions, Skipped};
use crate::group::GroupKey;

/// A block that can be deleted without loss, since another block holds all its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// The block.
    pub block: BlockId,
    /// Its group.
    pub group: GroupKey,
    /// The block that has all of its sources.
    #[serde(flatten)]
    pub by: CoveredBy,
}

/// Which block holds the samples of a covered block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "covered_by", content = "by", rename_all = "kebab-case")]
pub enum CoveredBy {
    /// The Parquet block that it was merged into.
    Parquet(BlockId),
    /// Another block of the same kind.
    Block(BlockId),
}

/// Removes the blocks that another one covers, and plans what becomes of them; the rest keep their order.
pub(super) fn remove<'a>(
    blocks: Vec<&'a Known<'a>>,
    options: &PlanOptions,
    plan: &mut Plan,
) -> Vec<&'a Known<'a>> {
    let coverable: Vec<_> = blocks.iter().map(|b| b.coverable()).collect();
    let by = covered_by(&coverable);
    let mut kept = Vec::with_capacity(blocks.len());
    for (block, by) in blocks.iter().zip(by) {
        match by.and_then(|by| blocks.get(by)) {
            Some(by) => cover(block, by, options, plan),
            None => kept.push(*block),
        }
    }
    kept
}

fn cover(block: &Known<'_>, by: &Known<'_>, options: &PlanOptions, plan: &mut Plan) {
    let covered = Covered {
        block: block.id(),
        group: block.group,
        by: CoveredBy::new(block, by),
    };
    let served = options.served.as_deref();
    let served = served.filter(|_| matches!(covered.by, CoveredBy::Parquet(_)));
    match served.and_then(|served| served.waits(by, options.now, plan)) {
        Some(reason) => plan.skipped.push(Skipped::new(block, reason)),
        None => plan.covered.push(covered),
    }
}

impl CoveredBy {
    fn new(block: &Known<'_>, by: &Known<'_>) -> Self {
        match by.meta.parquet {
            Some(_) if block.meta.parquet.is_none() => Self::Parquet(by.id()),
            _ => Self::Block(by.id()),
        }
    }

    /// The block that stays.
    #[must_use]
    pub const fn id(self) -> BlockId {
        match self {
            Self::Parquet(id) | Self::Block(id) => id,
        }
    }
}

/// As the details of a deletion mark.
impl fmt::Display for CoveredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parquet(id) => write!(f, "source of compacted block parquet/{id}"),
            Self::Block(id) => write!(f, "outdated block, its sources are in {id}"),
        }
    }
}
