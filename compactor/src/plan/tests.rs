//! The planner, on drawings.
//!
//! A letter is two hours, a run of one letter is a block: capitals are TSDB, small letters Parquet. Lines are drawn one
//! above the other where blocks overlap. Blocks were uploaded long ago; marks are set by hand.

mod retention;

use std::collections::BTreeMap;

use model::{BlockStats, CompactionMeta, Downsample, NoCompactReason, ParquetMeta, ThanosMeta};

use super::*;

/// Long after every block that is drawn.
const NOW: Timestamp = Timestamp(1_000_000 * HOUR);
const LETTER: i64 = 2 * HOUR;

struct Drawing(BTreeMap<char, Candidate>);

fn id(letter: char) -> BlockId {
    BlockId::new(Timestamp(1000), u128::from(u32::from(letter)))
}

fn letter(id: BlockId) -> char {
    let names = ('A'..='Z').chain('a'..='z');
    names.into_iter().find(|l| self::id(*l) == id).unwrap()
}

fn block(name: char, start: i64, end: i64) -> Candidate {
    let labels = BTreeMap::from([("cluster".to_owned(), "eu-1".to_owned())]);
    let meta = BlockMeta {
        ulid: id(name),
        min_time: Timestamp(start),
        max_time: Timestamp(end),
        stats: BlockStats::default(),
        compaction: CompactionMeta {
            level: 1,
            sources: vec![id(name)],
            ..CompactionMeta::default()
        },
        version: 1,
        thanos: Some(ThanosMeta {
            labels,
            ..ThanosMeta::default()
        }),
        parquet: name.is_lowercase().then(ParquetMeta::default),
        extra: serde_json::Map::new(),
    };
    Candidate {
        meta: Arc::new(meta),
        bytes: 100,
        deletion_mark: None,
        no_compact_mark: None,
        no_downsample_mark: None,
        damage: None,
    }
}

impl Drawing {
    fn new(lines: &str) -> Self {
        let mut blocks = BTreeMap::new();
        let drawn = lines.lines().map(str::trim_end).filter(|l| !l.is_empty());
        for line in drawn {
            let letters: Vec<char> = line.trim_start_matches('|').chars().collect();
            for name in letters.iter().filter(|c| c.is_alphabetic()) {
                let first = letters.iter().position(|c| c == name).unwrap();
                let last = letters.iter().rposition(|c| c == name).unwrap();
                let at = |column: usize| i64::try_from(column).unwrap() * LETTER;
                blocks.insert(*name, block(*name, at(first), at(last + 1)));
            }
        }
        Self(blocks)
    }

    fn edit(mut self, name: char, edit: impl FnOnce(&mut BlockMeta)) -> Self {
        edit(Arc::make_mut(&mut self.0.get_mut(&name).unwrap().meta));
        self
    }

    fn sources(self, name: char, sources: &str) -> Self {
        self.edit(name, |m| {
            m.compaction.sources = sources.chars().map(id).collect();
        })
    }

    fn uploaded(self, name: char, at: Timestamp) -> Self {
        self.edit(name, |m| {
            m.thanos.as_mut().unwrap().upload_time = show::Moment(at).to_string();
        })
    }

    fn no_compact(mut self, name: char) -> Self {
        self.0.get_mut(&name).unwrap().no_compact_mark = Some(NoCompactMark {
            id: id(name),
            version: 1,
            details: String::new(),
            no_compact_time: 1,
            reason: NoCompactReason::Manual,
        });
        self
    }

    fn damaged(mut self, name: char) -> Self {
        self.0.get_mut(&name).unwrap().damage = Some("index: truncated".to_owned());
        self
    }

    fn deletion_marked(mut self, name: char) -> Self {
        self.0.get_mut(&name).unwrap().deletion_mark = Some(DeletionMark {
            id: id(name),
            version: 1,
            details: String::new(),
            deletion_time: 1,
        });
        self
    }

    fn plan(&self) -> Plan {
        let blocks: Vec<Candidate> = self.0.values().cloned().collect();
        plan(&blocks, &PlanOptions::new(NOW))
    }

    /// The plan in a line: `merge ABC; cover D by e; newest F`.
    fn outcome(&self) -> String {
        let plan = self.plan();
        let mut out: Vec<String> = Vec::new();
        for task in &plan.tasks {
            let inputs: String = task.input_ids().map(letter).collect();
            out.push(format!("merge {inputs}"));
        }
        for covered in &plan.covered {
            let by = letter(covered.by.id());
            out.push(format!("cover {} by {by}", letter(covered.block)));
        }
        let mut left: BTreeMap<&str, String> = BTreeMap::new();
        for l in &plan.left {
            left.entry(l.reason.word())
                .or_default()
                .push(letter(l.block));
        }
        out.extend(
            left.iter()
                .map(|(word, letters)| format!("{word} {letters}")),
        );
        let named = plan.tasks.iter().map(|t| t.inputs.len()).sum::<usize>();
        let named = named + plan.covered.len() + plan.expired.len() + plan.left.len();
        assert_eq!(named, self.0.len(), "each block is planned for once");
        out.join("; ")
    }
}

