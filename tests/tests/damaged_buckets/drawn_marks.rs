//! Marks of any bytes, in every group of a bucket: what cannot be used protects its block for good, and what can be used
//! does what it says.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use compactor::{Config, Downsampling, Retention, Summary};
use model::{BlockId, BlockMeta, DeletionMark, Labels, NoCompactMark, NoDownsampleMark, Timestamp};
use proptest::{prelude::*, sample::Index};
use tests::{MadeBlock, World};

const HOUR: i64 = 3_600_000;
/// The beginning of the window of every group.
const START: i64 = 1_700_697_600_000;
/// When it is played, about, in unix seconds.
const NOW: i64 = 1_795_600_000;
/// Groups of a bucket, of which each has one marked block.
const GROUPS: usize = 12;
/// How many buckets are played.
const BUCKETS: u32 = 6;

/// The three marks.
const KINDS: [&str; 3] = [
    DeletionMark::FILE,
    NoCompactMark::FILE,
    NoDownsampleMark::FILE,
];

/// What a mark is made of: a valid one is changed in some places, or other bytes take its place.
#[derive(Clone, Debug)]
enum Bytes {
    Any(Vec<u8>),
    /// Names and values, of those that marks have and of others.
    Members(Vec<(Index, Index)>),
    /// A valid mark with changes: where, and the byte that is put there or none.
    Changed(Vec<(Index, Option<u8>)>),
}

#[derive(Clone, Debug)]
struct Drawn {
    kind: &'static str,
    bytes: Bytes,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let any_bytes = prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::Any);
    let members = prop::collection::vec(any::<(Index, Index)>(), 0..7).prop_map(Bytes::Members);
    let change = (any::<Index>(), prop::option::of(any::<u8>()));
    let changed = prop::collection::vec(change, 0..3).prop_map(Bytes::Changed);
    let kind = prop::sample::select(KINDS.to_vec());
    let bytes = prop_oneof![1 => any_bytes, 4 => members, 3 => changed];
    (kind, bytes).prop_map(|(kind, bytes)| Drawn { kind, bytes })
}

impl Drawn {
    fn json(&self, block: BlockId) -> Vec<u8> {
        let valid = format!(
            r#"{{"id":"{block}","version":1,"deletion_time":1700000000,"no_compact_time":1,"no_downsample_time":1,"reason":"manual","details":"by hand"}}"#
        );
        match &self.bytes {
            Bytes::Any(bytes) => bytes.clone(),
            Bytes::Changed(changes) => {
                let mut json = valid.into_bytes();
                for (place, byte) in changes {
                    let at = place.index(json.len().max(1));
                    match byte {
                        Some(byte) => json.insert(at, *byte),
                        None if json.is_empty() => {}
                        None => drop(json.remove(at)),
                    }
                }
                json
            }
            Bytes::Members(members) => {
                let id = format!("\"{block}\"");
                // The likely ones are there more than once.
                let names = [
                    "id",
                    "id",
                    "version",
                    "version",
                    "version",
                    "deletion_time",
                    "deletion_time",
                    "no_compact_time",
                    "no_downsample_time",
                    "reason",
                    "details",
                    "Version",
                    "ID",
                    "",
                ];
                let values = [
                    "1",
                    "1",
                    "1",
                    id.as_str(),
                    id.as_str(),
                    "1700000000",
                    "null",
                    "0",
                    "2",
                    "-1",
                    "1.5",
                    "\"1\"",
                    "\"\"",
                    "\"01HF8J5JG0RAVB4GMS32W7ZJ2B\"",
                    "[]",
                    "{}",
                    "true",
                    "1e30",
                ];
                let text = members.iter().map(|(name, value)| {
                    let (name, value) = (name.get(&names), value.get(&values));
                    format!("\"{name}\":{value}")
                });
                format!("{{{}}}", text.collect::<Vec<_>>().join(",")).into_bytes()
            }
        }
    }

