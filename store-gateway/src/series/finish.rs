//! The labels under which a block's series are sent: the external ones win, replica labels go.

use std::collections::BTreeSet;

use model::Labels;

/// What is done to the labels of every series of one block.
#[derive(Clone, Debug)]
pub(crate) struct Finish {
    /// The external labels that are added, without those to be removed.
    added: Labels,
    /// Names of labels to be removed.
    removed: BTreeSet<Vec<u8>>,
}

impl Finish {
    /// Adds the labels `external`, then removes those called as in `without`.
    pub(crate) fn new(external: &Labels, without: &BTreeSet<Vec<u8>>) -> Self {
        let kept = external.iter().filter(|(name, _)| !without.contains(*name));
        Self {
            added: Labels::from_sorted(kept),
            removed: without.clone(),
        }
    }

    /// Whether the block's own label called so is sent as the series has it.
    pub(crate) fn keeps(&self, name: &[u8]) -> bool {
        !self.removed.contains(name) && self.added.get(name).is_none()
    }

    /// Whether labels called so are removed.
    pub(crate) fn removes(&self, name: &[u8]) -> bool {
        self.removed.contains(name)
    }

    /// The final labels of a series whose own are `own`.
    pub(crate) fn apply(&self, own: Labels) -> Labels {
        if self.added.is_empty() && self.removed.is_empty() {
            return own;
        }
        let mut own = own.iter().filter(|(name, _)| self.keeps(name)).peekable();
        let mut added = self.added.iter().peekable();
        // Two lists in order become one; no name is in both.
        Labels::from_sorted(std::iter::from_fn(|| match (own.peek(), added.peek()) {
            (Some(one), Some(other)) if one.0 < other.0 => own.next(),
            (_, Some(_)) => added.next(),
            (_, None) => own.next(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(external: &[(&str, &str)], without: &[&str]) -> Finish {
        let external = Labels::from_pairs(external.iter().copied());
        Finish::new(&external, &without.iter().map(|&n| n.into()).collect())
    }

    fn own() -> Labels {
        Labels::from_pairs([("__name__", "up"), ("job", "node"), ("replica", "x")])
    }

    #[test]
    fn external_labels_are_put_in_their_places_and_win() {
        let labels = finish(&[("a", "1"), ("replica", "r1"), ("z", "2")], &[]).apply(own());
        assert_eq!(
            labels.to_string(),
            r#"{__name__="up", a="1", job="node", replica="r1", z="2"}"#
        );
    }

    #[test]
    fn replica_labels_are_removed_whether_external_or_not() {
        let finish = finish(&[("cluster", "eu"), ("replica", "r1")], &["replica", "job"]);
        assert_eq!(
            finish.apply(own()).to_string(),
            r#"{__name__="up", cluster="eu"}"#
        );
        assert!(finish.keeps(b"__name__"));
        assert!(!finish.keeps(b"job") && !finish.keeps(b"cluster"));
    }

    #[test]
    fn without_labels_to_add_or_remove_nothing_is_done() {
        assert_eq!(finish(&[], &[]).apply(own()), own());
        assert_eq!(finish(&[], &["nope"]).apply(own()), own());
    }
}
