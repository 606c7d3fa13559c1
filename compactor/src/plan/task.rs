//! One merge.

use std::sync::Arc;

use model::{
    BlockDesc, BlockId, BlockMeta, BlockStats, CompactionMeta, Downsample, Extra, FileMeta,
    IndexStats, Labels, ParquetMeta, Resolution, Rfc3339, Sources, ThanosMeta, TimeRange,
    Timestamp,
};
use serde::Serialize;
use xxhash_rust::xxh64::xxh64;

use super::{Candidate, Known, PlanOptions, Window, known::merged_sources};
use crate::{Dedup, OutputFormat, group::GroupKey};

/// What a compactor writes as the source of a block, Thanos's as ours.
pub(crate) const SOURCE: &str = "compactor";

/// Blocks of one group, and the blocks that are made of them, one for each resolution.
#[derive(Clone, Debug, Serialize)]
pub struct Task {
    /// The same for the same work, whoever plans it: `<group>-<first ms>-<end ms>-<number of inputs>-<hash of their
    /// names>`, and the resolutions that are made if there are others than the group's.
    pub id: String,
    /// The group.
    pub group: GroupKey,
    /// The external labels of the group, which lack those of replicas.
    #[serde(serialize_with = "as_text")]
    pub labels: Labels,
    /// The window that the output is for; none where the inputs fit into no window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// First millisecond of the output, included.
    pub min_time: Timestamp,
    /// End of the output in milliseconds, excluded.
    pub max_time: Timestamp,
    /// The inputs, in the order of time; of samples with equal timestamps, that of the earlier block is kept.
    pub inputs: Vec<Candidate>,
    /// The resolutions of the blocks that are made, the finest first; at least one.
    pub outputs: Vec<Resolution>,
    /// How samples that several inputs hold are merged.
    pub dedup: Dedup,
    /// The format of the blocks that are made.
    pub format: OutputFormat,
    /// Bytes of the inputs.
    pub bytes_in: u64,
    /// Bytes that the work folder needs at most.
    pub disk_bytes: u64,
    /// Bytes of memory that the merge stays within, the symbols of the inputs apart.
    pub memory_bytes: u64,
}

/// An output of a merge, apart from what its task says.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// The output's name.
    pub(crate) ulid: BlockId,
    /// The resolution.
    pub(crate) resolution: Resolution,
    /// Counts.
    pub(crate) stats: BlockStats,
    /// The longest series and chunk, of a TSDB block.
    pub(crate) index_stats: IndexStats,
    /// The Parquet section, of a Parquet block.
    pub(crate) parquet: Option<ParquetMeta>,
    /// Every file but `meta.json`.
    pub(crate) files: Vec<FileMeta>,
    /// When.
    pub(crate) now: Timestamp,
}

impl Task {
    /// Makes `outputs` of `blocks`, of which there is at least one, in the order of time.
    pub(super) fn new(
        window: Option<Window>,
        blocks: &[&Known<'_>],
        outputs: Vec<Resolution>,
        options: &PlanOptions,
    ) -> Self {
        let first = blocks.first();
        let group = first.map_or_else(
            || GroupKey::new(&Labels::default(), Resolution::Raw),
            |b| b.group,
        );
        let min_time = blocks.iter().map(|b| b.min()).min().unwrap_or_default();
        let max_time = blocks.iter().map(|b| b.max()).max().unwrap_or_default();
        let inputs: Vec<Candidate> = blocks.iter().map(|b| b.candidate()).collect();
        Self {
            id: id(group, (min_time, max_time), &inputs, &outputs),
            group,
            labels: first.map(|b| b.labels.clone()).unwrap_or_default(),
            window,
            min_time,
            max_time,
            bytes_in: bytes_of(&inputs),
            disk_bytes: disk_bytes(&inputs, group.resolution, &outputs, options.output),
            inputs,
            outputs,
            dedup: options.replicas.dedup(),
            format: options.output,
            memory_bytes: options.memory_budget,
        }
    }

    /// Whether the inputs become one block of their own resolution, which replaces them.
    #[must_use]
    pub fn merges(&self) -> bool {
        self.outputs.contains(&self.group.resolution)
    }

    /// Makes one block anew, of the same resolution. Twice the room is for its series in another order.
    pub(crate) fn of_one(block: Candidate, format: OutputFormat, memory_bytes: u64) -> Self {
        let meta = Arc::clone(&block.meta);
        let labels = meta.external_labels();
        let group = GroupKey::new(&labels, meta.resolution());
        let (inputs, outputs) = (vec![block], vec![meta.resolution()]);
        let needed = disk_bytes(&inputs, group.resolution, &outputs, format);
        Self {
            id: format!("rewrite-{}", meta.ulid),
            group,
            labels,
            window: None,
            min_time: meta.min_time,
            max_time: meta.max_time,
            bytes_in: bytes_of(&inputs),
            disk_bytes: needed.saturating_mul(2),
            inputs,
            outputs,
            dedup: Dedup::Exact,
            format,
            memory_bytes,
        }
    }

    /// The part of it that only downsamples one block, if there is one.
    pub(crate) fn only_downsampling(&self) -> Option<Self> {
        let coarser = self.outputs.iter().copied();
        let outputs: Vec<Resolution> = coarser.filter(|r| *r > self.group.resolution).collect();
        if self.inputs.len() != 1 || outputs.is_empty() {
            return None;
        }
        let times = (self.min_time, self.max_time);
        Some(Self {
            id: id(self.group, times, &self.inputs, &outputs),
            outputs,
            ..self.clone()
        })
    }

    /// Whether inputs overlap.
    #[must_use]
    pub fn is_vertical(&self) -> bool {
        let mut end = Timestamp::MIN;
        self.inputs.iter().any(|input| {
            let overlaps = input.meta.min_time < end;
            end = end.max(input.meta.max_time);
            overlaps
        })
    }

    /// For each downsampled output, the resolution that it is made from, which may be an output too.
    pub fn downsampled(&self) -> impl Iterator<Item = Resolution> {
        let coarser = self.outputs.iter().filter(|r| **r > self.group.resolution);
        coarser.map(|r| match r {
            Resolution::OneHour => Resolution::FiveMinutes,
            Resolution::Raw | Resolution::FiveMinutes => Resolution::Raw,
        })
    }

    /// The times that a sample of the output may have, both ends included.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        let last = self.max_time.0.saturating_sub(1).max(self.min_time.0);
        TimeRange::new(self.min_time.0, last)
    }

