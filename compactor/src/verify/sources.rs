//! What the sources hold, read sample by sample, where an output has fewer than their `meta.json` state.
//!
//! Several things may be the reason although the merge did all it should: a source has fewer samples than it states,
//! which is damage; or some are there twice, in chunks that overlap, of one block or of two, or are deleted by
//! tombstones, which is none.

use std::path::{Path, PathBuf};

use crate::{CompactError, Task, merge};

/// Sees that the sources of `task`, which are below `dir`, hold no more than `found` samples by the rules of the merge.
///
/// # Errors
/// When they do; when one holds fewer samples than it states, which is named.
pub(super) fn hold_at_most(found: u64, task: &Task, dir: &Path) -> Result<(), CompactError> {
    let dirs = task.input_ids().map(|id| dir.join(id.to_string()));
    let dirs: Vec<PathBuf> = dirs.collect();
    let held = merge::held(&dirs, task.format)?;
    for (input, stored) in task.inputs.iter().zip(&held.stored) {
        let stated = input.meta.stats.num_samples;
        if *stored < stated {
            return Err(CompactError::Block {
                block: input.meta.ulid,
                reason: format!("expected {stated} samples as meta.json states, found {stored}"),
            });
        }
    }
    if found < held.kept {
        return Err(CompactError::Output {
            what: "samples",
            expected: format!("the {} of the sources", held.kept),
            found: found.to_string(),
        });
    }
    Ok(())
}
