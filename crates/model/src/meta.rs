//! `meta.json`: the metadata of a block, Prometheus's fields and Thanos's.
//!
//! Unknown fields are kept and written back as they were read. `null` counts as absent everywhere, as in Go.

mod external_labels;
mod extra;
mod lenient;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::{external_labels::ExternalLabels, extra::Extra};
use crate::{BlockId, FileSum, FooterSum, Labels, TimeRange, Timestamp};

/// The latest time of a block in milliseconds: all JSON readers have it exactly. Nanoseconds of our days exceed it.
const MAX_TIME: i64 = (1 << 53) - 1;

/// The time that Go writes if none was set.
const UNSET_TIME: &str = "0001-01-01T00:00:00Z";

/// The contents of `meta.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// The block's name.
    pub ulid: BlockId,
    /// First millisecond, included.
    pub min_time: Timestamp,
    /// End in milliseconds, **excluded**.
    pub max_time: Timestamp,
    /// Counts.
    #[serde(default)]
    pub stats: BlockStats,
    /// Where it comes from.
    #[serde(default)]
    pub compaction: CompactionMeta,
    /// Version of the format, always 1.
    #[serde(default)]
    pub version: u64,
    /// Thanos's section; a block that only Prometheus saw has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thanos: Option<ThanosMeta>,
    /// The files of a Parquet block; a TSDB block has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parquet: Option<ParquetMeta>,
    /// Other members of the file.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Counts of a block's contents; absent means 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Samples of every kind.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Samples that are floats.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Samples that are native histograms.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Tombstones.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

/// Where a block comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CompactionMeta {
    /// 1 for a block cut from the head; one more than its highest source after each merge.
    #[serde(default)]
    pub level: u32,
    /// The level-1 blocks whose samples it holds, itself if it is one, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<BlockId>,
    /// Whether Prometheus may delete it because it holds nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deletable: bool,
    /// The blocks it was merged from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BlockDesc>,
    /// Whether its compaction failed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub failed: bool,
    /// Remarks such as `from-out-of-order`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// Other members of the section.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A block that another was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockDesc {
    /// Its id; all zeros if missing.
    pub ulid: BlockId,
    /// First millisecond, included.
    pub min_time: Timestamp,
    /// End in milliseconds, excluded.
    pub max_time: Timestamp,
}

/// The section that Thanos adds (`pkg/block/metadata` of Thanos).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ThanosMeta {
    /// 0 (absent) and 1 mean the same.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub version: u64,
    /// The external labels of the Prometheus that wrote the samples.
    #[serde(default)]
    pub labels: ExternalLabels,
    /// The resolution.
    #[serde(default)]
    pub downsample: Downsample,
    /// The component that wrote the block: `sidecar`, `compactor`, …
    #[serde(default)]
    pub source: String,
    /// The names in `chunks/`, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segment_files: Vec<String>,
    /// Every file of the block, sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileMeta>,
    /// Upper bounds that let a reader fetch a series or a chunk in one go.
    #[serde(default)]
    pub index_stats: IndexStats,
    /// When it was uploaded, RFC 3339; Go's zero time if unknown.
    #[serde(default = "unset_time", skip_serializing_if = "String::is_empty")]
    pub upload_time: String,
    /// Other members of the section (`rewrites`, `extensions`, …).
    #[serde(flatten)]
    pub extra: Extra,
}

/// The resolution of a block's samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Downsample {
    /// Raw, 5 minutes or 1 hour.
    pub resolution: Resolution,
}

/// The resolution of a block: the distance between its samples, in milliseconds on disk.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "i64", into = "i64")]
pub enum Resolution {
    /// As scraped.
    #[default]
    Raw,
    /// One sample in five minutes.
    FiveMinutes,
    /// One sample an hour.
    OneHour,
}

/// One file of a block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileMeta {
    /// Path below the block.
    #[serde(default)]
    pub rel_path: String,
    /// Size in bytes; absent for `meta.json` itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size_bytes: u64,
    /// Other members (`hash`).
    #[serde(flatten)]
    pub extra: Extra,
}