#[test]
fn plans_are_as_drawn() {
    let table = [
        ("nothing", "", ""),
        ("one block is the newest", "|A", "newest A"),
        (
            "a window that is not full is open",
            "|ABC",
            "newest C; window-open AB",
        ),
        (
            "a full window waits for the block after it",
            "|ABCD",
            "newest D; waits-for ABC",
        ),
        ("a full window", "|ABCDE", "merge ABCD; newest E"),
        (
            "a window with a gap is open until a block after it is not the newest",
            "|AB DE",
            "newest E; window-open ABD",
        ),
        (
            "a window with a gap",
            "|AB DEF",
            "merge ABD; newest F; window-open E",
        ),
        (
            "a lone block of a window that is past",
            "|A   EF",
            "merge A; newest F; window-open E",
        ),
        (
            "the largest complete window is taken in one step",
            "|ABCDEFGHIJKLMNOPQRSTUVWXY",
            "merge ABCDEFGHIJKLMNOPQRSTUVWX; newest Y",
        ),
        (
            "smaller windows where the larger is open",
            "|ABCDEFGHIJ",
            "merge ABCD; merge EFGH; newest J; window-open I",
        ),
        (
            "larger blocks that others made",
            "|AAAABBBBCD",
            "merge A; merge B; newest D; window-open C",
        ),
        (
            "a block of two days becomes Parquet on its own",
            "|AAAAAAAAAAAAAAAAAAAAAAAABC",
            "merge A; newest C; window-open B",
        ),
        (
            "Parquet stays",
            "|aaaaBBBC",
            "newest C; parquet a; waits-for B",
        ),
        (
            "Parquet parts a window",
            "|AbbCEF",
            "merge A; merge C; newest F; parquet b; window-open E",
        ),
        (
            "Parquet of part of two days, and the rest",
            "|aaaabbbbCDEFGHIJKLMNOPQRSTUVWX",
            "merge CDEFGHIJKLMNOPQR; merge STUV; newest X; parquet ab; window-open W",
        ),
        (
            "overlapping blocks",
            "|AABBCD\n|XXXX",
            "merge AXB; newest D; window-open C",
        ),
        (
            "overlap across a window's end waits for the window that holds both",
            "|ABCDEFGHIJ\n|   ZZ",
            "merge ABC; merge FGH; newest J; window-open DZEI",
        ),
        (
            "overlap with Parquet parts a window",
            "|ABCDEFGHIJKLMNOPQRSTUVWXY\n|   zz\n|   ZZ",
            "merge ABC; merge FGHIJKLMNOPQRSTUVWX; newest Y; overlaps-parquet DZE; parquet z",
        ),
        (
            "a late block beside Parquet",
            "|aaaaEF\n|  B",
            "newest F; overlaps-parquet B; parquet a; window-open E",
        ),
        (
            "the newest overlaps",
            "|ABCD\n|   E",
            "newest E; waits-for ABCD",
        ),
    ];
    for (name, drawing, outcome) in table {
        assert_eq!(Drawing::new(drawing).outcome(), outcome, "{name}");
    }
}

#[test]
fn marks_and_failures_part_a_window() {
    let drawing = "|ABCDEF";
    let outcome = Drawing::new(drawing).no_compact('B').outcome();
    assert_eq!(
        outcome,
        "merge A; merge CD; newest F; no-compact B; window-open E"
    );
    let failed = Drawing::new(drawing).edit('B', |m| m.compaction.failed = true);
    let expected = "merge A; merge CD; compaction-failed B; newest F; window-open E";
    assert_eq!(failed.outcome(), expected);
    let damaged = Drawing::new(drawing).damaged('B').outcome();
    assert_eq!(
        damaged,
        "merge A; merge CD; damaged B; newest F; window-open E"
    );
}

#[test]
fn a_block_that_is_deletion_marked_is_not_there() {
    let outcome = Drawing::new("|ABCDEF").deletion_marked('F').outcome();
    assert_eq!(outcome, "merge ABCD; marked-for-deletion F; newest E");
    let parquet = Drawing::new("|ABCDEF\n|aaaa").sources('a', "ABCD");
    let outcome = parquet.deletion_marked('a').outcome();
    assert_eq!(
        outcome,
        "merge ABCD; marked-for-deletion a; newest F; window-open E"
    );
}

