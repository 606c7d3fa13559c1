//! What the compactor is told, and what it is given.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bucket::{BlockFilter, Bucket, Leases};
use model::{TimeBound, TimeRange, Timestamp};
use service::{Clock, CpuPool, Metrics, Probe};

use crate::{
    CompactError, Downsampling, MergeOptions, OutputFormat, PlanOptions, ProgressStyle, Replicas,
    Retention, Shard, WINDOWS, millis,
};

/// Settings of a compactor. Names and defaults are those of Thanos's flags.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where blocks lie while they are worked on, below `compact/` (`--data-dir`). Default: `./data`.
    pub data_dir: PathBuf,
    /// How long a block must have been in the bucket before it is touched (`--consistency-delay`). Default: 30 m.
    pub consistency_delay: Duration,
    /// Time from marking a block for deletion to deleting it (`--delete-delay`). Default: 48 h.
    pub delete_delay: Duration,
    /// Whether to end once all is done (`--wait`, `--wait-interval`). Default: once.
    pub repeat: Repeat,
    /// How many `meta.json` are fetched at once (`--block-meta-fetch-concurrency`). Default: 32.
    pub meta_fetch_concurrency: usize,
    /// How many files of blocks are fetched at once (`--compact.blocks-fetch-concurrency`). Default: 4.
    pub blocks_fetch_concurrency: usize,
    /// Only blocks that reach this time or a later one are touched (`--min-time`). Default: all.
    pub min_time: TimeBound,
    /// Only blocks that begin at this time or an earlier one are touched (`--max-time`). Default: all.
    pub max_time: TimeBound,
    /// Only blocks that it selects are touched (`--selector.relabel-config`). Default: all.
    pub filter: BlockFilter,
    /// Only groups of this shard are touched (`--shard`). Default: all.
    pub shard: Shard,
    /// Whether others work on the bucket too (`--compact.disable-leases`). Default: nobody does.
    pub sharing: Sharing,
    /// Lengths of the windows that blocks grow to (`--debug.max-compaction-level`). Default: 8 h, 2 d, 14 d.
    pub windows: Vec<i64>,
    /// How long blocks are kept (`--retention.resolution-raw` and its like). Default: for ever.
    pub retention: Retention,
    /// Whether blocks are downsampled (`--downsampling.disable`). Default: they are.
    pub downsampling: Downsampling,
    /// What tells replicas apart, and how their samples become one (`--deduplication.replica-label`,
    /// `--deduplication.func`). Default: nothing does.
    pub replicas: Replicas,
    /// The format of the blocks that are made (`--compact.output`). Default: Parquet.
    pub output: OutputFormat,
    /// How it is shown how far a merge is. Default: in the log.
    pub progress: ProgressStyle,
    /// How blocks are merged (`--compact.memory-budget`).
    pub merge: MergeOptions,
}

/// Whether to end once all is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// End.
    Once,
    /// Look again after so long, until told to end.
    Every(Duration),
}

/// Whether others work on the bucket too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody does.
    #[default]
    Alone,
    /// Others may: a group is worked on by one at a time, who holds a lease on it.
    Leases {
        /// What this compactor is called in the lease, for people to read.
        holder: String,
        /// How long the others wait for one that died.
        duration: Duration,
    },
}

/// What the compactor is given.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For merges, which take minutes: best a pool of the compactor's own.
    pub pool: CpuPool,
    /// Where its metrics go.
    pub metrics: Metrics,
    /// Told when it is ready.
    pub probe: Probe,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            consistency_delay: Duration::from_mins(30),
            delete_delay: Duration::from_hours(48),
            repeat: Repeat::Once,
            meta_fetch_concurrency: 32,
            blocks_fetch_concurrency: 4,
            min_time: TimeBound::At(Timestamp::MIN),
            max_time: TimeBound::At(Timestamp::MAX),
            filter: BlockFilter::default(),
            shard: Shard::ALL,
            sharing: Sharing::default(),
            windows: WINDOWS.to_vec(),
            retention: Retention::default(),
            downsampling: Downsampling::default(),
            replicas: Replicas::default(),
            output: OutputFormat::default(),
            progress: ProgressStyle::default(),
            merge: MergeOptions::default(),
        }
    }
}

impl Config {
    /// Sees that the settings go together.
    ///
    /// # Errors
    /// When samples would be deleted before they are old enough to be downsampled.
    pub(crate) fn check(&self) -> Result<(), CompactError> {
        Ok(self.retention.check(self.downsampling)?)
    }

    /// What the planner is told at `now`.
    pub(crate) fn plan_options(&self, now: Timestamp) -> PlanOptions {
        PlanOptions {
            windows: self.windows.clone(),
            consistency_delay: millis(self.consistency_delay),
            times: TimeRange {
                min: self.min_time.resolve(now),
                max: self.max_time.resolve(now),
            },
            filter: self.filter.clone(),
            shard: self.shard,
            retention: self.retention,
            downsampling: self.downsampling,
            replicas: self.replicas.clone(),
            output: self.output,
            memory_budget: self.merge.memory_budget,
            unread: None,
            now,
        }
    }

    /// The leases that groups are worked on under, if the bucket is shared.
    pub(crate) fn leases(&self, bucket: &Bucket) -> Option<Leases> {
        match &self.sharing {
            Sharing::Alone => None,
            Sharing::Leases { holder, duration } => {
                Some(Leases::new(bucket.clone(), holder.clone(), *duration))
            }
        }
    }

    /// The folder of all work.
    pub(crate) fn work_dir(&self) -> PathBuf {
        self.data_dir.join("compact")
    }
}
