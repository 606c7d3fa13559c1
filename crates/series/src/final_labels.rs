//! The final labels of series: external labels win, replica labels are removed.

use std::collections::BTreeSet;

use model::Labels;

/// The change to the labels of every series of one source: a block, or a Prometheus.
#[derive(Clone, Debug, Default)]
pub struct FinalLabels {
    /// The external labels that are added, without the removed ones.
    added: Labels,
    /// The names of removed labels.
    removed: BTreeSet<Vec<u8>>,
}

impl FinalLabels {
    /// Adds the labels `external`, which replace own labels of the same names, then removes the labels named in
    /// `without`.
    #[must_use]
    pub fn new(external: &Labels, without: &BTreeSet<Vec<u8>>) -> Self {
        let kept = external.iter().filter(|(name, _)| !without.contains(*name));
        Self {
            added: Labels::from_sorted(kept),
            removed: without.clone(),
        }
    }

    /// Whether a series' own label `name` is sent: neither removed nor replaced.
    #[must_use]
    pub fn keeps(&self, name: &[u8]) -> bool {
        !self.removed.contains(name) && self.added.get(name).is_none()
    }

    /// Whether the label `name` is removed.
    #[must_use]
    pub fn removes(&self, name: &[u8]) -> bool {
        self.removed.contains(name)
    }

    /// The names of removed labels, ascending.
    pub(crate) fn removed(&self) -> impl Iterator<Item = &[u8]> {
        self.removed.iter().map(Vec::as_slice)
    }

    /// The greatest name of the added labels.
    pub(crate) fn last_added(&self) -> Option<&[u8]> {
        self.added.iter().last().map(|(name, _)| name)
    }

    /// The index of the first own label that is not kept.
    pub(crate) fn first_changed(&self, own: &Labels) -> Option<usize> {
        own.iter().position(|(name, _)| !self.keeps(name))
    }

    /// The final labels of a series with the labels `own`.
    #[must_use]
    pub fn apply(&self, own: Labels) -> Labels {
        let is_shorter = own.iter().any(|(name, _)| self.removes(name));
        let own = match is_shorter {
            true => Labels::from_sorted(own.iter().filter(|(name, _)| !self.removes(name))),
            false => own,
        };
        match self.added.is_empty() {
            true => own,
            false => own.with_others(&self.added),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(external: &[(&str, &str)], without: &[&str]) -> FinalLabels {
        let external = Labels::from_pairs(external.iter().copied());
        FinalLabels::new(&external, &without.iter().map(|&n| n.into()).collect())
    }

    fn own() -> Labels {
        Labels::from_pairs([("__name__", "up"), ("job", "node"), ("replica", "x")])
    }

    #[test]
    fn external_labels_are_put_in_their_places_and_win() {
        let sent = labels(&[("a", "1"), ("replica", "r1"), ("z", "2")], &[]).apply(own());
        assert_eq!(
            sent.to_string(),
            r#"{__name__="up", a="1", job="node", replica="r1", z="2"}"#
        );
    }

    #[test]
    fn replica_labels_are_removed_whether_external_or_not() {
        let labels = labels(&[("cluster", "eu"), ("replica", "r1")], &["replica", "job"]);
        assert_eq!(
            labels.apply(own()).to_string(),
            r#"{__name__="up", cluster="eu"}"#
        );
        assert!(labels.keeps(b"__name__"));
        assert!(!labels.keeps(b"job") && !labels.keeps(b"cluster"));
    }

    #[test]
    fn without_labels_to_add_or_remove_nothing_is_done() {
        assert_eq!(labels(&[], &[]).apply(own()), own());
        assert_eq!(labels(&[], &["nope"]).apply(own()), own());
    }
}