#[test]
fn a_window_waits_for_a_block_that_is_too_fresh() {
    let lately = Timestamp(NOW.0 - HOUR / 2 + 1);
    let outcome = Drawing::new("|ABCDEF").uploaded('C', lately).outcome();
    assert_eq!(
        outcome,
        "newest F; too-fresh C; waits-for ABD; window-open E"
    );
    let long_ago = Timestamp(lately.0 - 1);
    let outcome = Drawing::new("|ABCDEF").uploaded('C', long_ago).outcome();
    assert_eq!(outcome, "merge ABCD; newest F; window-open E");
    // What is too fresh does not make the block before it old either.
    let outcome = Drawing::new("|ABCDE").uploaded('E', lately).outcome();
    assert_eq!(outcome, "newest D; too-fresh E; waits-for ABC");
    // A compactor has written it, and read it back.
    let compacted = Drawing::new("|ABCDEF").edit('C', |m| {
        m.thanos.as_mut().unwrap().source = "compactor".to_owned();
    });
    let outcome = compacted.uploaded('C', lately).outcome();
    assert_eq!(outcome, "merge ABCD; newest F; window-open E");
}

#[test]
fn without_an_upload_time_the_name_tells_the_age() {
    let blocks: Vec<Candidate> = Drawing::new("|ABCDEF").0.into_values().collect();
    let mut options = PlanOptions::new(Timestamp(1000 + HOUR / 2));
    assert_eq!(plan(&blocks, &options).tasks.len(), 1);
    options.now = Timestamp(options.now.0 - 1);
    let plan = plan(&blocks, &options);
    assert!(plan.tasks.is_empty());
    let until = Timestamp(1000 + HOUR / 2);
    let fresh = |l: &Left| l.reason == LeftReason::TooFresh { until };
    assert!(plan.left.iter().all(fresh), "{plan}");
}

#[test]
fn sources_of_a_parquet_block_are_marked_and_not_merged_again() {
    let drawing = Drawing::new("|ABCDEF\n|aaaa").sources('a', "ABCD");
    assert_eq!(
        drawing.outcome(),
        "cover A by a; cover B by a; cover C by a; cover D by a; newest F; parquet a; window-open E"
    );
    let mark = drawing.plan().covered[0].by.to_string();
    assert_eq!(
        mark,
        format!("source of compacted block parquet/{}", id('a'))
    );
}

#[test]
fn of_blocks_with_the_same_sources_one_stays() {
    let twice = Drawing::new("|ABCDEF\n| Z").sources('Z', "B");
    assert_eq!(
        twice.outcome(),
        "merge ABCD; cover Z by B; newest F; window-open E"
    );
    // Two compactors made the same block: the older stays.
    let parquet = Drawing::new("|aaaaEF\n|bbbb").sources('a', "ABCD");
    let parquet = parquet.sources('b', "ABCD");
    assert_eq!(
        parquet.outcome(),
        "cover b by a; newest F; parquet a; window-open E"
    );
    // A TSDB block of more sources replaces Parquet, so that nothing is held twice.
    let larger = Drawing::new("|AAAAAAAAEFGHIJ\n|bbbb").sources('A', "WXYZ");
    let larger = larger.sources('b', "WX");
    let expected = "merge EFGH; cover b by A; newest J; window-open AI";
    assert_eq!(larger.outcome(), expected);
}

#[test]
fn a_block_that_names_no_source_is_its_own() {
    let none = Drawing::new("|ABCDEF").sources('A', "").sources('B', "");
    assert_eq!(none.outcome(), "merge ABCD; newest F; window-open E");
}

#[test]
fn groups_are_merged_apart_and_aggregates_not_at_all() {
    let other = Drawing::new("|ABCDEF\n| XY").edit('X', |m| {
        let labels = &mut m.thanos.as_mut().unwrap().labels;
        labels.insert("cluster".to_owned(), "eu-2".to_owned());
    });
    let other = other.edit('Y', |m| {
        m.thanos.as_mut().unwrap().downsample = Downsample {
            resolution: Resolution::FiveMinutes,
        };
    });
    let expected = "merge ABCD; downsampled Y; newest FX; window-open E";
    assert_eq!(other.outcome(), expected);
}