    /// What is to become of the block.
    fn fate(&self, block: BlockId, json: &[u8]) -> Fate {
        match self.kind {
            DeletionMark::FILE => match DeletionMark::decode(block, json) {
                Ok(mark) if mark.deletion_time < NOW - 1_000_000 => Fate::Deleted,
                Ok(_) => Fate::Waits,
                Err(_) => Fate::Protected,
            },
            NoCompactMark::FILE => match NoCompactMark::decode(json) {
                Ok(_) => Fate::NotMerged,
                Err(_) => Fate::Protected,
            },
            _ => match NoDownsampleMark::decode(json) {
                Ok(_) => Fate::Merged,
                Err(_) => Fate::Protected,
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing is ever done with it.
    Protected,
    /// It is gone after the delay.
    Deleted,
    /// It is not merged, and is there until a time far away.
    Waits,
    /// It is not merged, and is there until it is past its retention.
    NotMerged,
    /// It is merged as if it had no mark.
    Merged,
}

/// The marked block of a group, and what it was.
struct Marked {
    id: BlockId,
    fate: Fate,
    objects: Vec<(String, Vec<u8>)>,
    says: String,
}

/// Fills a bucket: in each group three blocks of a window, the second one marked, and two behind them.
fn fill(world: &World, marks: &[Drawn]) -> anyhow::Result<Vec<Marked>> {
    let mut marked = Vec::new();
    for (group, mark) in marks.iter().enumerate() {
        let labels = Labels::from_pairs([("group", group.to_string().as_str())]);
        for (place, hours) in [0, 2, 4, 24 * 30, 24 * 60].into_iter().enumerate() {
            let start = START + hours * HOUR;
            let number = u128::try_from(group * 10 + place)?;
            let block = MadeBlock {
                id: BlockId::new(Timestamp(start + 2 * HOUR), number),
                series: 1,
                ..MadeBlock::new(1, &labels, start, start + 2 * HOUR).every(30 * 60_000)
            };
            let dir = tempfile::tempdir()?;
            block.write_tsdb(dir.path())?;
            world.put_block(dir.path(), &block.id.to_string())?;
            if place == 1 {
                let json = mark.json(block.id);
                world
                    .s3
                    .put(&format!("{}/{}", block.id, mark.kind), json.clone());
                marked.push(Marked {
                    id: block.id,
                    fate: mark.fate(block.id, &json),
                    objects: objects(world, block.id),
                    says: format!("{}: {:?}", mark.kind, String::from_utf8_lossy(&json)),
                });
            }
        }
    }
    Ok(marked)
}

fn objects(world: &World, block: BlockId) -> Vec<(String, Vec<u8>)> {
    let keys = world.s3.keys().into_iter();
    let own = keys.filter(|key| key.starts_with(&block.to_string()));
    own.map(|key| {
        (
            key.clone(),
            world.s3.object(&key).unwrap_or_default().to_vec(),
        )
    })
    .collect()
}

/// Whether a block that a compactor made has it in.
fn is_merged(world: &World, block: BlockId) -> anyhow::Result<bool> {
    let keys = world.s3.keys().into_iter();
    for key in keys.filter(|key| key.starts_with("parquet/") && key.ends_with("/meta.json")) {
        let json = world.s3.object(&key).context("a meta.json")?;
        if BlockMeta::decode(&json)?
            .compaction
            .sources
            .contains(&block)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One run; `retention` is whether all blocks are past theirs.
async fn run(world: &World, retention: bool) -> anyhow::Result<Summary> {
    world.clock.advance(100 * HOUR);
    let config = Config {
        retention: Retention {
            raw: retention.then_some(Duration::from_hours(40)),
            ..Retention::default()
        },
        downsampling: Downsampling::Off,
        ..Config::default()
    };
    world.compact_with(config, world.bucket()?).await
}

fn check(world: &World, marked: &[Marked], retention: bool) -> anyhow::Result<()> {
    for block in marked {
        let (fate, says, now) = (block.fate, &block.says, objects(world, block.id));
        let merged = is_merged(world, block.id)?;
        let as_it_was = now == block.objects;
        let has_meta = now.iter().any(|(key, _)| key.ends_with("/meta.json"));
        let right = match fate {
            Fate::Protected => as_it_was && !merged,
            Fate::Deleted => !has_meta && !merged,
            Fate::Waits => has_meta && !merged,
            Fate::NotMerged => !merged && (retention || as_it_was),
            // In the first run; retention comes for what was made.
            Fate::Merged => merged || retention,
        };
        ensure!(
            right,
            "{says} is to be {fate:?}, retention {retention}, merged {merged}: {now:?}"
        );
    }
    Ok(())
}

async fn play(marks: &[Drawn]) -> anyhow::Result<()> {
    let world = World::new().await?;
    let marked = fill(&world, marks)?;
    let mut was_past = false;
    for retention in [false, false, true, false] {
        run(&world, retention).await?;
        was_past |= retention;
        check(&world, &marked, was_past)?;
    }
    Ok(())
}

#[test]
fn no_run_touches_what_an_unusable_mark_protects_and_a_usable_one_does_what_it_says() {
    let config = ProptestConfig {
        cases: BUCKETS,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(marks in prop::collection::vec(drawn(), GROUPS))| {
        let runtime = tokio::runtime::Runtime::new().map_err(|e| TestCaseError::fail(e.to_string()))?;
        let played = runtime.block_on(play(&marks));
        prop_assert!(played.is_ok(), "{:?}", played.err());
    });
}
