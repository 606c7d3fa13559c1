//! What the sources hold, read sample by sample, where an output has fewer than their `meta.json` state.
//!
//! The merge may be right all the same. A source may have fewer samples than it states, which is damage. Or chunks of one
//! block or of two overlap and hold samples twice, or tombstones delete some, which is not.

use std::path::{Path, PathBuf};

use crate::{CompactError, Task, merge};

/// Checks that the sources of `task`, which are below `dir`, hold at most `found` samples by the rules of the merge.
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