    /// The names of the inputs, in the order of time.
    pub fn input_ids(&self) -> impl Iterator<Item = BlockId> {
        self.inputs.iter().map(|b| b.meta.ulid)
    }

    /// The `meta.json` of an output.
    pub(crate) fn meta(&self, made: Made) -> BlockMeta {
        let mut files = made.files;
        files.push(FileMeta {
            rel_path: BlockMeta::FILE.to_owned(),
            ..FileMeta::default()
        });
        files.sort_by(|a, b| a.rel_path.cmp(&b.rel_path));
        let segments = files
            .iter()
            .filter_map(|f| f.rel_path.strip_prefix("chunks/"));
        let segment_files = segments.map(str::to_owned).collect();
        BlockMeta {
            ulid: made.ulid,
            min_time: self.min_time,
            max_time: self.max_time,
            stats: made.stats,
            compaction: self.compaction(),
            version: 1,
            thanos: Some(ThanosMeta {
                version: 1,
                labels: self.labels.to_texts().into(),
                downsample: Downsample {
                    resolution: made.resolution,
                },
                source: SOURCE.to_owned(),
                segment_files,
                files,
                index_stats: made.index_stats,
                upload_time: Rfc3339(made.now).to_string(),
                ..ThanosMeta::default()
            }),
            parquet: made.parquet,
            extra: Extra::default(),
        }
    }

    /// Where an output comes from. One block that is only downsampled leaves that as it is, as with Thanos.
    fn compaction(&self) -> CompactionMeta {
        if let ([only], false) = (self.inputs.as_slice(), self.merges()) {
            return CompactionMeta {
                sources: Sources::of(&only.meta).into_vec(),
                ..only.meta.compaction.clone()
            };
        }
        let metas = || self.inputs.iter().map(|b| &b.meta);
        let parent = |m: &Arc<BlockMeta>| BlockDesc {
            ulid: m.ulid,
            min_time: m.min_time,
            max_time: m.max_time,
        };
        let level = metas().map(|m| m.compaction.level).max().unwrap_or(0);
        CompactionMeta {
            level: level.saturating_add(1),
            sources: merged_sources(metas()).into_vec(),
            parents: metas().map(parent).collect(),
            ..CompactionMeta::default()
        }
    }
}

/// The name of a task.
fn id(
    group: GroupKey,
    (min_time, max_time): (Timestamp, Timestamp),
    inputs: &[Candidate],
    outputs: &[Resolution],
) -> String {
    let mut id = format!(
        "{group}-{}-{}-{}-{:08x}",
        min_time.0,
        max_time.0,
        inputs.len(),
        hash(inputs)
    );
    if outputs != [group.resolution] {
        for output in outputs {
            id = format!("{id}-{}", output.name());
        }
    }
    id
}

/// What the work folder holds at most: the inputs, and each output.
fn disk_bytes(
    inputs: &[Candidate],
    own: Resolution,
    outputs: &[Resolution],
    format: OutputFormat,
) -> u64 {
    // TSDB holds the same samples in up to three times the bytes of Parquet.
    let grows = |b: &Candidate| match (format, &b.meta.parquet) {
        (OutputFormat::Tsdb, Some(_)) => b.bytes.saturating_mul(3),
        _ => b.bytes,
    };
    let merged = inputs.iter().map(grows).fold(0, u64::saturating_add);
    let of = |output: &Resolution| match (own, output) {
        (Resolution::Raw, Resolution::OneHour) => merged / 4,
        // Five aggregates of five samples or less, which is a scrape each minute, take as much as the samples.
        _ => merged,
    };
    outputs
        .iter()
        .map(of)
        .fold(bytes_of(inputs), u64::saturating_add)
}

/// 32 bits of the XXH64 of the names of blocks.
fn hash(blocks: &[Candidate]) -> u64 {
    let mut names: Vec<String> = blocks.iter().map(|b| b.meta.ulid.to_string()).collect();
    names.sort_unstable();
    xxh64(names.concat().as_bytes(), 0) >> 32
}

pub(super) fn bytes_of(blocks: &[Candidate]) -> u64 {
    blocks
        .iter()
        .fold(0, |sum, block| sum.saturating_add(block.bytes))
}

fn as_text<S: serde::Serializer>(labels: &Labels, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.to_texts())
}
