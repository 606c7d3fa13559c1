//! Selects the blocks to serve, in the order of Thanos's filters: by time, by labels, by age, by deletion mark, and one of
//! those that hold the same samples.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bucket::{BlockFilter, BlockView};
use model::{
    BlockId, BlockMeta, Coverable, Labels, Resolution, Sources, ThanosMeta, TimeBound, TimeRange,
    Timestamp, covered_by,
};

use super::block::Format;
use crate::config::Config;

/// The settings that decide whether a block is served.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rules {
    pub(crate) min_time: TimeBound,
    pub(crate) max_time: TimeBound,
    pub(crate) blocks: BlockFilter,
    pub(crate) consistency_delay: Duration,
    pub(crate) ignore_deletion_marks_delay: Duration,
}

/// The state of a block, as `thanos_blocks_meta_synced` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum State {
    /// It is served.
    Loaded,
    /// It lies outside of the served times.
    TimeExcluded,
    /// Its labels or its id do not belong to this gateway.
    LabelExcluded,
    /// It was uploaded less than the consistency delay ago.
    TooFresh,
    /// It was marked for deletion longer ago than the delay allows.
    MarkedForDeletion,
    /// Another block holds its samples.
    Duplicate,
}

impl State {
    pub(crate) const ALL: [Self; 6] = [
        Self::Loaded,
        Self::TimeExcluded,
        Self::LabelExcluded,
        Self::TooFresh,
        Self::MarkedForDeletion,
        Self::Duplicate,
    ];

    /// The value of the metric's label.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::TimeExcluded => "time-excluded",
            Self::LabelExcluded => "label-excluded",
            Self::TooFresh => "too-fresh",
            Self::MarkedForDeletion => "marked-for-deletion",
            Self::Duplicate => "duplicate",
        }
    }
}

impl Rules {
    /// The rules of now, by which one synchronization selects all blocks.
    pub(crate) fn frozen(&self) -> Self {
        Self {
            blocks: self.blocks.frozen(),
            ..self.clone()
        }
    }

    /// The served times.
    pub(crate) const fn bounds(&self, now: Timestamp) -> TimeRange {
        TimeRange {
            min: self.min_time.resolve(now),
            max: self.max_time.resolve(now),
        }
    }

    /// The times that are served now or later.
    const fn bounds_now_or_later(&self, now: Timestamp) -> TimeRange {
        TimeRange {
            min: self.min_time.resolve(now),
            max: match self.max_time {
                TimeBound::At(max) => max,
                TimeBound::FromNow(_) => Timestamp::MAX,
            },
        }
    }
}

impl From<&Config> for Rules {
    fn from(config: &Config) -> Self {
        Self {
            min_time: config.min_time,
            max_time: config.max_time,
            blocks: config.blocks.clone(),
            consistency_delay: config.consistency_delay,
            ignore_deletion_marks_delay: config.ignore_deletion_marks_delay,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::from(&Config::default())
    }
}

/// The blocks to serve now, or later when a relative bound reaches them, and the number of blocks in each state.
pub(super) fn filter<'a>(
    blocks: &'a [BlockView],
    rules: &Rules,
    now: Timestamp,
) -> (Vec<&'a BlockView>, BTreeMap<State, usize>) {
    let mut states: BTreeMap<State, usize> = State::ALL.map(|state| (state, 0)).into();
    let mut count = |state| *states.entry(state).or_default() += 1;
    let mut alive = Vec::new();
    for block in blocks {
        match excluded(block, rules, now) {
            Some(state) => count(state),
            None => alive.push(block),
        }
    }
    let bounds = rules.bounds(now);
    let covered = covered(&alive);
    alive.retain(|block| {
        let kept = !covered.contains(&(block.objects.id, Format::of(&block.meta)));
        count(match kept {
            true if lies_outside(&block.meta, bounds) => State::TimeExcluded,
            true => State::Loaded,
            false => State::Duplicate,
        });
        kept
    });
    (alive, states)
}

/// Why a block is not served, whatever other blocks there are.
fn excluded(block: &BlockView, rules: &Rules, now: Timestamp) -> Option<State> {
    if lies_outside(&block.meta, rules.bounds_now_or_later(now)) {
        return Some(State::TimeExcluded);
    }
    let labels = || block.meta.external_labels();
    if !rules.blocks.selects(block.objects.id, labels) {
        return Some(State::LabelExcluded);
    }
    let age = now.0.saturating_sub(block.objects.id.time().0);
    let rewritten = block
        .meta
        .thanos
        .as_ref()
        .is_some_and(ThanosMeta::is_rewritten);
    if age < millis(rules.consistency_delay) && !rewritten {
        return Some(State::TooFresh);
    }
    let mark = block.deletion_mark.as_ref()?;
    let marked_for = now.0.saturating_sub(mark.marked_at().0);
    (marked_for > millis(rules.ignore_deletion_marks_delay)).then_some(State::MarkedForDeletion)
}

