//! The planner, on drawings.
//!
//! A letter is two hours, a run of one letter is a block: capitals are TSDB, small letters Parquet. Lines are drawn one
//! above the other where blocks overlap; `5|` begins a line of blocks of 5 m, `1|` one of 1 h. Blocks were uploaded
//! long ago and hold samples; marks are set by hand.

mod aggregates;
mod downsampling;
mod duplicates;
mod marks;
mod merges;
mod properties;
mod replicas;
mod retention;
mod served;
mod told;

use std::collections::BTreeMap;

use model::{
    BlockStats, CompactionMeta, Downsample, Extra, NoCompactReason, ParquetMeta, Resolution,
    Rfc3339, Sources, ThanosMeta,
};

use super::{todo::MadeUp, *};

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
        stats: BlockStats {
            num_samples: 1,
            ..BlockStats::default()
        },
        compaction: CompactionMeta {
            level: 1,
            sources: vec![id(name)],
            ..CompactionMeta::default()
        },
        version: 1,
        thanos: Some(ThanosMeta {
            labels: labels.into(),
            ..ThanosMeta::default()
        }),
        parquet: name.is_lowercase().then(ParquetMeta::default),
        extra: Extra::default(),
    };
    Candidate {
        meta: Arc::new(meta),
        bytes: 100,
        deletion_mark: None,
        no_compact_mark: None,
        no_downsample_mark: None,
        served_since: None,
        unusable_marks: Vec::new(),
        damage: None,
        unread: None,
    }
}

impl Drawing {
    fn new(lines: &str) -> Self {
        Self::scaled(lines, LETTER)
    }

    /// A letter is a day.
    fn days(lines: &str) -> Self {
        Self::scaled(lines, 24 * HOUR)
    }

    fn scaled(lines: &str, letter: i64) -> Self {
        let mut blocks = BTreeMap::new();
        let drawn = lines.lines().map(str::trim).filter(|l| !l.is_empty());
        for line in drawn {
            let (resolution, line) = line.split_once('|').unwrap();
            let resolution = match resolution {
                "5" => Resolution::FiveMinutes,
                "1" => Resolution::OneHour,
                _ => Resolution::Raw,
            };
            let letters: Vec<char> = line.chars().collect();
            for name in letters.iter().filter(|c| c.is_alphabetic()) {
                let first = letters.iter().position(|c| c == name).unwrap();
                let last = letters.iter().rposition(|c| c == name).unwrap();
                let at = |column: usize| i64::try_from(column).unwrap() * letter;
                let mut block = block(*name, at(first), at(last + 1));
                let meta = Arc::make_mut(&mut block.meta);
                meta.thanos.as_mut().unwrap().downsample = Downsample { resolution };
                blocks.insert(*name, block);
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

    fn label(self, names: &str, label: &str, value: &str) -> Self {
        names.chars().fold(self, |drawing, name| {
            drawing.edit(name, |m| {
                let labels = &mut m.thanos.as_mut().unwrap().labels;
                labels.insert(label.to_owned(), value.to_owned());
            })
        })
    }

    fn uploaded(self, name: char, at: Timestamp) -> Self {
        self.edit(name, |m| {
            m.thanos.as_mut().unwrap().upload_time = Rfc3339(at).to_string();
        })
    }

    fn no_compact(self, name: char) -> Self {
        self.no_compact_for(name, NoCompactReason::Manual)
    }

    fn no_compact_for(mut self, name: char, reason: NoCompactReason) -> Self {
        self.0.get_mut(&name).unwrap().no_compact_mark = Some(NoCompactMark {
            id: id(name),
            version: 1,
            details: String::new(),
            no_compact_time: 1,
            reason,
        });
        self
    }

    fn no_downsample(mut self, name: char) -> Self {
        self.0.get_mut(&name).unwrap().no_downsample_mark = Some(NoDownsampleMark {
            id: id(name),
            version: 1,
            details: String::new(),
            no_downsample_time: 1,
            reason: "manual".to_owned(),
        });
        self
    }

    fn unusable(mut self, name: char, file: &'static str) -> Self {
        let reason = format!("{file}: ?");
        let marks = &mut self.0.get_mut(&name).unwrap().unusable_marks;
        marks.push(UnusableMark { file, reason });
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

    fn blocks(&self) -> Vec<Candidate> {
        self.0.values().cloned().collect()
    }

    fn plan(&self) -> Plan {
        plan(&self.blocks(), &PlanOptions::new(NOW))
    }

    /// The plan in a line, as [`outcome`] tells it.
    fn outcome(&self) -> String {
        self.outcome_of(&PlanOptions::new(NOW))
    }

    fn outcome_of(&self, options: &PlanOptions) -> String {
        let plan = plan(&self.blocks(), options);
        let named = plan.tasks.iter().map(|t| t.inputs.len()).sum::<usize>();
        let named = named + plan.covered.len() + plan.expired.len() + plan.skipped.len();
        assert_eq!(named, self.0.len(), "each block is planned for once");
        outcome(&plan)
    }
}

/// A plan in a line: `merge ABC; merge DE to raw+5m; downsample F to 5m; cover G by h; expired I; newest J`.
fn outcome(plan: &Plan) -> String {
    let mut out: Vec<String> = Vec::new();
    for task in &plan.tasks {
        let inputs: String = task.input_ids().map(letter).collect();
        let outputs = task.outputs.iter().map(|o| o.name());
        let outputs: Vec<&str> = outputs.collect();
        out.push(match (task.merges(), task.outputs.len()) {
            (true, 1) => format!("merge {inputs}"),
            (true, _) => format!("merge {inputs} to {}", outputs.join("+")),
            (false, _) => format!("downsample {inputs} to {}", outputs.join("+")),
        });
    }
    for covered in &plan.covered {
        let by = letter(covered.by.id());
        out.push(format!("cover {} by {by}", letter(covered.block)));
    }
    let expired: String = plan.expired.iter().map(|e| letter(e.block)).collect();
    if !expired.is_empty() {
        out.push(format!("expired {expired}"));
    }
    let mut left: BTreeMap<&str, String> = BTreeMap::new();
    for l in &plan.skipped {
        let letters = left.entry(l.reason.word()).or_default();
        letters.push(letter(l.block));
    }
    let left = left.iter();
    out.extend(left.map(|(word, letters)| format!("{word} {letters}")));
    out.join("; ")
}
