//! What runs, and what failed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use model::{BlockId, Timestamp};
use serde::Serialize;

use crate::{Board, PlannedTask};

/// A task that runs.
#[derive(Clone, Debug)]
pub struct RunningTask {
    /// What it is.
    pub task: PlannedTask,
    /// When it began.
    pub since: Timestamp,
    pub(crate) phase: Phase,
    pub(crate) series: Arc<AtomicU64>,
    pub(crate) of_series: u64,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Its inputs are fetched.
    #[default]
    Fetching,
    /// They are merged and downsampled.
    Merging,
    /// The outputs are read back and compared.
    Verifying,
    /// The outputs are uploaded.
    Uploading,
    /// The outputs are committed, the inputs are marked.
    Committing,
}

/// Something that could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// A task, a group or a block.
    pub what: String,
    /// What was done, on what, and what was found.
    pub error: String,
    /// When it was seen.
    pub at: Timestamp,
}

/// What failed in the last run, and what has failed in the one that is under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    last: Vec<Failure>,
    now: Vec<Failure>,
}

/// A task that is shown as running until this is dropped.
#[derive(Debug)]
pub struct Started {
    pub(crate) board: Board,
    pub(crate) id: String,
}

impl Drop for Started {
    fn drop(&mut self) {
        self.board.ended(&self.id);
    }
}

impl RunningTask {
    /// A task that begins.
    #[must_use]
    pub fn new(task: PlannedTask, since: Timestamp) -> Self {
        Self {
            task,
            since,
            phase: Phase::default(),
            series: Arc::default(),
            of_series: 0,
        }
    }

    /// How many series of its inputs are merged, and how many there are; 0 as long as it is not known.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let done = self.series.load(Ordering::Relaxed);
        (done.min(self.of_series), self.of_series)
    }
}

impl Failures {
    /// What has failed so far in the run that is under way.
    pub(crate) fn so_far(&mut self, failures: Vec<Failure>) {
        self.now = failures;
    }

    /// The run is over: what failed before it is forgotten.
    pub(crate) fn run_ended(&mut self) {
        self.last = std::mem::take(&mut self.now);
    }

    /// Those of now, and those of the last run, which may be mended by now. Each is there once.
    pub(crate) fn all(&self) -> Vec<Failure> {
        let mut all: BTreeMap<&str, &Failure> = BTreeMap::new();
        for failure in self.last.iter().chain(&self.now) {
            all.insert(&failure.what, failure);
        }
        all.into_values().cloned().collect()
    }
}

/// The blocks that tasks read, with the task of each.
pub(crate) fn inputs(running: &BTreeMap<String, RunningTask>) -> BTreeMap<BlockId, &RunningTask> {
    let tasks = running.values();
    tasks
        .flat_map(|run| run.task.inputs.iter().map(move |id| (*id, run)))
        .collect()
}
