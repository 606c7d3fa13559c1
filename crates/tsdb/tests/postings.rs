//! What an index answers, against sets made by looking at every series; and merges of its lists
//! against the algebra of `BTreeSet`.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use model::{BlockMeta, Labels, MatchOp, Matcher};
use proptest::prelude::*;
use tsdb::{Block, BlockWriter, SeriesEntry, SeriesRef};

const NAMES: [&str; 5] = ["Z", "__name__", "a", "pod.name", "é"];

/// A condition on a value that this file decides by itself, and the pattern that states it.
#[derive(Clone, Debug)]
enum Condition {
    Is(String),
    OneOf(Vec<String>),
    /// Begins with the one, ends with the other, and has something between them where told.
    Between(String, Gap, String),
    Anything,
    Something,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Gap {
    Maybe,
    Some,
}

impl Condition {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Is(wanted) => value == wanted,
            Self::OneOf(wanted) => wanted.iter().any(|wanted| value == wanted),
            Self::Between(start, gap, end) => value
                .strip_prefix(start.as_str())
                .and_then(|rest| rest.strip_suffix(end.as_str()))
                .is_some_and(|between| *gap == Gap::Maybe || !between.is_empty()),
            Self::Anything => true,
            Self::Something => !value.is_empty(),
        }
    }

    /// The operator that states it, or its opposite, and the operator's operand.
    fn state(&self, holds: bool) -> (MatchOp, String) {
        let pattern = match self {
            Self::Is(value) => {
                let op = if holds {
                    MatchOp::Equal
                } else {
                    MatchOp::NotEqual
                };
                return (op, value.clone());
            }
            Self::OneOf(values) => values.join("|"),
            Self::Between(start, Gap::Maybe, end) => format!("{start}.*{end}"),
            Self::Between(start, Gap::Some, end) => format!("{start}.+{end}"),
            Self::Anything => ".*".to_owned(),
            Self::Something => ".+".to_owned(),
        };
        let op = if holds {
            MatchOp::Regex
        } else {
            MatchOp::NotRegex
        };
        (op, pattern)
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[a-c]{1,3}", 2 => "prefix é[ab]{1,2}", 1 => Just(String::new())]
}

fn condition() -> impl Strategy<Value = Condition> {
    let part = || prop_oneof!["[a-c]{0,2}", Just("prefix".to_owned())];
    let gap = prop_oneof![Just(Gap::Maybe), Just(Gap::Some)];
    prop_oneof![
        4 => text().prop_map(Condition::Is),
        3 => prop::collection::vec(text(), 2..6).prop_map(Condition::OneOf),
        3 => (part(), gap, part()).prop_map(|(start, gap, end)| Condition::Between(start, gap, end)),
        1 => Just(Condition::Anything),
        1 => Just(Condition::Something),
    ]
}

