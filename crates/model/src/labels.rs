//! A series' labels: a set of name and value pairs in the order of their names.

use std::{cell::Cell, cmp::Ordering, collections::BTreeMap, fmt, ops::Range};

use xxhash_rust::xxh64::Xxh64;

use crate::quote::{Quoted, shown};

/// The name of the label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// The name of the label under which rules and matchers see a block's id.
pub const BLOCK_ID: &str = "__block_id";

/// The labels of one series, in byte order of their names, each name once.
///
/// Names and values are bytes: almost always UTF-8, but stored series may have others, which are kept. All are in one
/// run of bytes, with the ends of its parts, so a series takes two allocations, not two a label. A label with an empty
/// value means the same as none, and is never held.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels {
    bytes: Box<[u8]>,
    /// End of each name and of each value in `bytes`, in turn.
    ends: Box<[u32]>,
}

/// Collects labels in any order; [`LabelsBuilder::finish`] sorts them.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

thread_local! {
    /// Memory in which the next labels are put together, so that theirs is allocated once and in the right size.
    static PARTS: Cell<(Vec<u8>, Vec<u32>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// The most bytes that a thread keeps for that.
const KEPT_BYTES: usize = 16 << 10;

impl Labels {
    /// Labels from pairs in any order. An empty value removes; the last of equal names counts.
    pub fn from_pairs<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.finish()
    }

    /// Labels from pairs that are already in order of their names, without empty values.
    ///
    /// The caller guarantees the order; a reader of stored series checks it.
    pub fn from_sorted<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        // Taken, so that labels that are made while `pairs` gives them have others.
        let (mut bytes, mut ends) = PARTS.take();
        for (name, value) in pairs {
            push_pair((name.as_ref(), value.as_ref()), &mut bytes, &mut ends);
        }
        Self::from_parts(bytes, ends)
    }

    /// These labels and `others`, which replace those of the same names.
    #[must_use]
    pub fn with_others(&self, others: &Self) -> Self {
        let (mut bytes, mut ends) = PARTS.take();
        // Where the bytes and ends that were not copied yet begin.
        let (mut from, mut from_end) = (0, 0);
        let mut own = self.iter().peekable();
        for (name, value) in others.iter() {
            let (mut to, mut to_end) = (from, from_end);
            while let Some((own_name, own_value)) = own.next_if(|(own, _)| *own < name) {
                to += own_name.len() + own_value.len();
                to_end += 2;
            }
            self.copy_part(from..to, from_end..to_end, &mut bytes, &mut ends);
            if let Some((replaced, value)) = own.next_if(|(own, _)| *own == name) {
                to += replaced.len() + value.len();
                to_end += 2;
            }
            (from, from_end) = (to, to_end);
            push_pair((name, value), &mut bytes, &mut ends);
        }
        let rest = (from..self.bytes.len(), from_end..self.ends.len());
        self.copy_part(rest.0, rest.1, &mut bytes, &mut ends);
        Self::from_parts(bytes, ends)
    }

    /// Copies labels that follow one another.
    fn copy_part(
        &self,
        part: Range<usize>,
        of_ends: Range<usize>,
        bytes: &mut Vec<u8>,
        ends: &mut Vec<u32>,
    ) {
        // What ends before the part in these labels ends there in the others.
        let moved = end_of(bytes).wrapping_sub(u32::try_from(part.start).unwrap_or(u32::MAX));
        bytes.extend_from_slice(self.bytes.get(part).unwrap_or_default());
        let part = self.ends.get(of_ends).unwrap_or_default();
        ends.extend(part.iter().map(|end| end.wrapping_add(moved)));
    }

    /// Labels of these parts, whose memory the thread uses again.
    fn from_parts(mut bytes: Vec<u8>, mut ends: Vec<u32>) -> Self {
        let labels = Self {
            bytes: bytes.as_slice().into(),
            ends: ends.as_slice().into(),
        };
        if bytes.capacity() <= KEPT_BYTES {
            bytes.clear();
            ends.clear();
            PARTS.set((bytes, ends));
        }
        labels
    }

    /// The pairs in order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.chunks_exact(2).map(move |pair| {
            let [name_end, value_end] = *pair else {
                return Default::default();
            };
            let (name_end, value_end) = (name_end as usize, value_end as usize);
            let name = self.bytes.get(start..name_end).unwrap_or_default();
            let value = self.bytes.get(name_end..value_end).unwrap_or_default();
            start = value_end;
            (name, value)
        })
    }

    /// The value of `name`, if the series has it.
    #[must_use]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// External labels as texts. They come from JSON and so are UTF-8. In other labels, bytes that are not UTF-8 are
    /// escaped as by [`shown`].
    #[must_use]
    pub fn to_texts(&self) -> BTreeMap<String, String> {
        let text = |bytes| shown(bytes).into_owned();
        let pairs = self.iter().map(|(n, v)| (text(n), text(v)));
        pairs.collect()
    }

    /// The number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there are no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether both have `count` labels or more, and the first `count` of them are the same.
    #[must_use]
    pub fn share_first(&self, other: &Self, count: usize) -> bool {
        let ends = ..count.saturating_mul(2);
        match (self.ends.get(ends), other.ends.get(ends)) {
            (Some(ours), Some(theirs)) if ours == theirs => {
                let bytes = ..ours.last().map_or(0, |end| *end as usize);
                self.bytes.get(bytes) == other.bytes.get(bytes)
            }
            _ => false,
        }
    }

    /// Bytes held on the heap.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<u32>()
    }

    /// Prometheus's `labels.StableHash`: XXH64, seed 0, of `name 0xff value 0xff` for each label.
    #[must_use]
    pub fn stable_hash(&self) -> u64 {
        let mut hash = Xxh64::new(0);
        for (name, value) in self.iter() {
            hash.update(name);
            hash.update(&[0xff]);
            hash.update(value);
            hash.update(&[0xff]);
        }
        hash.digest()
    }
}

