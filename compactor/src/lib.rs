//! The compactor: merges the TSDB blocks of a bucket into Parquet blocks.
//!
//! [`plan()`] decides, as a function of the blocks' `meta.json` and the time; [`merge()`] turns local TSDB blocks into a
//! local Parquet block; [`run()`] brings the blocks here and the result back, verifies it there, commits it and marks
//! what it replaces.

mod blocking;
mod clean;
mod compaction;
mod config;
mod disk;
mod error;
mod group;
mod merge;
mod metrics;
mod plan;
mod run;
mod snapshot;
mod verify;

pub use crate::{
    compaction::Outcome,
    config::{Config, Deps, Repeat, TimeBound},
    error::CompactError,
    group::GroupKey,
    merge::{MergeError, MergeInput, MergeOptions, MergeOutput, merge},
    plan::{
        Candidate, Covered, CoveredBy, Left, LeftReason, Plan, PlanOptions, Task, WINDOWS, Window,
        plan,
    },
    run::{Summary, plan_now, run, run_task},
};

/// A duration in milliseconds; the longest there is where it is longer.
fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
