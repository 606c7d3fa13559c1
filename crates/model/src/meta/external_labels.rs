//! The external labels in a `meta.json`.

use std::{
    collections::{BTreeMap, HashSet},
    ops::{Deref, DerefMut},
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The external labels of a block, as a map. Clones share it until one is changed: the blocks of one Prometheus have the
/// same, and a bucket has many blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalLabels(Arc<BTreeMap<String, String>>);

impl ExternalLabels {
    /// Takes the equal ones of `known`, or adds itself.
    pub fn share(&mut self, known: &mut HashSet<Self>) {
        match known.get(self) {
            Some(same) => self.clone_from(same),
            None => {
                known.insert(self.clone());
            }
        }
    }

    /// Whether there are clones of it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Deref for ExternalLabels {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for ExternalLabels {
    fn deref_mut(&mut self) -> &mut Self::Target {
        Arc::make_mut(&mut self.0)
    }
}

impl From<BTreeMap<String, String>> for ExternalLabels {
    fn from(labels: BTreeMap<String, String>) -> Self {
        Self(Arc::new(labels))
    }
}

impl FromIterator<(String, String)> for ExternalLabels {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(labels: I) -> Self {
        labels.into_iter().collect::<BTreeMap<_, _>>().into()
    }
}

impl Serialize for ExternalLabels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExternalLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_labels_are_shared_until_one_is_changed() {
        let of = |value: &str| {
            let labels = [("cluster".to_owned(), value.to_owned())];
            labels.into_iter().collect::<ExternalLabels>()
        };
        let mut known = HashSet::new();
        let mut all = [of("a"), of("b"), of("a")];
        all.iter_mut().for_each(|labels| labels.share(&mut known));
        let [first, other, same] = &mut all;
        assert!(Arc::ptr_eq(&first.0, &same.0) && *first != *other);
        same.insert("replica".to_owned(), "0".to_owned());
        assert_eq!((first.len(), same.len(), known.len()), (1, 2, 2));
        drop(all);
        known.retain(ExternalLabels::is_shared);
        assert_eq!(known.len(), 0);
    }
}