/// Upper bounds of sizes in the index, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IndexStats {
    /// The longest series entry.
    #[serde(skip_serializing_if = "is_zero")]
    pub series_max_size: u64,
    /// The longest chunk.
    #[serde(skip_serializing_if = "is_zero")]
    pub chunk_max_size: u64,
}

/// The section that a Parquet block adds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParquetMeta {
    /// Version of the layout, 1.
    pub version: u64,
    /// The shards in the order of their rows.
    pub shards: Vec<ParquetShard>,
}

/// One shard of a Parquet block: `N.labels.parquet` and `N.chunks.parquet`, or `N.aggregates.parquet` if the
/// block's resolution is not raw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParquetShard {
    /// Series in it.
    pub rows: u64,
    /// Row groups, the same in both files.
    pub row_groups: u64,
    /// The first value of `__name__`. If this or the last one is not UTF-8, both are empty: unknown.
    pub min_name: String,
    /// The last value of `__name__`.
    pub max_name: String,
    /// Size of the labels file, bytes.
    pub labels_bytes: u64,
    /// Size of the chunks file, or of the aggregates file, bytes.
    pub chunks_bytes: u64,
    /// The footer of the labels file; an older block has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_footer: Option<FooterSum>,
    /// The footer of the chunks file, or of the aggregates file; an older block has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunks_footer: Option<FooterSum>,
}

/// A `meta.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The text is not such JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The version is unknown.
    #[error("version: expected 1, found {found}")]
    Version {
        /// The version found.
        found: u64,
    },
    /// `minTime` is after `maxTime`.
    #[error("minTime {min} is after maxTime {max}")]
    Times {
        /// `minTime`.
        min: Timestamp,
        /// `maxTime`.
        max: Timestamp,
    },
    /// A time that no sample can have.
    #[error("{field}: expected milliseconds from 0 to {MAX_TIME}, found {found}")]
    Time {
        /// The field.
        field: &'static str,
        /// The time found.
        found: Timestamp,
    },
    /// `thanos.upload_time` is not a time.
    #[error("thanos.upload_time: expected a time as in 2026-01-31T00:00:00Z, found {found:?}")]
    UploadTime {
        /// The text found.
        found: String,
    },
}

impl BlockMeta {
    /// The object's name below the block.
    pub const FILE: &str = "meta.json";

    /// Reads a `meta.json`.
    ///
    /// # Errors
    /// When the text is not such JSON, of another version than 1, or has an invalid time.
    pub fn decode(json: &[u8]) -> Result<Self, MetaError> {
        let mut meta = lenient::parse(json)?;
        meta.check()?;
        meta.shrink();
        Ok(meta)
    }

    /// Gives back memory that its lists do not need. A program may hold those of a hundred thousand blocks.
    fn shrink(&mut self) {
        self.compaction.sources.shrink_to_fit();
        self.compaction.parents.shrink_to_fit();
        if let Some(thanos) = &mut self.thanos {
            thanos.segment_files.shrink_to_fit();
            thanos.files.shrink_to_fit();
        }
        if let Some(parquet) = &mut self.parquet {
            parquet.shards.shrink_to_fit();
        }
    }

    fn check(&self) -> Result<(), MetaError> {
        let thanos = self.thanos.as_ref();
        let of_thanos = thanos.map(|thanos| thanos.version).filter(|v| *v > 1);
        let wrong = (self.version != 1).then_some(self.version).or(of_thanos);
        if let Some(found) = wrong {
            return Err(MetaError::Version { found });
        }
        let (min, max) = (self.min_time, self.max_time);
        if min > max {
            return Err(MetaError::Times { min, max });
        }
        for (field, found) in [("minTime", min), ("maxTime", max)] {
            if !(0..=MAX_TIME).contains(&found.0) {
                return Err(MetaError::Time { field, found });
            }
        }
        match thanos.map(|thanos| &thanos.upload_time) {
            Some(found) if Timestamp::parse_rfc3339(found).is_none() => {
                let found = found.clone();
                Err(MetaError::UploadTime { found })
            }
            _ => Ok(()),
        }
    }