/// Prometheus's `labels.Compare`: pair by pair, name then value in byte order; a prefix sorts first.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        // Parts that end at the same places are compared as one.
        match self.ends == other.ends {
            true => self.bytes.cmp(&other.bytes),
            false => self.iter().cmp(other.iter()),
        }
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As in PromQL: `{a="1", b="2"}`; bytes that are no UTF-8 as `\xff`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(&shown(name))?;
            write!(f, "={}", Quoted(value))?;
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
    pub fn set(&mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let (name, value) = (name.into(), value.into());
        self.remove(&name);
        if !value.is_empty() {
            self.pairs.push((name, value));
        }
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        let name = name.as_ref();
        self.pairs.retain(|(n, _)| n != name);
    }

    /// The labels, sorted.
    #[must_use]
    pub fn finish(mut self) -> Labels {
        self.pairs.sort_unstable();
        Labels::from_sorted(self.pairs)
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

fn push_pair((name, value): (&[u8], &[u8]), bytes: &mut Vec<u8>, ends: &mut Vec<u32>) {
    bytes.extend_from_slice(name);
    ends.push(end_of(bytes));
    bytes.extend_from_slice(value);
    ends.push(end_of(bytes));
}

fn end_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn() -> impl Strategy<Value = BTreeMap<String, String>> {
        prop::collection::btree_map("[a-c]{1,2}", "[a-c]{1,2}", 0..5)
    }

    proptest! {
        #[test]
        fn labels_are_compared_pair_by_pair(a in drawn(), b in drawn()) {
            let pairs = a.iter().cmp(b.iter());
            prop_assert_eq!(Labels::from_pairs(&a).cmp(&Labels::from_pairs(&b)), pairs);
        }

        #[test]
        fn others_are_put_in_their_places_and_win(own in drawn(), others in drawn()) {
            let with = Labels::from_pairs(&own).with_others(&Labels::from_pairs(&others));
            prop_assert_eq!(with, Labels::from_pairs(own.iter().chain(&others)));
        }
    }

    #[test]
    fn pairs_come_out_in_name_order_without_empty_values() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", ""), ("b", "3")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="3"}"#);
        assert_eq!(labels.get("b"), Some(&b"3"[..]));
        assert_eq!(labels.get("c"), None);
        assert_eq!(labels.len(), 2);
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_kept_sorted_and_shown_as_escapes() {
        let labels = Labels::from_pairs([
            (&b"b"[..], &b"\xffA\xfe"[..]),
            (b"\x80", b"\xe2\x82"),
            ("é".as_bytes(), "ü\n".as_bytes()),
        ]);
        assert_eq!(labels.get("b"), Some(&b"\xffA\xfe"[..]));
        assert_eq!(
            labels.to_string(),
            r#"{b="\xffA\xfe", \x80="\xe2\x82", é="ü\n"}"#
        );
        // Byte order, in which 0x80 comes before every character that is not ASCII.
        let other = Labels::from_pairs([("b", "é")]);
        assert!(other < labels);
    }

    #[test]
    fn a_prefix_sorts_before_the_longer_set() {
        let short = Labels::from_pairs([("a", "1")]);
        let long = Labels::from_pairs([("a", "1"), ("b", "1")]);
        let other = Labels::from_pairs([("Z", "1"), ("a", "1")]);
        assert!(short < long && other < short);
    }

    #[test]
    fn the_first_labels_are_shared_if_names_and_values_are_the_same() {
        let ab = Labels::from_pairs([("a", "1"), ("b", "23")]);
        let abc = Labels::from_pairs([("a", "1"), ("b", "23"), ("c", "4")]);
        let other = Labels::from_pairs([("a", "1"), ("b2", "3")]);
        assert!(ab.share_first(&abc, 2) && abc.share_first(&ab, 0));
        assert!(!ab.share_first(&abc, 3));
        assert!(ab.share_first(&other, 1) && !ab.share_first(&other, 2));
        assert!(Labels::default().share_first(&ab, 0) && !Labels::default().share_first(&ab, 1));
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
