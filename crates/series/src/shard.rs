//! A share of all series, by a hash of labels, as in `pkg/store/storepb/shard_info.go` of Thanos.

use std::{collections::BTreeSet, num::NonZeroU64};

use model::Labels;
use xxhash_rust::xxh64::Xxh64;

/// A share of all series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The index of the share, from 0.
    pub index: u64,
    /// The number of shares.
    pub total: NonZeroU64,
    /// The hashed labels.
    pub hashed: Hashed,
}

/// Which labels are hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hashed {
    /// Those of these names.
    Only(BTreeSet<Vec<u8>>),
    /// All but those of these names.
    Without(BTreeSet<Vec<u8>>),
}

impl Shard {
    /// Whether a series with these final labels belongs to the share.
    #[must_use]
    pub fn holds(&self, labels: &Labels) -> bool {
        self.hash(labels) % self.total == self.index
    }

    fn hash(&self, labels: &Labels) -> u64 {
        let mut hash = Xxh64::new(0);
        for (name, value) in labels.iter().filter(|(name, _)| self.hashed.takes(name)) {
            hash.update(name);
            hash.update(&[0xff]);
            hash.update(value);
            hash.update(&[0xff]);
        }
        hash.digest()
    }
}

impl Hashed {
    fn takes(&self, name: &[u8]) -> bool {
        match self {
            Self::Only(names) => names.contains(name),
            Self::Without(names) => !names.contains(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<Vec<u8>> {
        names.iter().map(|&n| n.into()).collect()
    }

    fn shard(hashed: Hashed) -> Shard {
        Shard {
            index: 0,
            total: NonZeroU64::new(3).unwrap(),
            hashed,
        }
    }

    fn labels() -> Labels {
        Labels::from_pairs([
            ("__name__", "metric_000"),
            ("idx", "00000"),
            ("job", "j"),
            ("only3", "v0"),
        ])
    }

    /// The hash of all labels is Prometheus's stable hash of them, of which a value is known; that of none
    /// is XXH64's own of no bytes.
    #[test]
    fn the_hash_is_that_of_thanos() {
        let all = shard(Hashed::Without(names(&[])));
        assert_eq!(all.hash(&labels()), 0x5cce_b0af_32cb_1c0a);
        let none = shard(Hashed::Only(names(&["nope"])));
        assert_eq!(none.hash(&labels()), 0xef46_db37_51d8_e999);
    }

    #[test]
    fn by_and_without_hash_the_same_where_they_name_the_same_labels() {
        let by = shard(Hashed::Only(names(&["job", "idx"])));
        let without = shard(Hashed::Without(names(&["__name__", "only3"])));
        assert_eq!(by.hash(&labels()), without.hash(&labels()));
        assert_ne!(
            by.hash(&labels()),
            shard(Hashed::Only(names(&["job"]))).hash(&labels())
        );
    }

    #[test]
    fn each_series_belongs_to_one_share() {
        for i in 0..100 {
            let labels = Labels::from_pairs([("__name__", "up".to_owned()), ("i", i.to_string())]);
            let shares = (0..3).filter(|index| {
                let shard = Shard {
                    index: *index,
                    ..shard(Hashed::Without(names(&["x"])))
                };
                shard.holds(&labels)
            });
            assert_eq!(shares.count(), 1);
        }
    }
}
