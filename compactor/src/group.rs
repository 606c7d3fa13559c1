//! Groups of blocks that may be merged with one another.

use std::fmt;

use model::{Labels, Resolution};
use serde::{Serialize, Serializer};

/// The group of a block: a hash of its external labels, without those of replicas, and its resolution.
///
/// Written as in Thanos, `<resolution in ms>@<XXH64 of the labels>`. It names folders, log lines and metrics; nothing
/// in the bucket depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// The resolution.
    pub resolution: Resolution,
    /// `labels.StableHash` of the external labels.
    pub hash: u64,
}

impl GroupKey {
    /// The group of blocks with these external labels.
    #[must_use]
    pub fn new(labels: &Labels, resolution: Resolution) -> Self {
        Self {
            resolution,
            hash: labels.stable_hash(),
        }
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.resolution.millis(), self.hash)
    }
}

impl Serialize for GroupKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_as_thanos_names_it() {
        let none = GroupKey::new(&Labels::default(), Resolution::Raw);
        // Thanos's own test of its default grouper has this value for no labels.
        assert_eq!(none.to_string(), "0@17241709254077376921");
        let some = Labels::from_pairs([("foo", "bar"), ("foo1", "bar2")]);
        assert_eq!(
            GroupKey::new(&some, Resolution::FiveMinutes).to_string(),
            "300000@2124638872457683483"
        );
    }
}
