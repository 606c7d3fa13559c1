//! Blocks with what no Prometheus writes.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::Context as _;
use model::{BlockId, BlockMeta, Labels, Resolution, TimeRange, Timestamp};
use tests::{Answer, MadeBlock};
use tsdb::{Block, BlockWriter, Chunk, Encoding, Tombstones, encode_xor};

/// The beginning of the window that the blocks are in.
pub(crate) const S: i64 = 1_700_697_600_000;
pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const MINUTE: i64 = 60_000;

/// A series: its labels as they are stored, and the samples of each chunk.
pub(crate) type Series<'a> = (&'a [(&'a str, &'a str)], Vec<Vec<(i64, f64)>>);

/// What a block is made of.
pub(crate) struct Odd<'a> {
    /// Tells blocks apart.
    pub(crate) number: u64,
    /// What its `meta.json` says of its times.
    pub(crate) times: (i64, i64),
    /// In the order of their labels as they are stored.
    pub(crate) series: Vec<Series<'a>>,
    /// What tombstones delete of every series, both ends included.
    pub(crate) deleted: Vec<(i64, i64)>,
    /// What the index says of the times of each series' first chunk, whatever that holds.
    pub(crate) first_chunk: Option<(i64, i64)>,
}

impl<'a> Odd<'a> {
    /// A block of two hours, the `number`th of its window from 1 on.
    pub(crate) fn new(number: u64, series: Vec<Series<'a>>) -> Self {
        let start = S + (i64::try_from(number).unwrap_or(1) - 1) * 2 * HOUR;
        Self {
            number,
            times: (start, start + 2 * HOUR),
            series,
            deleted: Vec::new(),
            first_chunk: None,
        }
    }

    pub(crate) fn id(&self) -> BlockId {
        BlockId::new(Timestamp(S + 2 * HOUR), u128::from(self.number))
    }

    pub(crate) fn external() -> Labels {
        Labels::from_pairs([("cluster", "a")])
    }

    /// Writes it, and states what was written.
    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<BlockMeta> {
        let symbols: BTreeSet<&str> = self
            .series
            .iter()
            .flat_map(|(labels, _)| labels.iter().flat_map(|(name, value)| [*name, *value]))
            .collect();
        let mut writer = BlockWriter::create(dir, symbols)?;
        for (labels, chunks) in &self.series {
            let labels = Labels::from_sorted(labels.iter().copied());
            let mut chunks: Vec<Chunk> = chunks.iter().map(|samples| chunk(samples)).collect();
            if let (Some((min, max)), Some(first)) = (self.first_chunk, chunks.first_mut()) {
                (first.min, first.max) = (Timestamp(min), Timestamp(max));
            }
            writer.add_series(&labels, &chunks)?;
        }
        let made = MadeBlock {
            id: self.id(),
            ..MadeBlock::new(self.number, &Self::external(), self.times.0, self.times.1)
        };
        let mut meta = writer.finish(made.meta("sidecar", Resolution::Raw))?;
        if !self.deleted.is_empty() {
            let mut tombstones = Tombstones::default();
            for series in Block::open(dir)?.refs_by_name()? {
                for (min, max) in &self.deleted {
                    tombstones.add(series, TimeRange::new(*min, *max));
                    meta.stats.num_tombstones += 1;
                }
            }
            fs::write(dir.join("tombstones"), tombstones.encode())?;
            fs::write(dir.join(BlockMeta::FILE), meta.encode())?;
        }
        Ok(meta)
    }

    /// What a reader finds in it.
    pub(crate) fn answer(&self) -> anyhow::Result<Answer> {
        let mut answer = Answer::default();
        for (labels, chunks) in &self.series {
            let external = Self::external();
            let own = labels.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
            let all = own.chain(external.iter());
            let labels = Labels::from_pairs(all);
            for samples in chunks {
                let deleted = |time: i64| {
                    let mut ranges = self.deleted.iter();
                    ranges.any(|(min, max)| (*min..=*max).contains(&time))
                };
                let left = samples.iter().filter(|(time, _)| !deleted(*time));
                let left: Vec<(i64, f64)> = left.copied().collect();
                if !left.is_empty() {
                    answer.add_chunk(&labels, Encoding::Xor, &chunk(&left).data)?;
                }
            }
        }
        Ok(answer)
    }
}

/// What a reader finds in several blocks.
pub(crate) fn answers(blocks: &[Odd<'_>]) -> anyhow::Result<Answer> {
    let mut all = Answer::default();
    for block in blocks {
        all.merge(block.answer().with_context(|| format!("{}", block.id()))?)?;
    }
    Ok(all)
}

/// A sample a minute, from `start` until before `end`.
pub(crate) fn minutes(start: i64, end: i64) -> Vec<(i64, f64)> {
    every(MINUTE, start, end)
}

/// A sample in every `step` milliseconds, from `start` until before `end`.
pub(crate) fn every(step: i64, start: i64, end: i64) -> Vec<(i64, f64)> {
    let step = usize::try_from(step).unwrap_or(1);
    let times = (start..end).step_by(step);
    let value = |time: i64| f64::from(i32::try_from((time - S) / 1000).unwrap_or(-1));
    times.map(|time| (time, value(time))).collect()
}

fn chunk(samples: &[(i64, f64)]) -> Chunk {
    let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
    let at = |time: Option<&i64>| Timestamp(time.copied().unwrap_or_default());
    Chunk {
        encoding: Encoding::Xor,
        min: at(times.first()),
        max: at(times.last()),
        data: encode_xor(&times, &values),
    }
}
