//! Which samples a block holds, by the sources in its `meta.json`, and which blocks hold no samples of their own.

use std::{cmp::Reverse, collections::HashMap};

use crate::{BlockId, BlockMeta, ThanosMeta};

/// The level-1 blocks whose samples a block holds: sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sources(Vec<BlockId>);

/// A block among others that may hold the same samples.
#[derive(Clone, Copy, Debug)]
pub struct Coverable<'a> {
    /// The block.
    pub id: BlockId,
    /// Its sources.
    pub sources: &'a Sources,
    /// Whether it is a Parquet block.
    pub parquet: bool,
    /// Whether it was made of a block of the same sources that had a fault.
    pub repaired: bool,
}

impl<'a> Coverable<'a> {
    /// The block of this `meta.json`, which has these sources.
    #[must_use]
    pub fn new(meta: &BlockMeta, sources: &'a Sources) -> Self {
        Self {
            id: meta.ulid,
            sources,
            parquet: meta.parquet.is_some(),
            repaired: meta.thanos.as_ref().is_some_and(ThanosMeta::is_repaired),
        }
    }

    /// The smallest comes first, and covers the others that have its sources or fewer.
    fn rank(&self) -> impl Ord {
        // The last repair is the right one, and otherwise the oldest block has been there for others to read.
        let age = match self.repaired {
            true => (Reverse(Some(self.id)), None),
            false => (Reverse(None), Some(self.id)),
        };
        (Reverse(self.sources.len()), !self.parquet, age)
    }
}

impl Sources {
    /// The sources of a block. A block without sources is its own source.
    #[must_use]
    pub fn of(meta: &BlockMeta) -> Self {
        match meta.compaction.sources.is_empty() {
            true => Self(vec![meta.ulid]),
            false => meta.compaction.sources.iter().copied().collect(),
        }
    }

    /// The sources of all these together.
    #[must_use]
    pub fn union<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        all.into_iter().flat_map(Self::iter).collect()
    }

    /// Whether all of these are among `others`: then a block of these holds no sample that blocks of `others` lack.
    #[must_use]
    pub fn is_within(&self, others: &Self) -> bool {
        self.0.iter().all(|id| others.0.binary_search(id).is_ok())
    }

    /// The sources in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = BlockId> {
        self.0.iter().copied()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sources as `meta.json` lists them.
    #[must_use]
    pub fn into_vec(self) -> Vec<BlockId> {
        self.0
    }
}

impl FromIterator<BlockId> for Sources {
    fn from_iter<I: IntoIterator<Item = BlockId>>(ids: I) -> Self {
        let mut ids: Vec<BlockId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        Self(ids)
    }
}

/// For each block the index of the block that covers it, if any. A block is covered by another one that has all of its
/// sources. All blocks have the same external labels and resolution.
///
/// Of blocks with equal sources the Parquet block covers the others; without one, the last that was made by a repair, or
/// else the oldest. A block that covers others is not covered itself.
#[must_use]
pub fn covered_by(blocks: &[Coverable<'_>]) -> Vec<Option<usize>> {
    let mut ranked: Vec<(usize, &Coverable<'_>)> = blocks.iter().enumerate().collect();
    // A block can be covered only by one that comes before it.
    ranked.sort_by_key(|(_, block)| block.rank());
    let mut covered = vec![None; blocks.len()];
    // The kept blocks that have a source.
    let mut having: HashMap<BlockId, Vec<(usize, &Sources)>> = HashMap::new();
    for (position, block) in ranked {
        // A covering block has the first source too, so few are compared.
        let first = block.sources.iter().next();
        let candidates = first.and_then(|source| having.get(&source));
        let by = candidates
            .into_iter()
            .flatten()
            .find(|(_, kept)| block.sources.is_within(kept));
        match (by, covered.get_mut(position)) {
            (Some((by, _)), Some(covered)) => *covered = Some(*by),
            _ => {
                for source in block.sources.iter() {
                    let kept = having.entry(source).or_default();
                    kept.push((position, block.sources));
                }
            }
        }
    }
    covered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Timestamp;

    fn id(number: u128) -> BlockId {
        BlockId::new(Timestamp(1), number)
    }

    #[test]
    fn a_block_that_names_no_sources_is_its_own() {
        let mut meta = BlockMeta::decode(
            br#"{"ulid":"01HF8J5JG0RAVB4GMS32W7ZJ2B","minTime":0,"maxTime":1,"version":1}"#,
        )
        .unwrap();
        assert_eq!(Sources::of(&meta).into_vec(), [meta.ulid]);
        meta.compaction.sources = vec![id(3), id(1), id(3)];
        assert_eq!(Sources::of(&meta).into_vec(), [id(1), id(3)]);
    }

    #[test]
    fn of_equal_sources_the_parquet_block_covers_and_then_the_oldest() {
        let [one, both] =
            [vec![id(1)], vec![id(1), id(2)]].map(|ids| ids.into_iter().collect::<Sources>());
        let block = |number, sources, parquet| Coverable {
            id: id(number),
            sources,
            parquet,
            repaired: false,
        };
        let blocks = [
            block(5, &both, false),
            block(7, &both, true),
            block(6, &both, true),
            block(4, &one, true),
        ];
        assert_eq!(covered_by(&blocks), [Some(2), Some(2), None, Some(2)]);
        assert_eq!(covered_by(&blocks[3..]), [None]);
        assert_eq!(covered_by(&[]), [] as [Option<usize>; 0]);
    }

    #[test]
    fn of_equal_sources_the_last_repair_covers_what_it_was_made_of() {
        let sources: Sources = [id(1)].into_iter().collect();
        let block = |number, repaired, parquet| Coverable {
            id: id(number),
            sources: &sources,
            parquet,
            repaired,
        };
        let blocks = [
            block(4, false, false),
            block(5, true, false),
            block(6, true, false),
            block(7, false, false),
        ];
        assert_eq!(covered_by(&blocks), [Some(2), Some(2), None, Some(2)]);
        let parquet = [block(4, true, false), block(5, false, true)];
        assert_eq!(covered_by(&parquet), [Some(1), None]);
    }

    proptest! {
        #[test]
        fn a_covered_block_has_its_sources_in_an_uncovered_one(
            drawn in prop::collection::vec((prop::collection::btree_set(0_u128..6, 1..4), any::<bool>(), any::<bool>()), 0..12),
        ) {
            let sources: Vec<Sources> =
                drawn.iter().map(|(ids, ..)| ids.iter().copied().map(id).collect()).collect();
            let blocks: Vec<Coverable<'_>> = (0_u128..).zip(&drawn).zip(&sources)
                .map(|((number, (_, parquet, repaired)), sources)| Coverable { id: id(number), sources, parquet: *parquet, repaired: *repaired })
                .collect();
            let covered = covered_by(&blocks);
            for (i, by) in covered.iter().enumerate() {
                let covers = |other: usize| other != i && sources[i].is_within(&sources[other]);
                match by {
                    Some(by) => prop_assert!(covers(*by) && covered[*by].is_none()),
                    None => {
                        let kept = (0..blocks.len()).filter(|other| covered[*other].is_none());
                        prop_assert!(!kept.into_iter().any(covers));
                    }
                }
            }
        }
    }
}
