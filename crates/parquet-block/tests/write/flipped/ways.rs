//! The ways in which a shard is read.

use std::sync::Arc;

use model::{AggregateSet, Labels, MatchOp, Matcher, TimeRange};
use parquet_block::{Error, LabelIds, LocalShard, Projection, RowRanges, Selection, SharedGroup};
use tsdb::Chunk;

/// A way to read a shard.
pub(super) type Way = Box<dyn Fn(&LocalShard) -> Result<Answer, Error> + Sync>;

/// What a reader is told.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Rows(Vec<(Labels, Vec<Chunk>)>),
    Labels(Vec<Labels>),
    Chunks(Vec<Vec<Chunk>>),
    Texts(Vec<Vec<u8>>),
    Selection(Selection),
    Pairs(Vec<Vec<(u32, u32)>>),
}

pub(super) fn matcher(op: MatchOp, name: &str, value: &str) -> Matcher {
    Matcher::new(op, name, value).unwrap()
}

fn questions() -> Vec<Vec<Matcher>> {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    vec![
        vec![matcher(Equal, "__name__", "metric_1")],
        vec![matcher(Regex, "__name__", "metric_[02]")],
        vec![matcher(Equal, "instance", "10.0.0.006:9090")],
        vec![matcher(Regex, "job", ".+")],
        vec![matcher(Equal, "job", "")],
        vec![matcher(NotEqual, "rare", "once")],
        vec![
            matcher(NotRegex, "instance", ".*3:9090"),
            matcher(Regex, "job", "a .*"),
        ],
    ]
}

/// All ways to read a shard, each told apart: an error of one says nothing of another.
pub(super) fn ways() -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    for matchers in questions() {
        ways.push(Box::new(move |local| {
            let found = local.answer(local.shard().search(&matchers))?;
            Ok(Answer::Selection(found))
        }));
    }
    for name in ["__name__", "instance", "job", "rare"] {
        ways.push(Box::new(move |local| {
            let all = local.shard().everything();
            let values = local.answer(local.shard().label_values_of(all, name))?;
            Ok(Answer::Texts(values))
        }));
    }
    ways.push(Box::new(|local| {
        let some = vec![(0, RowRanges::from(2..5)), (1, RowRanges::from(1..2))];
        let names = local.answer(local.shard().label_names_of(some.clone()))?;
        let values = local.answer(local.shard().label_values_of(some, "instance"))?;
        Ok(Answer::Texts([names, values].concat()))
    }));
    let some_labels = Projection::Only(vec![b"job".to_vec()]);
    for projection in [Projection::All, some_labels] {
        ways.push(Box::new(move |local| {
            let rows = |(group, rows)| local.shard().labels(group, rows, projection.clone());
            let groups = local.shard().everything().into_iter().map(rows);
            let labels = groups.map(|lookup| local.answer(lookup));
            let labels = labels.collect::<Result<Vec<_>, _>>()?;
            Ok(Answer::Labels(labels.concat()))
        }));
    }
    for range in [TimeRange::ALL, TimeRange::new(1200, 1300)] {
        ways.push(Box::new(move |local| {
            let shard = local.shard();
            let rows = |(group, rows)| shard.chunks(group, rows, range, AggregateSet::ALL);
            let groups = shard.everything().into_iter().map(rows);
            let chunks = groups.map(|lookup| local.answer(lookup));
            let chunks = chunks.collect::<Result<Vec<_>, _>>()?;
            Ok(Answer::Chunks(chunks.concat()))
        }));
    }
    ways.push(Box::new(|local| Ok(Answer::Rows(local.read_all()?))));
    ways.push(Box::new(merged));
    ways
}

/// What a merge reads: the labels by the ids of the dictionaries.
fn merged(local: &LocalShard) -> Result<Answer, Error> {
    let mut pairs = Vec::new();
    for group in 0..local.shard().row_groups() {
        let dictionaries = local.dictionaries(group)?;
        let ids = dictionaries.iter().enumerate().map(|(name, dictionary)| {
            // Any ids do, as long as the same values have the same.
            let values = dictionary.iter().map(|value| {
                let hash = value.iter().fold(7_u32, |hash, byte| {
                    hash.wrapping_mul(31).wrapping_add((*byte).into())
                });
                hash.min(u32::MAX - 1)
            });
            LabelIds {
                name: u32::try_from(name).unwrap(),
                values: values.collect(),
            }
        });
        let ids: Vec<LabelIds> = ids.collect();
        let rows = local.shard().rows(group);
        let shared = Arc::new(SharedGroup::new(rows as usize, 1 << 20));
        let mut reader = local.read_rows(group, 0..rows, &ids, shared);
        for row in 0..rows {
            pairs.push(reader.labels(row)?.to_vec());
            reader.chunks(row)?.for_each(drop);
        }
    }
    Ok(Answer::Pairs(pairs))
}
