//! What goes on now: small, as the page asks for it again and again.

use model::Timestamp;
use serde::Serialize;

use crate::{Failure, Phase, PlannedTask, board::State};

/// What goes on. Times are milliseconds since 1970.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Activity<'a> {
    /// The component.
    pub(crate) component: &'a str,
    /// The label whose value titles a group; empty for all labels.
    pub(crate) label: &'a str,
    /// Whether it plans.
    pub(crate) plans: bool,
    /// The time.
    pub(crate) now: Timestamp,
    /// The timeline of now.
    pub(crate) version: &'a str,
    pub(crate) looked_at: Option<Timestamp>,
    pub(crate) listed_at: Option<Timestamp>,
    pub(crate) error: Option<&'a str>,
    pub(crate) running: Vec<Running<'a>>,
    pub(crate) failed: Vec<Failure>,
}

/// A task that runs.
#[derive(Debug, Serialize)]
pub(crate) struct Running<'a> {
    #[serde(flatten)]
    task: &'a PlannedTask,
    since: Timestamp,
    phase: Phase,
    /// Series of its inputs that are merged.
    done: u64,
    /// Series of its inputs; 0 as long as it is not known.
    of: u64,
}

impl<'a> Activity<'a> {
    pub(crate) fn new(state: &'a State, now: Timestamp) -> Self {
        Self {
            component: "",
            label: "",
            plans: false,
            now,
            version: "",
            looked_at: state.looked_at,
            listed_at: state.listed_at,
            error: state.error.as_deref(),
            running: running(state),
            failed: state.failures.all(),
        }
    }
}

/// What runs, in the order of its ids.
pub(super) fn running(state: &State) -> Vec<Running<'_>> {
    let running = state.running.values().map(|run| {
        let (done, of) = run.progress();
        Running {
            task: &run.task,
            since: run.since,
            phase: run.phase,
            done,
            of,
        }
    });
    running.collect()
}
