//! What a compactor has planned.

use std::{collections::BTreeMap, fmt, sync::Arc};

use model::{BlockId, Timestamp};
use serde::Serialize;

/// A plan.
#[derive(Clone)]
pub struct Planned {
    /// When it was made.
    pub at: Timestamp,
    /// What is planned for each block, or why it is left.
    pub notes: BTreeMap<BlockId, Note>,
    /// What is to be done.
    pub tasks: Vec<PlannedTask>,
    /// The whole of it as JSON, as `varve compact plan --output=json` prints it.
    pub json: Arc<dyn Fn() -> serde_json::Result<Vec<u8>> + Send + Sync>,
}

/// What a plan says of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// In one word.
    pub word: &'static str,
    /// As a sentence.
    pub text: String,
}

/// A task of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedTask {
    /// Its name.
    pub id: String,
    /// What becomes of what.
    pub text: String,
    /// The external labels of the blocks that it makes.
    pub labels: BTreeMap<String, String>,
    /// First millisecond of the output, included.
    pub min: Timestamp,
    /// End of the output in milliseconds, excluded.
    pub max: Timestamp,
    /// Bytes to read.
    pub bytes: u64,
    /// The blocks that it reads.
    pub inputs: Vec<BlockId>,
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planned")
            .field("at", &self.at)
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}
