//! The compactor: merges and downsamples the blocks of a bucket.
//!
//! [`plan()`] decides, as a function of the blocks' `meta.json` and the time; [`merge()`] turns local TSDB blocks into a
//! local Parquet block; [`run()`] brings the blocks here and the result back, verifies it there, commits it and marks
//! what it replaces.

mod blame;
mod clean;
mod compaction;
mod config;
mod disk;
mod downsample;
mod error;
mod group;
mod lease;
mod merge;
mod metrics;
mod output;
mod plan;
mod progress;
mod replicas;
mod rewrite;
mod run;
mod shard;
mod snapshot;
mod stores;
mod summary;
mod verify;

pub use crate::{
    compaction::Outcome,
    config::{Config, Deps, Repeat, Sharing, Watching},
    downsample::{DownsampleError, Downsampler},
    error::CompactError,
    group::GroupKey,
    merge::{
        Health, MergeError, MergeInput, MergeOptions, MergeOutput, MergeTarget, merge,
        penalty as deduplicate,
    },
    output::{Compression, Dedup, OutputFormat},
    plan::{
        Candidate, Covered, CoveredBy, Downsampling, Expired, GoDuration, Plan, PlanOptions,
        Retention, RetentionError, Served, SkipReason, Skipped, Task, Todo, Unusable, WINDOWS,
        Window, plan, todo,
    },
    progress::ProgressStyle,
    replicas::{NoReplicaLabel, Replicas},
    rewrite::{Deletion, EditError, Edits, Original, Rewrite, RewriteMode, Rewritten},
    run::{
        Examined, clean_now, downsample_all, examine, plan_now, retain_now, rewrite, run, run_task,
        under_lease,
    },
    shard::{Shard, ShardError},
    stores::{StoreClient, StoreError},
    summary::Summary,
};

/// A duration in milliseconds; the longest there is where it is longer.
fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds as a duration; none where the clock went back.
fn duration(millis: i64) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