/// A name, a condition, and whether it has to hold or must not.
type Question = (&'static str, Condition, bool);

fn question() -> impl Strategy<Value = Question> {
    let name = prop_oneof![6 => prop::sample::select(&NAMES[..]), 1 => Just("missing")];
    (name, condition(), any::<bool>())
}

fn series() -> impl Strategy<Value = BTreeSet<Labels>> {
    let labels = prop::collection::vec((prop::sample::select(&NAMES[..]), text()), 0..5);
    let labels = labels
        .prop_map(Labels::from_pairs)
        .prop_filter("a series has labels", |labels| !labels.is_empty());
    prop::collection::btree_set(labels, 0..120)
}

fn write(dir: &std::path::Path, series: &BTreeSet<Labels>) -> Block {
    let symbols: BTreeSet<&[u8]> = series
        .iter()
        .flat_map(Labels::iter)
        .flat_map(|(name, value)| [name, value])
        .collect();
    let mut writer = BlockWriter::create(dir, symbols).unwrap();
    for labels in series {
        writer.add_series(labels, &[]).unwrap();
    }
    let meta = r#"{"ulid":"01HF8J5JG0RAVB4GMS32W7ZJ2B","minTime":0,"maxTime":1,"version":1}"#;
    writer
        .finish(BlockMeta::decode(meta.as_bytes()).unwrap())
        .unwrap();
    Block::open(dir).unwrap()
}

fn labels(block: &Block, series: &[SeriesRef]) -> Vec<Labels> {
    let (mut cursor, mut entry) = (block.series_cursor(), SeriesEntry::default());
    let mut read = |reference: &SeriesRef| {
        cursor.read(*reference, &mut entry).unwrap();
        let text = |symbol| block.symbols().get(symbol);
        Labels::from_sorted(entry.labels.iter().map(|(n, v)| (text(*n), text(*v))))
    };
    series.iter().map(&mut read).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_selection_equals_a_scan_of_all_series(
        series in series(),
        questions in prop::collection::vec(prop::collection::vec(question(), 0..5), 1..8),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let block = write(dir.path(), &series);
        for asked in questions {
            let matchers: Vec<Matcher> = asked.iter().map(|(name, condition, holds)| {
                let (op, operand) = condition.state(*holds);
                Matcher::new(op, *name, operand).unwrap()
            }).collect();
            let found = block.select(&matchers).unwrap();
            prop_assert!(found.is_sorted_by(|a, b| a < b));
            let expected: Vec<&Labels> = series.iter().filter(|labels| {
                asked.iter().all(|(name, condition, holds)| {
                    condition.holds(str::from_utf8(labels.get(name).unwrap_or_default()).unwrap()) == *holds
                })
            }).collect();
            let found = labels(&block, &found);
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{:?}", asked);
        }
    }

    #[test]
    fn names_and_values_are_those_of_all_series(series in series()) {
        let dir = tempfile::tempdir().unwrap();
        let block = write(dir.path(), &series);
        let mut expected: BTreeMap<&[u8], BTreeSet<&[u8]>> = BTreeMap::new();
        for (name, value) in series.iter().flat_map(Labels::iter) {
            expected.entry(name).or_default().insert(value);
        }
        prop_assert!(block.label_names().eq(expected.keys().copied()));
        for name in NAMES {
            let values = expected.remove(name.as_bytes()).unwrap_or_default();
            let header = block.header();
            prop_assert_eq!(header.label_value_count(name).unwrap(), values.len() as u64);
            prop_assert!(header.label_values(name).unwrap().iter().eq(values));
        }
    }

    // Lists long enough to be leapt through: two labels of few values each, on many series.
    #[test]
    fn intersection_union_and_difference_are_those_of_sets(
        members in prop::collection::vec((0..3_u8, prop_oneof![30 => Just(0_u8), 1 => 1..4_u8]), 1..1500),
    ) {
        let series: BTreeMap<Labels, (u8, u8)> = members.iter().enumerate().map(|(i, (a, b))| {
            let id = format!("{i:05}");
            let pairs = [("a", a.to_string()), ("b", b.to_string()), ("id", id)];
            (Labels::from_pairs(pairs), (*a, *b))
        }).collect();
        let dir = tempfile::tempdir().unwrap();
        let block = write(dir.path(), &series.keys().cloned().collect());
        let set = |op, name: &str, value: &str| -> BTreeSet<SeriesRef> {
            let matcher = Matcher::new(op, name, value).unwrap();
            block.select(&[matcher]).unwrap().into_iter().collect()
        };
        let (zero, rare) = (set(MatchOp::Equal, "a", "0"), set(MatchOp::Equal, "b", "2"));
        prop_assert_eq!(zero.len(), series.values().filter(|(a, _)| *a == 0).count());
        prop_assert_eq!(rare.len(), series.values().filter(|(_, b)| *b == 2).count());
        let both = |first: (MatchOp, &str), second: (MatchOp, &str)| {
            let matchers = [("a", first), ("b", second)]
                .map(|(name, (op, value))| Matcher::new(op, name, value).unwrap());
            block.select(&matchers).unwrap()
        };
        let and = both((MatchOp::Equal, "0"), (MatchOp::Equal, "2"));
        prop_assert!(and.iter().eq(zero.intersection(&rare)));
        let without = both((MatchOp::Equal, "0"), (MatchOp::NotEqual, "2"));
        prop_assert!(without.iter().eq(zero.difference(&rare)));
        let other = both((MatchOp::NotEqual, "0"), (MatchOp::Equal, "2"));
        prop_assert!(other.iter().eq(rare.difference(&zero)));
        let one = set(MatchOp::Equal, "a", "1");
        let either = set(MatchOp::Regex, "a", "0|1");
        prop_assert!(either.iter().eq(zero.union(&one)));
        let some = both((MatchOp::Regex, "0|1"), (MatchOp::Regex, "2|3"));
        let three = set(MatchOp::Equal, "b", "3");
        let expected: BTreeSet<_> = rare.union(&three).copied().collect();
        prop_assert!(some.iter().eq(either.intersection(&expected)));
    }
}
