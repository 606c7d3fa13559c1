//! Replicas: Prometheus servers that scrape the same targets, told apart by an external label.

use model::Labels;

use crate::Dedup;

/// What becomes of the blocks of replicas. With a replica label they are of one group, without that label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    labels: Vec<String>,
    dedup: Dedup,
}

/// A way of deduplication that cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("penalty based deduplication needs at least one replica label specified")]
pub struct NoReplicaLabel;

impl Replicas {
    /// Replicas that these external labels tell apart, whose samples become one by `dedup`. Empty names are none.
    ///
    /// # Errors
    /// When replicas are to be followed one by one, and nothing tells them apart.
    pub fn new(
        labels: impl IntoIterator<Item = String>,
        dedup: Dedup,
    ) -> Result<Self, NoReplicaLabel> {
        let labels: Vec<String> = labels.into_iter().filter(|l| !l.is_empty()).collect();
        match dedup {
            Dedup::Penalty if labels.is_empty() => Err(NoReplicaLabel),
            _ => Ok(Self { labels, dedup }),
        }
    }

    /// What is made of samples that several blocks hold.
    #[must_use]
    pub const fn dedup(&self) -> Dedup {
        self.dedup
    }

    /// External labels as rules see them: without replica labels, even if none is left.
    pub(crate) fn strip(&self, external: &Labels) -> Labels {
        let kept = external.iter();
        let kept =
            kept.filter(|(name, _)| !self.labels.iter().any(|label| label.as_bytes() == *name));
        Labels::from_pairs(kept)
    }

    /// The external labels of a group and of its blocks from then on. Thanos's rule for blocks that would have none left.
    pub(crate) fn group(&self, external: &Labels) -> Labels {
        let left = self.strip(external);
        match self.labels.first() {
            Some(first) if left.is_empty() => Labels::from_pairs([(first.as_str(), "deduped")]),
            _ => left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(labels: &[&str]) -> Replicas {
        Replicas::new(labels.iter().map(|l| (*l).to_owned()), Dedup::Exact).unwrap()
    }

    #[test]
    fn replicas_are_of_one_group() {
        let two = replicas(&["replica", "rule_replica"]);
        let labels = Labels::from_pairs([("cluster", "a"), ("replica", "1")]);
        let cluster = Labels::from_pairs([("cluster", "a")]);
        assert_eq!(
            (two.strip(&labels), two.group(&labels)),
            (cluster.clone(), cluster)
        );
        assert_eq!(replicas(&[]).group(&labels), labels);
    }

    #[test]
    fn a_block_that_has_no_other_label_gets_thanos_s() {
        let labels = Labels::from_pairs([("b", "1")]);
        assert_eq!(replicas(&["a", "b"]).strip(&labels), Labels::default());
        let deduped = Labels::from_pairs([("a", "deduped")]);
        assert_eq!(replicas(&["a", "b"]).group(&labels), deduped);
        // Without replica labels nothing is added.
        assert_eq!(replicas(&[""]).group(&Labels::default()), Labels::default());
    }

    #[test]
    fn penalty_needs_a_label_that_tells_replicas_apart() {
        let none = Replicas::new([String::new()], Dedup::Penalty);
        assert_eq!(none, Err(NoReplicaLabel));
        let some = Replicas::new(["replica".to_owned()], Dedup::Penalty).unwrap();
        assert_eq!(some.dedup(), Dedup::Penalty);
    }
}
