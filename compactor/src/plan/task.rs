//! One merge.

use model::{
    BlockDesc, BlockId, BlockMeta, BlockStats, CompactionMeta, Downsample, FileMeta, IndexStats,
    Labels, ParquetMeta, Resolution, ThanosMeta, TimeRange, Timestamp,
};
use serde::Serialize;

use super::{Candidate, Window, duplicates, show::Moment};
use crate::{Dedup, OutputFormat, group::GroupKey};

/// TSDB blocks of one group that become one Parquet block.
#[derive(Clone, Debug, Serialize)]
pub struct Task {
    /// The same for the same work, whoever plans it: `<group>-<first ms>-<end ms>-<number of inputs>`.
    pub id: String,
    /// The group.
    pub group: GroupKey,
    /// The external labels of the group.
    #[serde(serialize_with = "as_text")]
    pub labels: Labels,
    /// The window that the output is for; none where the inputs fit into no window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// First millisecond of the output, included.
    pub min_time: Timestamp,
    /// End of the output in milliseconds, excluded.
    pub max_time: Timestamp,
    /// What is merged, in the order of time; of equal timestamps the sample of the earlier block counts.
    pub inputs: Vec<Candidate>,
    /// The resolutions of the blocks that are made, the finest first; at least one.
    pub outputs: Vec<Resolution>,
    /// What is made of samples that several inputs hold.
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

/// What a merge has made, beside what its task tells.
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
    /// A merge of `blocks`, of which there is at least one, in the order of time.
    pub(super) fn new(
        group: GroupKey,
        window: Option<Window>,
        blocks: &[&Candidate],
        memory_bytes: u64,
    ) -> Self {
        let min_time = blocks.iter().map(|b| b.meta.min_time).min();
        let max_time = blocks.iter().map(|b| b.meta.max_time).max();
        let (min_time, max_time) = (min_time.unwrap_or_default(), max_time.unwrap_or_default());
        let inputs: Vec<Candidate> = blocks.iter().map(|b| (*b).clone()).collect();
        let bytes_in = bytes_of(&inputs);
        let labels = inputs.first().map(|b| b.meta.external_labels());
        Self {
            id: format!("{group}-{min_time}-{max_time}-{}", inputs.len()),
            group,
            labels: labels.unwrap_or_default(),
            window,
            min_time,
            max_time,
            inputs,
            outputs: vec![group.resolution],
            dedup: Dedup::Exact,
            format: OutputFormat::Parquet,
            bytes_in,
            // The output holds the inputs' chunks and repeats fewer labels.
            disk_bytes: bytes_in.saturating_mul(2),
            memory_bytes,
        }
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

    /// Whether a block in the inputs' own resolution is made, which is to take their place.
    pub(crate) fn replaces_inputs(&self) -> bool {
        self.outputs.contains(&self.group.resolution)
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
        let labels = self.labels.iter();
        BlockMeta {
            ulid: made.ulid,
            min_time: self.min_time,
            max_time: self.max_time,
            stats: made.stats,
            compaction: self.compaction(),
            version: 1,
            thanos: Some(ThanosMeta {
                version: 1,
                labels: labels.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
                downsample: Downsample {
                    resolution: made.resolution,
                },
                source: "compactor".to_owned(),
                segment_files,
                files,
                index_stats: made.index_stats,
                upload_time: Moment(made.now).to_string(),
                ..ThanosMeta::default()
            }),
            parquet: made.parquet,
            extra: serde_json::Map::new(),
        }
    }

    /// Where an output comes from. One block that is only downsampled leaves that as it is, as with Thanos.
    fn compaction(&self) -> CompactionMeta {
        if let ([only], false) = (self.inputs.as_slice(), self.replaces_inputs()) {
            return CompactionMeta {
                sources: duplicates::sources(&only.meta),
                ..only.meta.compaction.clone()
            };
        }
        let metas = || self.inputs.iter().map(|b| &b.meta);
        let mut sources: Vec<BlockId> = metas().flat_map(|m| duplicates::sources(m)).collect();
        sources.sort_unstable();
        sources.dedup();
        let parent = |m: &std::sync::Arc<BlockMeta>| BlockDesc {
            ulid: m.ulid,
            min_time: m.min_time,
            max_time: m.max_time,
        };
        let level = metas().map(|m| m.compaction.level).max().unwrap_or(0);
        CompactionMeta {
            level: level.saturating_add(1),
            sources,
            parents: metas().map(parent).collect(),
            ..CompactionMeta::default()
        }
    }
}

pub(super) fn bytes_of(blocks: &[Candidate]) -> u64 {
    blocks
        .iter()
        .fold(0, |sum, block| sum.saturating_add(block.bytes))
}

fn as_text<S: serde::Serializer>(labels: &Labels, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter())
}
