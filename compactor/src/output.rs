//! What a merge makes of blocks that overlap, and the format that it writes.

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
