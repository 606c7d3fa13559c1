//! What the info API advertises.

use model::{Labels, TimeRange};

use crate::catalog::{Catalog, Extent};

/// What the info API advertises at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advertised {
    /// The time range of all blocks.
    pub(crate) extent: Extent,
    /// Sets of external labels, sorted, each with the time range of its blocks. An empty set stands for any labels.
    pub(crate) sets: Vec<(Labels, Extent)>,
}

/// The same before it is clipped to the bounds; computed once a synchronization.
#[derive(Debug)]
pub(crate) struct Extents {
    sets: Vec<(Labels, Extent)>,
    /// Whether blocks of unknown times and labels may exist.
    unknown: bool,
}

impl Extents {
    pub(super) fn of(catalog: &Catalog) -> Self {
        let groups = catalog.groups.iter();
        Self {
            sets: groups
                .map(|group| (Labels::clone(&group.labels), group.extent()))
                .collect(),
            unknown: catalog.missing.iter().any(|block| block.earlier.is_none()),
        }
    }

    /// The part within `bounds`.
    pub(super) fn within(&self, bounds: TimeRange) -> Advertised {
        let any = self
            .unknown
            .then(|| (Labels::default(), Extent::all(bounds)));
        let known = self.sets.iter();
        let known = known.map(|(labels, extent)| (labels.clone(), extent.within(bounds)));
        let sets: Vec<_> = any
            .into_iter()
            .chain(known)
            .filter(|(_, extent)| extent.min <= extent.max)
            .collect();
        let extents = sets.iter().map(|(_, extent)| *extent);
        Advertised {
            extent: extents.fold(Extent::NONE, Extent::union),
            sets,
        }
    }
}

impl Advertised {
    /// What is advertised before the first synchronization: all times and labels. Then queriers ask, and get an error
    /// instead of an answer without these blocks.
    pub(crate) fn unknown(bounds: TimeRange) -> Self {
        let extents = Extents {
            sets: Vec::new(),
            unknown: true,
        };
        extents.within(bounds)
    }
}

#[cfg(test)]
mod tests {
    use bucket::{Snapshot, UnreadBlock};
    use model::{TimeBound, Timestamp};

    use super::*;
    use crate::{catalog::Rules, testing::Drawn};

    fn told(snapshot: &Snapshot, rules: &Rules, now: i64) -> Advertised {
        let (catalog, _) = Catalog::new(snapshot, rules, Timestamp(now));
        Extents::of(&catalog).within(catalog.bounds(Timestamp(now)))
    }

    #[test]
    fn the_times_told_stay_within_the_bounds() {
        let region = |letter, min, max, name| Drawn::raw(letter, min, max).labels(&[("r", name)]);
        let snapshot = Drawn::snapshot(&[region('A', 10, 30, "a"), region('B', 40, 50, "b")]);
        let rules = Rules {
            max_time: TimeBound::FromNow(-100),
            ..Rules::default()
        };
        let early = told(&snapshot, &rules, 125);
        assert_eq!((early.extent.min.0, early.extent.max.0), (10, 25));
        // What begins later is not told of yet.
        assert_eq!(early.sets.len(), 1);
        let late = told(&snapshot, &rules, 145);
        assert_eq!((late.extent.min.0, late.extent.max.0), (10, 45));
        assert_eq!(late.sets.len(), 2);
        let nothing = told(&Snapshot::default(), &rules, 0).extent;
        assert!(nothing.min > nothing.max);
    }

    #[test]
    fn a_block_of_which_nothing_is_known_may_be_of_any_time_and_labels() {
        let mut snapshot = Drawn::snapshot(&[
            Drawn::raw('A', 10, 30).labels(&[("r", "a")]),
            Drawn::raw('B', 10, 30),
        ]);
        let unread = snapshot.blocks.remove(1);
        snapshot.unread.push(UnreadBlock {
            key: unread.objects.key(model::BlockMeta::FILE),
            objects: unread.objects,
            reason: "refused".to_owned(),
            meta: None,
        });
        let found = told(&snapshot, &Rules::default(), 0);
        assert_eq!(found.extent, Extent::all(TimeRange::ALL));
        let labels: Vec<_> = found
            .sets
            .iter()
            .map(|(labels, _)| labels.to_string())
            .collect();
        assert_eq!(labels, ["{}", r#"{r="a"}"#]);
    }
}