/// Whether a block lies outside of `bounds` completely.
fn lies_outside(meta: &BlockMeta, bounds: TimeRange) -> bool {
    meta.max_time < bounds.min || meta.min_time > bounds.max
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The blocks whose sources another block of the same labels and resolution has.
fn covered(blocks: &[&BlockView]) -> BTreeSet<(BlockId, Format)> {
    let mut groups: BTreeMap<(Labels, Resolution), Vec<(&BlockView, Sources)>> = BTreeMap::new();
    for block in blocks {
        let key = (block.meta.external_labels(), block.meta.resolution());
        let sources = Sources::of(&block.meta);
        groups.entry(key).or_default().push((block, sources));
    }
    let mut covered = BTreeSet::new();
    for group in groups.values() {
        let coverable = group.iter();
        let coverable = coverable.map(|(block, sources)| Coverable::new(&block.meta, sources));
        let by = covered_by(&coverable.collect::<Vec<_>>());
        let hidden = group.iter().zip(by).filter(|(_, by)| by.is_some());
        covered.extend(hidden.map(|((block, _), _)| (block.objects.id, Format::of(&block.meta))));
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Drawn;

    /// The letters of the blocks that are served, Parquet blocks in lower case.
    fn served(blocks: &[Drawn], rules: &Rules, now: i64) -> String {
        let snapshot = Drawn::snapshot(blocks);
        let (kept, states) = filter(&snapshot.blocks, rules, Timestamp(now));
        assert_eq!(states.values().sum::<usize>(), blocks.len());
        let mut letters: Vec<char> = kept
            .iter()
            .map(|block| {
                let letter = Drawn::letter(block.objects.id);
                match Format::of(&block.meta) {
                    Format::Tsdb => letter,
                    Format::Parquet => letter.to_ascii_lowercase(),
                }
            })
            .collect();
        letters.sort_unstable();
        letters.into_iter().collect()
    }

    #[test]
    fn sources_are_hidden_by_the_block_that_holds_them() {
        let rules = Rules::default();
        let a = Drawn::raw('A', 0, 10);
        let b = Drawn::raw('B', 10, 20);
        let merged = Drawn::raw('M', 0, 20).sources("AB").parquet();
        assert_eq!(
            served(&[a.clone(), b.clone(), merged.clone()], &rules, 0),
            "m"
        );
        // C is not in it.
        let c = Drawn::raw('C', 20, 30);
        assert_eq!(served(&[a.clone(), c, merged.clone()], &rules, 0), "Cm");
        // Other labels, other samples.
        let other = b.labels(&[("replica", "2")]);
        assert_eq!(served(&[a.clone(), other, merged.clone()], &rules, 0), "Bm");
        // Another resolution does not hide.
        let coarse = merged.resolution(Resolution::FiveMinutes);
        assert_eq!(served(&[a, coarse], &rules, 0), "Am");
    }

    #[test]
    fn a_downsampled_block_is_hidden_by_a_parquet_block_of_its_resolution_only() {
        let rules = Rules::default();
        let five = |block: Drawn| block.resolution(Resolution::FiveMinutes);
        let a = five(Drawn::raw('A', 0, 10).sources("XY"));
        let merged = Drawn::raw('M', 0, 20).sources("XYZ").parquet();
        let finest = merged.clone();
        let coarsest = merged.clone().resolution(Resolution::OneHour);
        let merged = five(merged);
        assert_eq!(served(&[a.clone(), merged], &rules, 0), "m");
        assert_eq!(served(&[a.clone(), finest], &rules, 0), "Am");
        assert_eq!(served(&[a.clone(), coarsest], &rules, 0), "Am");
        // A later one of the same sources, in the bucket beside it.
        let same = five(Drawn::raw('B', 0, 10).sources("XY")).parquet();
        assert_eq!(served(&[a, same], &rules, 0), "b");
    }

    #[test]
    fn of_blocks_with_the_same_sources_the_parquet_block_is_served() {
        let tsdb = Drawn::raw('A', 0, 20).sources("XY");
        let parquet = Drawn::raw('B', 0, 20).sources("XY").parquet();
        let twin = Drawn::raw('C', 0, 20).sources("XY").parquet();
        let rules = Rules::default();
        assert_eq!(served(&[tsdb.clone(), twin, parquet], &rules, 0), "b");
        let copy = Drawn::raw('D', 0, 20).sources("XY");
        assert_eq!(served(&[copy, tsdb], &rules, 0), "A");
    }

    #[test]
    fn the_same_block_in_both_formats_is_served_once() {
        let rules = Rules::default();
        let tsdb = Drawn::raw('A', 0, 20);
        assert_eq!(served(&[tsdb.clone(), tsdb.parquet()], &rules, 0), "a");
    }

    #[test]
    fn blocks_of_unknown_sources_stand_for_themselves() {
        let (a, b) = (Drawn::raw('A', 0, 20), Drawn::raw('B', 0, 20));
        assert_eq!(served(&[a, b], &Rules::default(), 0), "AB");
    }

    #[test]
    fn a_marked_block_is_served_for_a_while() {
        let marked = Drawn::raw('A', 0, 20).marked_at(100);
        let rules = Rules {
            ignore_deletion_marks_delay: Duration::from_secs(50),
            ..Rules::default()
        };
        assert_eq!(served(std::slice::from_ref(&marked), &rules, 150_000), "A");
        assert_eq!(served(std::slice::from_ref(&marked), &rules, 150_001), "");
        // What it hid comes back, if it is still there.
        let merged = marked.sources("BC");
        let b = Drawn::raw('B', 0, 10);
        assert_eq!(served(&[merged.clone(), b.clone()], &rules, 0), "A");
        assert_eq!(served(&[merged, b], &rules, 200_000), "B");
    }

    #[test]
    fn blocks_outside_of_the_times_served_are_left_out() {
        let blocks = [
            Drawn::raw('A', 0, 10),
            Drawn::raw('B', 10, 20),
            Drawn::raw('C', 20, 30),
            Drawn::raw('D', 30, 40),
        ];
        let rules = Rules {
            min_time: TimeBound::At(Timestamp(11)),
            max_time: TimeBound::FromNow(-970),
            ..Rules::default()
        };
        // D is not served now; the bound moves towards it.
        assert_eq!(served(&blocks, &rules, 999), "BCD");
        let (_, states) = filter(&Drawn::snapshot(&blocks).blocks, &rules, Timestamp(999));
        assert_eq!(states[&State::Loaded], 2);
        assert_eq!(states[&State::TimeExcluded], 2);
        let fixed = Rules {
            max_time: TimeBound::At(Timestamp(29)),
            ..rules
        };
        assert_eq!(served(&blocks, &fixed, 999), "BC");
    }

    #[test]
    fn shards_serve_each_block_once_between_them() {
        let blocks: Vec<_> = ('A'..='P')
            .map(|letter| Drawn::raw(letter, 0, 10))
            .collect();
        let shard = |shard: u32| {
            let yaml = format!(
                "[{{action: hashmod, source_labels: [__block_id], target_label: shard, modulus: 3}}, \
                  {{action: keep, source_labels: [shard], regex: {shard}}}]"
            );
            let rules = Rules {
                blocks: BlockFilter::from_yaml(&yaml).unwrap(),
                ..Rules::default()
            };
            served(&blocks, &rules, 0)
        };
        let shards = [shard(0), shard(1), shard(2)];
        assert!(shards.iter().all(|letters| letters.len() > 1), "{shards:?}");
        let mut all: Vec<char> = shards.concat().chars().collect();
        all.sort_unstable();
        assert_eq!(all, ('A'..='P').collect::<Vec<_>>());
    }

    #[test]
    fn what_another_gateway_serves_hides_nothing_here() {
        let rules = Rules {
            blocks: BlockFilter::from_yaml(
                "[{action: drop, source_labels: [__block_id], regex: .*D}]",
            )
            .unwrap(),
            ..Rules::default()
        };
        let (source, merged) = (Drawn::raw('A', 0, 10), Drawn::raw('M', 0, 20).sources("A"));
        assert!(Drawn::id('M').to_string().ends_with('D'));
        assert_eq!(served(&[source.clone(), merged.clone()], &rules, 0), "A");
        let (_, states) = filter(
            &Drawn::snapshot(&[source, merged]).blocks,
            &rules,
            Timestamp(0),
        );
        assert_eq!(states[&State::LabelExcluded], 1);
    }

    #[test]
    fn a_fresh_block_waits_unless_a_compactor_made_it() {
        let rules = Rules {
            consistency_delay: Duration::from_secs(10),
            ..Rules::default()
        };
        let born = Drawn::raw('A', 0, 10);
        let now = Drawn::id('A').time().0;
        assert_eq!(served(std::slice::from_ref(&born), &rules, now + 9_999), "");
        assert_eq!(
            served(std::slice::from_ref(&born), &rules, now + 10_000),
            "A"
        );
        assert_eq!(served(&[born.source("compactor")], &rules, now), "A");
    }
}
