//! A bucket in which one block of a group is to be made bad, and what has to come of it.

use std::ops::Range;

use anyhow::Context as _;
use compactor::{Outcome, Summary};
use model::{BlockId, BlockMeta, Labels, Resolution, TimeRange};
use proto::thanos::{Aggr, SeriesRequest};
use service::Clock as _;
use tests::{Answer, MadeBlock, Totals, World, matcher, series_request};

pub(crate) const HOUR: i64 = 3_600_000;

/// The block that something is wrong with: the second of those that would be merged.
pub(crate) const BAD: usize = 1;
/// The blocks that would be merged.
const MERGED: usize = 4;
/// All of them. The last two are the newest.
const BLOCKS: usize = 6;

/// What the blocks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tsdb,
    Parquet(Resolution),
}

/// A bucket with some blocks of one group.
pub(crate) struct Bucket {
    pub(crate) world: World,
    kind: Kind,
    pub(crate) blocks: Vec<MadeBlock>,
    /// What is in each of them.
    pub(crate) answers: Vec<Answer>,
}

/// How the run has to take what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The block is named, and left where it is.
    Named,
    /// As [`Self::Named`], if it makes any difference.
    NamedOrHarmless,
    /// Nothing is wrong with it: it is merged.
    Merged,
}

impl Kind {
    fn root(self, block: BlockId) -> String {
        match self {
            Self::Tsdb => block.to_string(),
            Self::Parquet(_) => format!("parquet/{block}"),
        }
    }

    const fn resolution(self) -> Resolution {
        match self {
            Self::Tsdb => Resolution::Raw,
            Self::Parquet(resolution) => resolution,
        }
    }
}

impl Bucket {
    pub(crate) async fn new(kind: Kind) -> anyhow::Result<Self> {
        let world = World::new().await?;
        let start = (world.clock.now_ms() - 48 * HOUR) / (8 * HOUR) * (8 * HOUR);
        let labels = Labels::from_pairs([("cluster", "eu-1")]);
        let mut blocks = Vec::new();
        for at in (start..).step_by(7_200_000).take(BLOCKS) {
            let block = MadeBlock::new(1, &labels, at, at + 2 * HOUR);
            let dir = world.scratch().join(block.id.to_string());
            match kind {
                Kind::Tsdb => block.write_tsdb(&dir)?,
                Kind::Parquet(resolution) => block.write_parquet(&dir, resolution)?,
            };
            world.put_block(&dir, &kind.root(block.id))?;
            blocks.push(block);
        }
        let answers = blocks.iter().map(MadeBlock::answer);
        Ok(Self {
            answers: answers.collect::<anyhow::Result<_>>()?,
            world,
            kind,
            blocks,
        })
    }

    pub(crate) fn bad(&self) -> BlockId {
        self.blocks[BAD].id
    }

    pub(crate) fn key(&self, file: &str) -> String {
        format!("{}/{file}", self.kind.root(self.bad()))
    }

    pub(crate) fn bytes(&self, file: &str) -> anyhow::Result<Vec<u8>> {
        let object = self.world.s3.object(&self.key(file));
        Ok(object.with_context(|| self.key(file))?.to_vec())
    }

    /// Puts other bytes in the place of a file's, of which `meta.json` knows the size.
    pub(crate) fn put(&self, file: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let size = bytes.len() as u64;
        self.world.s3.put(&self.key(file), bytes);
        self.edit_meta(|meta| {
            let files = meta.thanos.iter_mut().flat_map(|t| &mut t.files);
            for stated in files.filter(|f| f.rel_path == file) {
                stated.size_bytes = size;
            }
        })
    }

    pub(crate) fn edit_meta(&self, edit: impl FnOnce(&mut BlockMeta)) -> anyhow::Result<()> {
        let mut meta = BlockMeta::decode(&self.bytes(BlockMeta::FILE)?)?;
        edit(&mut meta);
        self.world.s3.put(&self.key(BlockMeta::FILE), meta.encode());
        Ok(())
    }

    /// Flips a bit of a file.
    pub(crate) fn flip(&self, file: &str, at: usize) -> anyhow::Result<()> {
        let mut bytes = self.bytes(file)?;
        bytes[at] ^= 4;
        self.put(file, bytes)
    }

    /// What is in some of the blocks.
    fn truth(&self, blocks: Range<usize>) -> anyhow::Result<Answer> {
        let mut truth = Answer::default();
        for answer in &self.answers[blocks] {
            truth.merge(answer.clone())?;
        }
        Ok(truth)
    }

