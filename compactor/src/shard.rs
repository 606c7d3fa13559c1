//! Compactors that share a bucket, each with its own groups.

use std::fmt;

use model::Labels;

/// One of several compactors: the groups of a bucket are hashed over them. Displayed as `<index>/<count>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Less than `count`.
    index: u32,
    count: u32,
}

/// A shard that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {index}/{count}: expected a count above 0 and an index below it")]
pub struct ShardError {
    /// The index that was asked for.
    pub index: u32,
    /// The count.
    pub count: u32,
}

impl Shard {
    /// The only compactor.
    pub const ALL: Self = Self { index: 0, count: 1 };

    /// The compactor `index`, from 0 on, of `count`.
    ///
    /// # Errors
    /// When there is none of that index.
    pub const fn new(index: u32, count: u32) -> Result<Self, ShardError> {
        if index < count {
            Ok(Self { index, count })
        } else {
            Err(ShardError { index, count })
        }
    }

    /// Whether a group of these labels is its own. Those of all resolutions go together, and those of all replicas.
    pub(crate) fn has(self, group: &Labels) -> bool {
        group.stable_hash() % u64::from(self.count.max(1)) == u64::from(self.index)
    }

    /// Whether it does what is to be done once for the whole bucket.
    pub(crate) const fn is_first(self) -> bool {
        self.index == 0
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_is_one_shard_s_and_each_shard_has_some() {
        let shards: Vec<Shard> = (0..4).map(|index| Shard::new(index, 4).unwrap()).collect();
        let mut counts = [0; 4];
        for group in 0..400 {
            let labels = Labels::from_pairs([("cluster", format!("c{group}").as_str())]);
            assert!(Shard::ALL.has(&labels));
            let by: Vec<usize> = (0..4).filter(|n| shards[*n].has(&labels)).collect();
            assert_eq!(by.len(), 1, "{labels}: {by:?}");
            counts[by[0]] += 1;
        }
        assert!(counts.iter().all(|count| *count > 60), "{counts:?}");
    }

    #[test]
    fn there_is_no_shard_past_the_last() {
        assert_eq!(Shard::new(3, 4).unwrap().to_string(), "3/4");
        for (index, count) in [(4, 4), (0, 0)] {
            assert_eq!(Shard::new(index, count), Err(ShardError { index, count }));
        }
    }
}