#[test]
fn times_that_are_not_worked_on_are_not_there() {
    let blocks: Vec<Candidate> = Drawing::new("|ABCDEF").0.into_values().collect();
    let mut options = PlanOptions::new(NOW);
    options.times = TimeRange::new(i64::MIN, 2 * LETTER - 1);
    let plan = plan(&blocks, &options);
    assert!(plan.tasks.is_empty(), "{plan}");
    let outside = |l: &&Left| l.reason == LeftReason::OutsideTimes;
    assert_eq!(plan.left.iter().filter(outside).count(), 4);
}

#[test]
fn blocks_of_other_labels_and_other_shards_are_not_there() {
    let blocks: Vec<Candidate> = Drawing::new("|ABCDEF").0.into_values().collect();
    let words = |options: &PlanOptions| {
        let plan = plan(&blocks, options);
        let words = plan.left.iter().map(|l| l.reason.word());
        (plan.tasks.len(), words.collect::<Vec<_>>())
    };
    let mut options = PlanOptions::new(NOW);
    let drop = "[{action: drop, source_labels: [cluster], regex: eu-.*}]";
    options.filter = BlockFilter::from_yaml(drop).unwrap();
    assert_eq!(words(&options), (0, vec!["not-selected"; 6]));
    let in_shard = |index| {
        let mut options = PlanOptions::new(NOW);
        options.shard = Shard::new(index, 2).unwrap();
        words(&options)
    };
    let (with, without) = match in_shard(0).0 {
        1 => (in_shard(0), in_shard(1)),
        _ => (in_shard(1), in_shard(0)),
    };
    assert_eq!(with, (1, vec!["window-open", "newest"]));
    assert_eq!(without, (0, vec!["other-shard"; 6]));
}

#[test]
fn a_block_across_the_largest_window_is_merged_alone() {
    let days = 24 * HOUR;
    let blocks = [
        block('A', 13 * days, 15 * days),
        block('B', 15 * days, 15 * days + LETTER),
        block('C', 15 * days + LETTER, 15 * days + 2 * LETTER),
    ];
    let got = plan(&blocks, &PlanOptions::new(NOW));
    let inputs: Vec<_> = got.tasks.iter().flat_map(Task::input_ids).collect();
    assert_eq!(inputs, [id('A')]);
    assert_eq!(got.tasks[0].window, None);
    let not_yet = plan(&blocks[..2], &PlanOptions::new(NOW));
    assert!(not_yet.tasks.is_empty(), "{not_yet}");
}

#[test]
fn the_output_says_what_it_was_made_of() {
    let drawing = Drawing::new("|AABBEF").sources('A', "ZY").sources('B', "X");
    let task = &drawing.plan().tasks[0];
    assert_eq!(task.range(), TimeRange::new(0, 4 * LETTER - 1));
    assert_eq!(task.id, format!("{}-0-28800000-2", task.group));
    let meta = task.meta(Made {
        ulid: id('m'),
        resolution: Resolution::Raw,
        stats: BlockStats::default(),
        index_stats: model::IndexStats::default(),
        parquet: Some(ParquetMeta::default()),
        files: vec![],
        now: NOW,
    });
    assert_eq!(meta.compaction.level, 2);
    assert_eq!(meta.compaction.sources, ['X', 'Y', 'Z'].map(id));
    let parents: Vec<_> = meta.compaction.parents.iter().map(|p| p.ulid).collect();
    assert_eq!(parents, ['A', 'B'].map(id));
    assert_eq!((meta.min_time.0, meta.max_time.0), (0, 4 * LETTER));
    assert_eq!(meta.external_labels(), task.labels);
    assert_eq!(BlockMeta::decode(&meta.encode()).unwrap(), meta);
}

#[test]
fn a_plan_is_told_in_words_and_in_json() {
    let plan = Drawing::new("|AAAABC").plan();
    let text = plan.to_string();
    let merge = "merge 1 block of {cluster=\"eu-1\"} into one of 1970-01-01T00:00:00Z to 1970-01-01T08:00:00Z: 100 B to read, 200 B of disk, 256.0 MiB of memory";
    assert!(text.starts_with(merge), "{text}");
    assert!(text.contains("\n  window 1970-01-01T00:00:00Z to 1970-01-01T08:00:00Z\n"));
    let newest = format!("leave {}: the newest block of its group\n", id('C'));
    assert!(text.contains(&newest), "{text}");
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["tasks"][0]["inputs"][0]["ulid"], id('A').to_string());
    assert_eq!(json["tasks"][0]["labels"]["cluster"], "eu-1");
    assert_eq!(json["tasks"][0]["memory_bytes"], 256 << 20);
    assert_eq!(json["left"][0]["reason"], "window-open");
    assert_eq!(json["left"][0]["window"]["start"], 8 * HOUR);
}