    /// What a gateway that starts now gives of the times of some blocks is what is in them.
    pub(crate) async fn assert_served(&self, blocks: Range<usize>) -> anyhow::Result<()> {
        let truth = self.truth(blocks.clone())?;
        let times = TimeRange::new(
            self.blocks[blocks.start].start,
            self.blocks[blocks.end - 1].end - 1,
        );
        let gateway = self.world.gateway().await?;
        let all = [matcher("__name__", "=~", ".+")?];
        let resolution = self.kind.resolution();
        let answer = gateway.client.series(SeriesRequest {
            max_resolution_window: resolution.millis(),
            aggregates: vec![Aggr::Count.into(), Aggr::Sum.into()],
            ..series_request(&all, times)
        });
        let answer = answer.await?;
        if resolution == Resolution::Raw {
            let found = answer.checked()?.select(&[], times);
            let difference = found.difference(&truth);
            anyhow::ensure!(difference.is_none(), "{blocks:?}: {difference:?}");
        } else {
            let (found, expected) = (Totals::of_series(&answer)?, Totals::of(&truth));
            anyhow::ensure!(found == expected, "{blocks:?}: {found:?}, not {expected:?}");
        }
        gateway.stop().await
    }

    /// The objects of the bad block, but for marks.
    fn objects_of_bad(&self) -> Vec<(String, Vec<u8>)> {
        let root = format!("{}/", self.kind.root(self.bad()));
        let keys = self.world.s3.keys().into_iter();
        let keys = keys.filter(|key| key.starts_with(&root) && !key.contains("-mark.json"));
        keys.filter_map(|key| {
            let bytes = self.world.s3.object(&key)?.to_vec();
            Some((key, bytes))
        })
        .collect()
    }

    /// Runs the compactor until the sources are deleted, and sees that all is as it has to be.
    pub(crate) async fn assert_taken(&self, expect: Expect) -> anyhow::Result<()> {
        let before = self.objects_of_bad();
        let first = self.world.compact().await?;
        let is_named = !first.failed.is_empty();
        match expect {
            Expect::Named => anyhow::ensure!(is_named, "not named: {first:?}"),
            Expect::Merged => anyhow::ensure!(!is_named, "{first:?}"),
            Expect::NamedOrHarmless => {}
        }
        self.assert_names_bad(&first)?;
        self.assert_good_are_served(is_named).await?;
        let sources = self.sources_of(&merged(&first))?;
        let ids: Vec<BlockId> = self.blocks.iter().map(|block| block.id).collect();
        let expected = match is_named {
            true => ids[BAD + 1..MERGED].to_vec(),
            false => ids[..MERGED].to_vec(),
        };
        anyhow::ensure!(sources.contains(&expected), "{sources:?}");

        let second = self.world.compact().await?;
        self.assert_names_bad(&second)?;
        anyhow::ensure!(second.merged.is_empty(), "{second:?}");
        // What is against the format is marked, and not tried again.
        let is_marked = !first.no_compact.is_empty();
        anyhow::ensure!(!is_marked || second.failed.is_empty(), "{second:?}");

        self.world.clock.advance(50 * HOUR);
        let third = self.world.compact().await?;
        self.assert_names_bad(&third)?;
        anyhow::ensure!(third.merged.is_empty(), "{third:?}");
        anyhow::ensure!(third.deleted.contains(&self.bad()) != is_named, "{third:?}");
        if is_named {
            anyhow::ensure!(self.objects_of_bad() == before, "the bad block was touched");
        }
        self.assert_good_are_served(is_named).await
    }

    fn assert_names_bad(&self, summary: &Summary) -> anyhow::Result<()> {
        let bad = self.bad().to_string();
        for (what, error) in &summary.failed {
            let text = error.to_string();
            anyhow::ensure!(text.contains(&bad), "{what}: {text} does not name {bad}");
        }
        anyhow::ensure!(summary.failed.len() <= 1, "{:?}", summary.failed);
        let others = summary.no_compact.iter().filter(|b| **b != self.bad());
        anyhow::ensure!(others.count() == 0, "{summary:?}");
        Ok(())
    }

    async fn assert_good_are_served(&self, is_named: bool) -> anyhow::Result<()> {
        if is_named {
            self.assert_served(0..BAD).await?;
            self.assert_served(BAD + 1..BLOCKS).await
        } else {
            self.assert_served(0..BLOCKS).await
        }
    }

    /// The sources of blocks that were made.
    fn sources_of(&self, blocks: &[BlockId]) -> anyhow::Result<Vec<Vec<BlockId>>> {
        let sources = blocks.iter().map(|block| {
            let key = format!("parquet/{block}/meta.json");
            let json = self.world.s3.object(&key).with_context(|| key.clone())?;
            Ok(BlockMeta::decode(&json)?.compaction.sources)
        });
        sources.collect()
    }
}

/// The blocks that were made.
fn merged(summary: &Summary) -> Vec<BlockId> {
    let made = summary.merged.iter().map(|(_, outcome)| match outcome {
        Outcome::Merged(made) => made.clone(),
        Outcome::Empty => Vec::new(),
    });
    made.flatten().collect()
}
