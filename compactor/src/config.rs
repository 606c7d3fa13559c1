//! The settings of a compactor, and what it shares with its process.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use bucket::{BlockFilter, Bucket, Leases};
use model::{BlockId, TimeBound, TimeRange, Timestamp};
use page::Board;
use service::{Clock, CpuPool, Metrics, Probe};

use crate::{
    CompactError, Downsampling, MergeOptions, OutputFormat, PlanOptions, ProgressStyle, Replicas,
    Retention, Served, Shard, StoreClient, WINDOWS, millis,
};

/// Settings of a compactor. Names and defaults are those of Thanos's flags.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of work, below `compact/` (`--data-dir`). Default: `./data`.
    pub data_dir: PathBuf,
    /// The least age of a block that is compacted (`--consistency-delay`). Default: 30 m.
    pub consistency_delay: Duration,
    /// Time from marking a block for deletion to deleting it (`--delete-delay`). Default: 48 h.
    pub delete_delay: Duration,
    /// Whether to end once all is done (`--wait`, `--wait-interval`). Default: once.
    pub repeat: Repeat,
    /// How many `meta.json` are fetched at once (`--block-meta-fetch-concurrency`). Default: 32.
    pub meta_fetch_concurrency: usize,
    /// How many files of blocks are fetched at once (`--compact.blocks-fetch-concurrency`). Default: 4.
    pub blocks_fetch_concurrency: usize,
    /// Blocks that end before this time are left (`--min-time`). Default: none is.
    pub min_time: TimeBound,
    /// Blocks that begin after this time are left (`--max-time`). Default: none is.
    pub max_time: TimeBound,
    /// Blocks that it does not select are left (`--selector.relabel-config`). Default: none is.
    pub filter: BlockFilter,
    /// Groups of other shards are left (`--shard`). Default: none is.
    pub shard: Shard,
    /// Whether others work on the bucket too (`--compact.disable-leases`). Default: nobody does.
    pub sharing: Sharing,
    /// Lengths of the windows that blocks grow to (`--debug.max-compaction-level`). Default: 8 h, 2 d, 14 d.
    pub windows: Vec<i64>,
    /// How long blocks are kept (`--retention.resolution-raw` and its like). Default: for ever.
    pub retention: Retention,
    /// Whether blocks are downsampled (`--downsampling.disable`). Default: they are.
    pub downsampling: Downsampling,
    /// How replicas are told apart, and how their samples are deduplicated (`--deduplication.replica-label`,
    /// `--deduplication.func`). Default: there are none.
    pub replicas: Replicas,
    /// Store gateways: TSDB blocks stay until one of them has served the Parquet block that replaces them for
    /// `delete_delay` (`--compact.keep-until-served`). Default: none, and they do not wait.
    pub stores: Vec<StoreClient>,
    /// The format of output blocks (`--compact.output`). Default: Parquet.
    pub output: OutputFormat,
    /// How often the bucket is looked at for the page while a daemon is busy or pauses
    /// (`--block-viewer.global.sync-block-interval`, `-timeout`). Default: never.
    pub watching: Option<Watching>,
    /// How the progress of a merge is shown. Default: in the log.
    pub progress: ProgressStyle,
    /// How blocks are merged (`--compact.memory-budget`).
    pub merge: MergeOptions,
}

/// Whether to end once all is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// End.
    Once,
    /// Run again after this time, until told to stop.
    Every(Duration),
}

/// How often the bucket is looked at for the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watching {
    /// Time between two looks.
    pub interval: Duration,
    /// How long a look may take.
    pub timeout: Duration,
}

/// Whether others work on the bucket too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody does.
    #[default]
    Alone,
    /// They may: a compactor works on a group under a lease.
    Leases {
        /// This compactor's name in the lease, for people.
        holder: String,
        /// How long others wait for a compactor that died.
        duration: Duration,
    },
}

/// What the compactor shares with its process.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Gives the time.
    pub clock: Arc<dyn Clock>,
    /// Runs merges, which take minutes: best a pool of the compactor's own.
    pub pool: CpuPool,
    /// The registry of its metrics.
    pub metrics: Metrics,
    /// Reports whether it is ready.
    pub probe: Probe,
    /// Shows what it sees and does.
    pub board: Board,
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
            stores: Vec::new(),
            output: OutputFormat::default(),
            watching: None,
            progress: ProgressStyle::default(),
            merge: MergeOptions::default(),
        }
    }
}

impl Config {
    /// Checks that the settings fit together.
    ///
    /// # Errors
    /// When samples would be deleted before they are old enough to be downsampled, or blocks that are kept would be
    /// merged again and again.
    pub(crate) fn check(&self) -> Result<(), CompactError> {
        if !self.stores.is_empty() && self.filter.tells_blocks_apart() {
            return Err(CompactError::KeptByBlockId);
        }
        Ok(self.retention.check(self.downsampling)?)
    }

    /// The planner's settings at `now`.
    pub(crate) fn plan_options(&self, now: Timestamp) -> PlanOptions {
        PlanOptions {
            windows: self.windows.clone(),
            consistency_delay: millis(self.consistency_delay),
            times: TimeRange {
                min: self.min_time.resolve(now),
                max: self.max_time.resolve(now),
            },
            filter: self.filter.frozen(),
            shard: self.shard,
            retention: self.retention,
            downsampling: self.downsampling,
            replicas: self.replicas.clone(),
            output: self.output,
            memory_budget: self.merge.memory_budget,
            served: self.served(BTreeSet::new(), false),
            unread: None,
            now,
        }
    }

    /// That store gateways serve these blocks, if TSDB blocks wait for that; `is_complete` if all gateways said so.
    pub(crate) fn served(
        &self,
        blocks: BTreeSet<BlockId>,
        is_complete: bool,
    ) -> Option<Arc<Served>> {
        let served = || Served {
            blocks,
            is_complete,
            delay: millis(self.delete_delay),
        };
        (!self.stores.is_empty()).then(|| Arc::new(served()))
    }

    /// The leases of groups, if the bucket is shared.
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
