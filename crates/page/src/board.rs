//! What a daemon tells the page.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use bucket::{BlockView, Snapshot};
use model::{BlockId, Timestamp};
use parking_lot::Mutex;
use service::blocking;

use crate::{Contents, Failure, Phase, Planned, RunningTask, Started, running::Failures};

/// What a daemon sees and does, for those who watch it. Clones share it; the default one shows nothing and costs
/// nothing.
#[derive(Clone, Debug, Default)]
pub struct Board(Option<Arc<Mutex<State>>>);

/// What is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) contents: Arc<Contents>,
    /// One more whenever the contents or the plan change.
    pub(crate) version: u64,
    /// When the bucket was last looked at, in vain or not.
    pub(crate) looked_at: Option<Timestamp>,
    /// When `contents` were listed.
    pub(crate) listed_at: Option<Timestamp>,
    /// Why the last look was in vain, if it was.
    pub(crate) error: Option<String>,
    pub(crate) plan: Option<Arc<Planned>>,
    /// The Parquet blocks that a gateway serves whole.
    pub(crate) served: Option<Arc<Vec<BlockId>>>,
    pub(crate) running: BTreeMap<String, RunningTask>,
    pub(crate) failures: Failures,
}

impl Board {
    /// One that is shown.
    #[must_use]
    pub fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// Whether anyone may watch.
    #[must_use]
    pub const fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// The bucket was listed at `at`; `is_loaded` tells with which blocks the component works.
    pub async fn listed(
        &self,
        snapshot: &Arc<Snapshot>,
        at: Timestamp,
        is_loaded: impl Fn(&BlockView) -> bool + Send + 'static,
    ) {
        let Some(before) = self.read(|state| Arc::clone(&state.contents)) else {
            return;
        };
        let snapshot = Arc::clone(snapshot);
        let changed = blocking(move || {
            let now = Contents::of(&snapshot, is_loaded);
            (now != *before).then_some(now)
        });
        let changed = changed.await;
        self.change(|state| {
            if let Some(contents) = changed {
                state.contents = Arc::new(contents);
                state.version += 1;
            }
            (state.looked_at, state.listed_at) = (Some(at), Some(at));
            state.error = None;
        });
    }

    /// A gateway serves these Parquet blocks from now on, each with all of its time.
    pub fn serves(&self, blocks: Vec<BlockId>) {
        let blocks = Arc::new(blocks);
        self.change(|state| state.served = Some(blocks));
    }

    /// The bucket could not be listed at `at`. What was listed before stays.
    pub fn not_listed(&self, error: &str, at: Timestamp) {
        self.change(|state| {
            state.looked_at = Some(at);
            state.error = Some(error.to_owned());
        });
    }

    /// This is planned now.
    pub fn planned(&self, plan: impl FnOnce() -> Planned) {
        if self.is_shown() {
            let plan = Arc::new(plan());
            self.change(|state| {
                state.plan = Some(plan);
                state.version += 1;
            });
        }
    }

    /// A task runs until the returned value is dropped.
    #[must_use]
    pub fn started(&self, task: impl FnOnce() -> RunningTask) -> Started {
        let mut id = String::new();
        if self.is_shown() {
            let task = task();
            id.clone_from(&task.task.id);
            self.change(|state| {
                state.running.insert(task.task.id.clone(), task);
            });
        }
        Started {
            board: self.clone(),
            id,
        }
    }

    pub(crate) fn ended(&self, id: &str) {
        self.change(|state| {
            state.running.remove(id);
        });
    }

    /// A running task is so far.
    pub fn phase(&self, id: &str, phase: Phase) {
        self.change(|state| {
            if let Some(running) = state.running.get_mut(id) {
                running.phase = phase;
            }
        });
    }

    /// A running task merges: `series` counts the series of its inputs that are done, of so many.
    pub fn merges(&self, id: &str, series: &Arc<AtomicU64>, of: u64) {
        self.change(|state| {
            if let Some(running) = state.running.get_mut(id) {
                running.phase = Phase::Merging;
                running.series = Arc::clone(series);
                running.of_series = of;
            }
        });
    }

    /// This has failed so far in the run that is under way.
    pub fn failed(&self, failures: impl FnOnce() -> Vec<Failure>) {
        if self.is_shown() {
            let failures = failures();
            self.change(|state| state.failures.so_far(failures));
        }
    }

    /// A run is over: only its own failures are shown from now on.
    pub fn run_ended(&self) {
        self.change(|state| state.failures.run_ended());
    }

    /// What is shown now.
    pub(crate) fn state(&self) -> State {
        self.read(State::clone).unwrap_or_default()
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> Option<T> {
        self.0.as_ref().map(|state| read(&state.lock()))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        if let Some(state) = &self.0 {
            change(&mut state.lock());
        }
    }
}
