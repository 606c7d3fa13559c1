//! A series' labels: a set of name and value pairs in the order of their names.

use std::{cmp::Ordering, fmt};

use xxhash_rust::xxh64::Xxh64;

/// The name of the label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// The labels of one series, in byte order of their names, each name once.
///
/// Kept as one text and the ends of its parts, so a series costs two allocations, not two a label.
/// A label with an empty value means the same as none, and is never held.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels {
    text: Box<str>,
    /// End of each name and of each value in `text`, in turn.
    ends: Box<[u32]>,
}

/// Collects labels in any order; [`LabelsBuilder::finish`] sorts them.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl Labels {
    /// Labels from pairs in any order. An empty value removes; the last of equal names counts.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name, value);
        }
        builder.finish()
    }

    /// Labels from pairs that are in order of their names already, without empty values.
    ///
    /// The caller vouches for the order; a reader of stored series checks it as it reads.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::with_capacity(192);
        let mut ends = Vec::with_capacity(24);
        for (name, value) in pairs {
            text.push_str(name);
            ends.push(end_of(&text));
            text.push_str(value);
            ends.push(end_of(&text));
        }
        Self {
            text: text.into_boxed_str(),
            ends: ends.into_boxed_slice(),
        }
    }

    /// The pairs in order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.chunks_exact(2).map(move |pair| {
            let [name_end, value_end] = *pair else {
                return ("", "");
            };
            let (name_end, value_end) = (name_end as usize, value_end as usize);
            let name = self.text.get(start..name_end).unwrap_or_default();
            let value = self.text.get(name_end..value_end).unwrap_or_default();
            start = value_end;
            (name, value)
        })
    }

    /// The value of `name`, if the series has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there are no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes held on the heap.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<u32>()
    }

    /// Prometheus's `labels.StableHash`: XXH64, seed 0, of `name 0xff value 0xff` for each label.
    #[must_use]
    pub fn stable_hash(&self) -> u64 {
        let mut hash = Xxh64::new(0);
        for (name, value) in self.iter() {
            hash.update(name.as_bytes());
            hash.update(&[0xff]);
            hash.update(value.as_bytes());
            hash.update(&[0xff]);
        }
        hash.digest()
    }
}

/// Prometheus's `labels.Compare`: pair by pair, name then value in byte order; a prefix sorts first.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As in PromQL: `{a="1", b="2"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl LabelsBuilder {
    /// Sets `name`; an empty `value` removes it.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        self.remove(&name);
        if !value.is_empty() {
            self.pairs.push((name, value));
        }
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) {
        self.pairs.retain(|(n, _)| n != name);
    }

    /// The labels, sorted.
    #[must_use]
    pub fn finish(mut self) -> Labels {
        self.pairs.sort_unstable();
        Labels::from_sorted(self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }
}

impl From<&Labels> for LabelsBuilder {
    fn from(labels: &Labels) -> Self {
        Self {
            pairs: labels
                .iter()
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .collect(),
        }
    }
}

fn end_of(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_out_in_name_order_without_empty_values() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", ""), ("b", "3")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="3"}"#);
        assert_eq!(labels.get("b"), Some("3"));
        assert_eq!(labels.get("c"), None);
        assert_eq!(labels.len(), 2);
    }

    #[test]
    fn a_prefix_sorts_before_the_longer_set() {
        let short = Labels::from_pairs([("a", "1")]);
        let long = Labels::from_pairs([("a", "1"), ("b", "1")]);
        let other = Labels::from_pairs([("Z", "1"), ("a", "1")]);
        assert!(short < long && other < short);
    }

    #[test]
    fn the_stable_hash_is_prometheus_own() {
        let labels = Labels::from_pairs([
            ("__name__", "metric_000"),
            ("idx", "00000"),
            ("job", "j"),
            ("only3", "v0"),
        ]);
        assert_eq!(labels.stable_hash(), 0x5cce_b0af_32cb_1c0a);
    }
}
