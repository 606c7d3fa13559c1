//! The served blocks: an immutable snapshot, built anew at each synchronization with the bucket.

mod block;
mod filter;
mod missing;

use std::{collections::BTreeMap, sync::Arc};

use bucket::Snapshot;
use model::{Labels, Resolution, TimeRange, Timestamp};

pub(crate) use self::{
    block::{CatalogBlock, Format, stamp},
    filter::{Rules, State},
    missing::{EarlierMeta, Missing, unread},
};

/// The served blocks.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// Sorted by labels. None is empty.
    pub(crate) groups: Vec<Group>,
    /// Listed blocks whose `meta.json` could not be read.
    pub(crate) missing: Vec<Missing>,
    rules: Rules,
}

/// The blocks of one set of external labels.
#[derive(Debug)]
pub(crate) struct Group {
    /// The external labels.
    pub(crate) labels: Arc<Labels>,
    /// The blocks of each resolution, sorted by first time and id.
    pub(crate) blocks: BTreeMap<Resolution, Vec<Arc<CatalogBlock>>>,
}

/// The time range of a set of blocks, as the info API gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First millisecond.
    pub(crate) min: Timestamp,
    /// End of the last block, exclusive.
    pub(crate) max: Timestamp,
}

impl Catalog {
    /// Selects the blocks of the snapshot to serve, and counts the blocks of each state.
    pub(crate) fn new(
        snapshot: &Snapshot,
        rules: &Rules,
        now: Timestamp,
    ) -> (Self, BTreeMap<State, usize>) {
        let (kept, states) = filter::filter(&snapshot.blocks, rules, now);
        let mut groups: BTreeMap<Arc<Labels>, Group> = BTreeMap::new();
        for view in kept {
            let group = groups
                .entry(Arc::new(view.meta.external_labels()))
                .or_insert_with_key(|labels| Group::new(Arc::clone(labels)));
            let block = Arc::new(CatalogBlock::new(view, Arc::clone(&group.labels)));
            let resolution = block.meta.resolution();
            group.blocks.entry(resolution).or_default().push(block);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        for blocks in groups.iter_mut().flat_map(|g| g.blocks.values_mut()) {
            blocks.sort_by_key(|block| (block.meta.min_time, block.id));
        }
        let catalog = Self {
            groups,
            missing: missing::of(snapshot, &rules.blocks),
            rules: rules.clone(),
        };
        (catalog, states)
    }

    /// The times that a request at `now` is restricted to.
    pub(crate) const fn bounds(&self, now: Timestamp) -> TimeRange {
        self.rules.bounds(now)
    }

    /// All blocks.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Arc<CatalogBlock>> {
        self.groups.iter().flat_map(Group::blocks)
    }
}

impl Group {
    fn new(labels: Arc<Labels>) -> Self {
        Self {
            labels,
            blocks: BTreeMap::new(),
        }
    }

    /// All blocks of the group.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Arc<CatalogBlock>> {
        self.blocks.values().flatten()
    }

    /// The time range of the group's blocks.
    pub(crate) fn extent(&self) -> Extent {
        let extents = self.blocks().map(|block| Extent {
            min: block.meta.min_time,
            max: block.meta.max_time,
        });
        extents.fold(Extent::NONE, Extent::union)
    }
}

impl Extent {
    /// No time: the first lies after the last.
    pub(crate) const NONE: Self = Self {
        min: Timestamp::MAX,
        max: Timestamp::MIN,
    };

    /// All times within `bounds`.
    pub(crate) const fn all(bounds: TimeRange) -> Self {
        Self {
            min: bounds.min,
            max: bounds.max,
        }
    }

    /// The part within `bounds`.
    pub(crate) fn within(self, bounds: TimeRange) -> Self {
        Self {
            min: self.min.max(bounds.min),
            max: self.max.min(bounds.max),
        }
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Drawn;

    #[test]
    fn blocks_are_grouped_by_external_labels_and_resolution() {
        let snapshot = Drawn::snapshot(&[
            Drawn::raw('B', 20, 30).labels(&[("region", "us")]),
            Drawn::raw('A', 10, 20).labels(&[("region", "us")]),
            Drawn::raw('C', 10, 20)
                .labels(&[("region", "us")])
                .resolution(Resolution::OneHour),
            Drawn::raw('D', 0, 40).labels(&[("region", "eu")]),
        ]);
        let (catalog, states) = Catalog::new(&snapshot, &Rules::default(), Timestamp(0));
        let drawn: Vec<_> = catalog
            .groups
            .iter()
            .map(|group| {
                let names = group.blocks().map(|b| Drawn::letter(b.id));
                (group.labels.to_string(), names.collect::<String>())
            })
            .collect();
        assert_eq!(
            drawn,
            [
                (r#"{region="eu"}"#.to_owned(), "D".to_owned()),
                (r#"{region="us"}"#.to_owned(), "ABC".to_owned()),
            ]
        );
        assert_eq!(states.get(&State::Loaded), Some(&4));
        let extent = catalog.groups[1].extent();
        assert_eq!((extent.min, extent.max), (Timestamp(10), Timestamp(30)));
    }
}
