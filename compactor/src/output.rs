//! What a merge makes of blocks that overlap, and how it writes them.

use model::SeriesOrder;
use parquet_block::WriteOptions;
use serde::Serialize;

/// What is made of samples of one series that several blocks hold for the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dedup {
    /// Every timestamp is kept, once.
    #[default]
    Exact,
    /// The blocks are of replicas that scrape the same targets at times of their own: one is followed, another only
    /// where it has a gap. Thanos's `--deduplication.func=penalty`.
    Penalty,
}

/// The format of the blocks that are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// Parquet, below `parquet/`.
    #[default]
    Parquet,
    /// TSDB, which Thanos's own components read.
    Tsdb,
}

/// What counts more of the Parquet blocks that are made: bytes, or the CPU time that they cost writers and readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// What compression makes little smaller is stored as it is.
    #[default]
    Fast,
    /// All is compressed that gets smaller at all.
    Small,
}

impl OutputFormat {
    /// The order in which its series are written.
    pub(crate) const fn order(self) -> SeriesOrder {
        match self {
            Self::Parquet => SeriesOrder::ByName,
            Self::Tsdb => SeriesOrder::ByLabels,
        }
    }
}

impl Compression {
    /// How files are written.
    #[must_use]
    pub fn write_options(self) -> WriteOptions {
        match self {
            Self::Fast => WriteOptions::default(),
            Self::Small => WriteOptions::small(),
        }
    }
}
