//! Finding the source that a failure comes from, where the failure does not tell.
//!
//! What is written may be against the limits of a format, and what is read back may not be what the sources hold: then
//! the task would fail at every run, and nobody would know which block to look at. So it is tried with fewer sources:
//!
//! ```text
//! all of them once more ─ goes well ─▶ it was chance; the next run does it
//!   │ fails
//! each alone ─ one fails ─▶ that one
//!   │ none
//! the first 1, 2, … k − 1, found by halving: with the k-th it fails
//!   └─ of those before it the last ones, found by halving ─▶ these two contradict one another
//! ```
//! That takes as long as the task once for all, once for each alone, and twice the logarithm of their number. An
//! attempt that names a block ends the search.

use std::{path::Path, sync::Arc};

use model::BlockId;

use super::Compaction;
use crate::{CompactError, Task, blame::Blame};

impl Compaction<'_> {
    /// The error with the one or two blocks that cause it; `error` itself if they cannot be found. The sources are
    /// below `dir`.
    pub(super) async fn explain(
        &self,
        error: CompactError,
        task: &Arc<Task>,
        dir: &Path,
    ) -> CompactError {
        if error.blame() != Blame::Unknown {
            return error;
        }
        tracing::warn!(task = task.id, %error, "searching for the block that causes the failure");
        match self.search(task, dir).await {
            Ok(Some(found)) => found,
            Ok(None) => error,
            Err(doubt) => {
                tracing::warn!(task = task.id, error = %doubt, "block that causes the failure not found");
                error
            }
        }
    }

    /// # Errors
    /// The error that prevents an attempt.
    async fn search(
        &self,
        task: &Arc<Task>,
        dir: &Path,
    ) -> Result<Option<CompactError>, CompactError> {
        let count = task.inputs.len();
        let all: Vec<usize> = (0..count).collect();
        let Some(mut fault) = self.attempt(task, &all, dir).await? else {
            return Ok(None);
        };
        for place in all {
            match self.attempt(task, &[place], dir).await? {
                Some(fault) if fault.blame() == Blame::Unknown => {
                    let source = Box::new(fault);
                    let block = name_of(task, place);
                    return Ok(block.map(|block| CompactError::Excluded { block, source }));
                }
                Some(named) => return Ok(Some(named)),
                None => {}
            }
        }
        // The first `goes` sources succeed, the first `fails` do not.
        let (mut goes, mut fails) = (1, count);
        while goes + 1 < fails {
            let half = goes + (fails - goes) / 2;
            let first: Vec<usize> = (0..half).collect();
            match self.attempt(task, &first, dir).await? {
                None => goes = half,
                Some(found) if found.blame() == Blame::Unknown => (fails, fault) = (half, found),
                Some(named) => return Ok(Some(named)),
            }
        }
        let last = fails.saturating_sub(1);
        // From source `from` to the last it fails; from any of `from + 1` to `alone` it does not.
        let (mut from, mut alone) = (0, last);
        while from + 1 < alone {
            let half = from + (alone - from) / 2;
            let some: Vec<usize> = (half..=last).collect();
            match self.attempt(task, &some, dir).await? {
                None => alone = half,
                Some(found) if found.blame() == Blame::Unknown => (from, fault) = (half, found),
                Some(named) => return Ok(Some(named)),
            }
        }
        let pair = match self.attempt(task, &[from, last], dir).await? {
            Some(found) if found.blame() == Blame::Unknown => Some((from, found)),
            Some(named) => return Ok(Some(named)),
            // It takes three of them.
            None => None,
        };
        let Some(block) = name_of(task, last) else {
            return Ok(None);
        };
        Ok(Some(match pair {
            Some((other, fault)) => CompactError::Contradiction {
                block,
                other: name_of(task, other).unwrap_or(block),
                source: Box::new(fault),
            },
            None => CompactError::Excluded {
                block,
                source: Box::new(fault),
            },
        }))
    }

    /// The fault of some of the sources, if they fail.
    ///
    /// # Errors
    /// When it is not their fault.
    async fn attempt(
        &self,
        task: &Arc<Task>,
        places: &[usize],
        dir: &Path,
    ) -> Result<Option<CompactError>, CompactError> {
        let inputs = places.iter().filter_map(|place| task.inputs.get(*place));
        let some = Arc::new(Task {
            inputs: inputs.cloned().collect(),
            ..Task::clone(task)
        });
        match self.make(&some, dir).await {
            Ok(_) => Ok(None),
            Err(error) if error.blame() != Blame::Nobody => Ok(Some(error)),
            Err(error) => Err(error),
        }
    }
}

fn name_of(task: &Task, place: usize) -> Option<BlockId> {
    task.inputs.get(place).map(|input| input.meta.ulid)
}
