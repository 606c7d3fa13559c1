//! Blocks whose samples another block holds, as their sources tell.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use model::BlockId;
use serde::Serialize;

use super::Known;
use crate::group::GroupKey;

/// A block that nothing is lost with.
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

/// What holds the samples of a covered block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "covered_by", content = "by", rename_all = "kebab-case")]
pub enum CoveredBy {
    /// The Parquet block that it was merged into.
    Parquet(BlockId),
    /// Another block of the same kind.
    Block(BlockId),
}

/// Takes out the blocks whose sources are all among those of another; what is left keeps its order.
///
/// Of equal sources the Parquet block stays, otherwise the older one.
pub(super) fn remove<'a>(
    blocks: Vec<&'a Known<'a>>,
    covered: &mut Vec<Covered>,
) -> Vec<&'a Known<'a>> {
    let mut by_rank = blocks.clone();
    by_rank.sort_by_key(|b| {
        let sources = Reverse(b.sources.len());
        (sources, b.meta.parquet.is_none(), b.id())
    });
    let mut kept: BTreeSet<BlockId> = BTreeSet::new();
    // For each source the kept blocks that have it, so that each block is compared with those only.
    let mut having: BTreeMap<BlockId, Vec<&Known<'_>>> = BTreeMap::new();
    for block in by_rank {
        match cover_of(block, &having) {
            Some(by) => covered.push(Covered {
                block: block.id(),
                group: block.group,
                by,
            }),
            None => {
                kept.insert(block.id());
                for source in &block.sources {
                    having.entry(*source).or_default().push(block);
                }
            }
        }
    }
    let stays = |b: &&Known<'_>| kept.contains(&b.id());
    blocks.into_iter().filter(stays).collect()
}

fn cover_of(block: &Known<'_>, having: &BTreeMap<BlockId, Vec<&Known<'_>>>) -> Option<CoveredBy> {
    let with_first = having.get(block.sources.first()?)?;
    let by = with_first.iter().find(|o| block.is_within(&o.sources))?;
    let id = by.id();
    Some(match by.meta.parquet {
        Some(_) if block.meta.parquet.is_none() => CoveredBy::Parquet(id),
        _ => CoveredBy::Block(id),
    })
}

impl CoveredBy {
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