    /// Writes it as Prometheus and Thanos do: indented by tabs, a newline at the end.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, format);
        // Every key is a string and writing to a Vec cannot fail.
        let written = self.serialize(&mut serializer);
        debug_assert!(written.is_ok(), "{written:?}");
        out.push(b'\n');
        out
    }

    /// The times that samples of the block may have, both ends inclusive.
    #[must_use]
    pub fn time_range(&self) -> TimeRange {
        TimeRange {
            min: self.min_time,
            max: Timestamp(self.max_time.0.saturating_sub(1).max(self.min_time.0)),
        }
    }

    /// The external labels; none if Thanos's section is missing.
    #[must_use]
    pub fn external_labels(&self) -> Labels {
        let labels = self.thanos.iter().flat_map(|t| t.labels.iter());
        Labels::from_pairs(labels.map(|(n, v)| (n.as_str(), v.as_str())))
    }

    /// The resolution; raw if Thanos's section is missing.
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        self.thanos
            .as_ref()
            .map_or(Resolution::Raw, |t| t.downsample.resolution)
    }
}

impl ParquetShard {
    /// The size and footer of the labels file, if they are stated.
    #[must_use]
    pub fn labels_sum(&self) -> Option<FileSum> {
        let size = self.labels_bytes;
        self.labels_footer.map(|footer| FileSum { size, footer })
    }

    /// The size and footer of the chunks file, or of the aggregates file, if they are stated.
    #[must_use]
    pub fn chunks_sum(&self) -> Option<FileSum> {
        let size = self.chunks_bytes;
        self.chunks_footer.map(|footer| FileSum { size, footer })
    }
}

impl ThanosMeta {
    /// When the block was uploaded, if stated.
    #[must_use]
    pub fn uploaded_at(&self) -> Option<Timestamp> {
        let said = Some(self.upload_time.as_str()).filter(|said| *said != UNSET_TIME);
        said.and_then(Timestamp::parse_rfc3339)
    }

    /// Whether a repair made the block from one that had a fault.
    #[must_use]
    pub fn is_repaired(&self) -> bool {
        matches!(self.source.as_str(), "compactor.repair" | "bucket.repair")
    }

    /// Whether a compactor or a repair made the block from others, which hold its samples too. Such a block need not
    /// wait for the consistency delay.
    #[must_use]
    pub fn is_rewritten(&self) -> bool {
        self.source == "compactor" || self.is_repaired()
    }
}

impl Resolution {
    /// Milliseconds between samples; 0 for raw.
    #[must_use]
    pub const fn millis(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::FiveMinutes => 300_000,
            Self::OneHour => 3_600_000,
        }
    }

    /// The name in flags and metrics: `raw`, `5m` or `1h`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::FiveMinutes => "5m",
            Self::OneHour => "1h",
        }
    }

    /// The resolution to which blocks of this one are downsampled.
    #[must_use]
    pub const fn coarser(self) -> Option<Self> {
        match self {
            Self::Raw => Some(Self::FiveMinutes),
            Self::FiveMinutes => Some(Self::OneHour),
            Self::OneHour => None,
        }
    }

    /// The least length of a block to be downsampled, as in Thanos: 40 h of raw samples, 240 h (10 d) of 5 m.
    #[must_use]
    pub const fn downsampled_from(self) -> Option<Duration> {
        match self {
            Self::Raw => Some(Duration::from_hours(40)),
            Self::FiveMinutes => Some(Duration::from_hours(240)),
            Self::OneHour => None,
        }
    }
}

impl From<Resolution> for i64 {
    fn from(resolution: Resolution) -> Self {
        resolution.millis()
    }
}

impl TryFrom<i64> for Resolution {
    type Error = String;

    fn try_from(millis: i64) -> Result<Self, String> {
        [Self::Raw, Self::FiveMinutes, Self::OneHour]
            .into_iter()
            .find(|r| r.millis() == millis)
            .ok_or_else(|| format!("resolution {millis} ms, expected 0, 300000 or 3600000"))
    }
}

fn unset_time() -> String {
    UNSET_TIME.to_owned()
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_false(b: &bool) -> bool {
    !*b
}
