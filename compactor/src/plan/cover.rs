//! Which samples the bucket holds in which resolution, by the sources of its blocks.

use std::collections::{BTreeMap, BTreeSet};

use model::{BlockId, Resolution, Sources, Timestamp, covered_by};

use super::{Known, skipped};
use crate::group::GroupKey;

/// The blocks of the bucket without a deletion mark, by group and source; skipped ones too.
#[derive(Debug, Default)]
pub(super) struct Cover<'a>(BTreeMap<GroupKey, OfGroup<'a>>);

#[derive(Debug, Default)]
struct OfGroup<'a> {
    blocks: Vec<&'a Known<'a>>,
    having: BTreeMap<BlockId, Vec<&'a Known<'a>>>,
}

impl<'a> Cover<'a> {
    /// From all blocks of the bucket.
    pub(super) fn of(blocks: &'a [Known<'a>]) -> Self {
        let mut cover = Self::default();
        for block in blocks.iter().filter(|b| !skipped::may_go(b)) {
            let group = cover.0.entry(block.group).or_default();
            group.blocks.push(block);
            for source in block.sources.iter() {
                group.having.entry(source).or_default().push(block);
            }
        }
        cover
    }

    /// Whether the bucket has all of these sources in a resolution.
    pub(super) fn has(&self, labels: u64, resolution: Resolution, sources: &Sources) -> bool {
        self.group(labels, resolution)
            .is_some_and(|group| sources.iter().all(|s| group.having.contains_key(&s)))
    }

    /// Whether the bucket has these sources, other than in overlapping blocks that one block of exactly these sources
    /// would replace.
    ///
    /// Blocks of aggregates that overlap are never merged, so where replicas were downsampled one by one, their merged
    /// samples are downsampled once more, which replaces those blocks. It must replace all: of blocks that have other
    /// sources too the overlap would stay.
    pub(super) fn has_well(&self, labels: u64, resolution: Resolution, sources: &Sources) -> bool {
        if !self.has(labels, resolution, sources) {
            return false;
        }
        let blocks = self.having_any(labels, resolution, sources);
        let replaces_all = blocks.iter().all(|b| b.sources.is_within(sources));
        !(replaces_all && overlap(blocks))
    }

    /// Whether a block of this resolution overlaps `[start, end)`.
    pub(super) fn any_in(
        &self,
        labels: u64,
        resolution: Resolution,
        (start, end): (Timestamp, Timestamp),
    ) -> bool {
        self.group(labels, resolution)
            .is_some_and(|g| g.blocks.iter().any(|b| b.min() < end && start < b.max()))
    }

    /// The blocks that have any of these sources, but for those that others of them cover.
    pub(super) fn having_any(
        &self,
        labels: u64,
        resolution: Resolution,
        sources: &Sources,
    ) -> Vec<&'a Known<'a>> {
        let Some(group) = self.group(labels, resolution) else {
            return Vec::new();
        };
        let mut seen = BTreeSet::new();
        let having = sources
            .iter()
            .filter_map(|s| group.having.get(&s))
            .flatten();
        let blocks: Vec<&Known<'_>> = having.copied().filter(|b| seen.insert(b.id())).collect();
        let coverable: Vec<_> = blocks.iter().map(|b| b.coverable()).collect();
        let covered = blocks.iter().zip(covered_by(&coverable));
        covered
            .filter_map(|(block, by)| by.is_none().then_some(*block))
            .collect()
    }

    fn group(&self, labels: u64, resolution: Resolution) -> Option<&OfGroup<'a>> {
        self.0.get(&GroupKey {
            resolution,
            hash: labels,
        })
    }
}

fn overlap(mut blocks: Vec<&Known<'_>>) -> bool {
    blocks.sort_by_key(|b| b.min());
    let ends = blocks.iter().map(|b| b.max());
    let next = blocks.iter().skip(1).map(|b| b.min());
    ends.zip(next).any(|(end, next)| next < end)
}
