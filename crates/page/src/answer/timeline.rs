//! All blocks of a bucket in columns, as the page draws them.

use std::collections::BTreeMap;

use model::{BlockId, Timestamp};
use serde::Serialize;

use crate::{Block, Broken, PlannedTask, board::State};

type Labels = BTreeMap<String, String>;

/// The columns; the blocks are sorted by `root`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Timeline<'a> {
    /// Tells this timeline from others.
    version: &'a str,
    /// The sets of external labels.
    groups: Vec<&'a Labels>,
    /// The words of `word`; the first is empty.
    words: Vec<&'a str>,
    root: Vec<&'a str>,
    /// First millisecond, included.
    min: Vec<i64>,
    /// End in milliseconds, excluded.
    max: Vec<i64>,
    level: Vec<u32>,
    /// Indexes of `groups`.
    group: Vec<usize>,
    /// In milliseconds; 0 is raw.
    resolution: Vec<i64>,
    bytes: Vec<u64>,
    /// Sums of the constants of [`flags`].
    flags: Vec<u8>,
    /// Indexes of `words`: what the plan says of the block.
    word: Vec<usize>,
    broken: &'a [Broken],
    #[serde(rename = "plannedAt")]
    planned_at: Option<Timestamp>,
    tasks: Vec<Task<'a>>,
}

/// A planned task.
#[derive(Debug, Serialize)]
struct Task<'a> {
    #[serde(flatten)]
    task: &'a PlannedTask,
    /// Indexes of blocks.
    blocks: Vec<usize>,
}

impl<'a> Timeline<'a> {
    pub(crate) fn new(state: &'a State, version: &'a str) -> Self {
        let no_labels: &'static Labels = const { &Labels::new() };
        let mut line = Self {
            version,
            words: vec![""],
            broken: &state.contents.broken,
            ..Self::default()
        };
        let (mut groups, mut words) = (BTreeMap::new(), BTreeMap::from([("", 0)]));
        let mut places: BTreeMap<BlockId, usize> = BTreeMap::new();
        for (at, block) in state.contents.blocks.iter().enumerate() {
            let meta = &block.meta;
            let labels = meta.thanos.as_ref().map_or(no_labels, |t| &t.labels);
            let note = state.plan.as_ref().and_then(|p| p.notes.get(&meta.ulid));
            line.root.push(&block.objects.root);
            line.min.push(meta.min_time.0);
            line.max.push(meta.max_time.0);
            line.level.push(meta.compaction.level);
            line.group
                .push(place(&mut groups, &mut line.groups, labels));
            line.resolution.push(meta.resolution().millis());
            line.bytes.push(block.objects.files.bytes());
            line.flags.push(flags(block));
            let word = note.map_or("", |note| note.word);
            line.word.push(place(&mut words, &mut line.words, word));
            places.insert(meta.ulid, at);
        }
        if let Some(plan) = &state.plan {
            line.planned_at = Some(plan.at);
            let task = |task: &'a PlannedTask| Task {
                task,
                blocks: task
                    .inputs
                    .iter()
                    .filter_map(|id| places.get(id).copied())
                    .collect(),
            };
            line.tasks = plan.tasks.iter().map(task).collect();
        }
        line
    }
}

/// The index of `value` in `all`, to which it is added if it is new.
fn place<T: Ord + Copy>(known: &mut BTreeMap<T, usize>, all: &mut Vec<T>, value: T) -> usize {
    *known.entry(value).or_insert_with(|| {
        all.push(value);
        all.len() - 1
    })
}

/// What is to be said of a block, as bits.
fn flags(block: &Block) -> u8 {
    [
        (block.meta.parquet.is_some(), 1),
        (block.loaded, 2),
        (block.deletion.is_some(), 4),
        (block.no_compact.is_some(), 8),
        (block.no_downsample.is_some(), 16),
        (!block.unusable_marks.is_empty(), 32),
        (block.unread.is_some(), 64),
    ]
    .into_iter()
    .filter_map(|(holds, bit)| holds.then_some(bit))
    .sum()
}
