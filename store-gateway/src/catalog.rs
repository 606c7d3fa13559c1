//! The blocks that are served: an immutable snapshot, made anew at each look at the bucket.

mod filter;

use std::{collections::BTreeMap, sync::Arc};

use bucket::{BlockView, Object, Snapshot};
use model::{BlockId, BlockMeta, Labels, Resolution, TimeRange, Timestamp};
use xxhash_rust::xxh64::xxh64;

pub(crate) use self::filter::{Rules, State};

/// The blocks that are served.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// Sorted by labels, none empty.
    pub(crate) groups: Vec<Group>,
    /// What requests are restricted to, whatever the blocks hold.
    pub(crate) bounds: TimeRange,
}

/// The blocks with the same external labels.
#[derive(Debug)]
pub(crate) struct Group {
    /// The external labels.
    pub(crate) labels: Labels,
    /// The blocks of each resolution, each list sorted by first time and name.
    pub(crate) blocks: BTreeMap<Resolution, Vec<Arc<CatalogBlock>>>,
}

/// A block that is served.
#[derive(Debug)]
pub(crate) struct CatalogBlock {
    pub(crate) id: BlockId,
    /// Where it lies in the bucket: `01H…` or `parquet/01H…`.
    pub(crate) root: String,
    pub(crate) meta: Arc<BlockMeta>,
    pub(crate) format: Format,
    /// The external labels.
    pub(crate) labels: Labels,
    /// Size in bytes of each file, by its path below `root`.
    pub(crate) files: BTreeMap<String, u64>,
    /// Changes with the index of a TSDB block, as far as a listing tells.
    pub(crate) index_stamp: u64,
}

/// How a block is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Format {
    /// As this project stores it; preferred where both hold the same.
    Parquet,
    /// As Prometheus stores it.
    Tsdb,
}

/// The times that a set of blocks covers, as the info API gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First millisecond.
    pub(crate) min: Timestamp,
    /// End of the last block, excluded.
    pub(crate) max: Timestamp,
}

impl Catalog {
    /// Chooses from what is in the bucket what to serve, and counts what became of each block.
    pub(crate) fn new(
        snapshot: &Snapshot,
        rules: &Rules,
        now: Timestamp,
    ) -> (Self, BTreeMap<State, usize>) {
        let (kept, states) = filter::filter(&snapshot.blocks, rules, now);
        let mut groups: BTreeMap<Labels, Group> = BTreeMap::new();
        for view in kept {
            let block = Arc::new(CatalogBlock::new(view));
            let group = groups
                .entry(block.labels.clone())
                .or_insert_with(|| Group::new(block.labels.clone()));
            let resolution = block.meta.resolution();
            group.blocks.entry(resolution).or_default().push(block);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        for blocks in groups.iter_mut().flat_map(|g| g.blocks.values_mut()) {
            blocks.sort_by_key(|block| (block.meta.min_time, block.id));
        }
        let bounds = rules.bounds(now);
        (Self { groups, bounds }, states)
    }

    /// All blocks.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Arc<CatalogBlock>> {
        self.groups.iter().flat_map(Group::blocks)
    }

    /// What all blocks cover, within the bounds. Nothing: the first time lies after the last.
    pub(crate) fn extent(&self) -> Extent {
        let all = self.groups.iter().map(Group::extent).reduce(Extent::union);
        let all = all.unwrap_or(Extent {
            min: Timestamp::MAX,
            max: Timestamp::MIN,
        });
        Extent {
            min: all.min.max(self.bounds.min),
            max: all.max.min(self.bounds.max),
        }
    }
}

impl Group {
    fn new(labels: Labels) -> Self {
        Self {
            labels,
            blocks: BTreeMap::new(),
        }
    }

    /// All blocks of the group.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Arc<CatalogBlock>> {
        self.blocks.values().flatten()
    }

    /// What the group's blocks cover.
    pub(crate) fn extent(&self) -> Extent {
        let extents = self.blocks().map(|block| Extent {
            min: block.meta.min_time,
            max: block.meta.max_time,
        });
        extents.reduce(Extent::union).unwrap_or(Extent {
            min: Timestamp::MAX,
            max: Timestamp::MIN,
        })
    }
}

impl CatalogBlock {
    pub(crate) fn new(view: &BlockView) -> Self {
        let files = view.objects.files.iter();
        Self {
            id: view.objects.id,
            root: view.objects.root.clone(),
            meta: Arc::clone(&view.meta),
            format: Format::of(&view.meta),
            labels: view.meta.external_labels(),
            files: files.map(|(name, o)| (name.clone(), o.size)).collect(),
            index_stamp: view.objects.files.get("index").map_or(0, stamp),
        }
    }

    /// The object's name in the bucket of a file of the block.
    pub(crate) fn key(&self, file: &str) -> String {
        format!("{}/{file}", self.root)
    }
}

impl Format {
    /// A block whose metadata list Parquet files is one.
    pub(crate) const fn of(meta: &BlockMeta) -> Self {
        match meta.parquet {
            Some(_) => Self::Parquet,
            None => Self::Tsdb,
        }
    }
}

impl Extent {
    fn union(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

/// Stands for this version of an object.
fn stamp(object: &Object) -> u64 {
    let etag = object.etag.as_deref().unwrap_or_default();
    xxh64(format!("{} {etag}", object.last_modified).as_bytes(), 0)
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

    #[test]
    fn the_extent_stays_within_the_bounds() {
        let snapshot = Drawn::snapshot(&[Drawn::raw('A', 10, 30)]);
        let rules = Rules {
            max_time: model::TimeBound::At(Timestamp(25)),
            ..Rules::default()
        };
        let (catalog, _) = Catalog::new(&snapshot, &rules, Timestamp(0));
        let extent = catalog.extent();
        assert_eq!((extent.min, extent.max), (Timestamp(10), Timestamp(25)));
        let (nothing, _) = Catalog::new(&Snapshot::default(), &Rules::default(), Timestamp(0));
        let nothing = nothing.extent();
        assert!(nothing.min > nothing.max);
    }
}
