//! What is made of a source that turns out to be damaged.
//!
//! ```text
//! error names no block, but sources may be to blame ─▶ found out by exclusion (exclude.rs)
//!      │
//! error names a block ─▶ is it so in the bucket, or only here? ─ only here ─▶ fetched again, and tried once more
//!      │ in the bucket
//! would another attempt find the same? ─ no ─▶ left unmarked
//!      │ yes
//! no-compact-mark.json: the next run leaves it without another attempt
//! ```

use std::path::Path;

use bucket::Mark;
use model::{BlockId, BlockMeta};

use super::{Compaction, fetch};
use crate::{CompactError, blame::Damage, metrics::DAMAGED, snapshot::Blocks, verify};

impl Compaction<'_> {
    /// Marks the block that `error` blames, if it is damaged in the bucket; `dir` is the task's folder.
    ///
    /// Returns the resulting error: that the block is marked, that the local copy is wrong, or `error` itself.
    pub(super) async fn judge(
        &self,
        error: CompactError,
        blocks: &Blocks,
        dir: &Path,
    ) -> CompactError {
        let Some(blamed) = error.blame().blamed() else {
            return error;
        };
        let block = blamed.block;
        // If two contradict one another, either copy may be damaged.
        for block in blamed.other.into_iter().chain([block]) {
            match self.is_as_here(block, blocks, dir).await {
                Ok(true) => {}
                Ok(false) => return error,
                Err(CompactError::Differs { key, .. }) => {
                    let source = Box::new(error);
                    return CompactError::CopyDiffers { block, key, source };
                }
                Err(doubt) => {
                    tracing::warn!(%block, error = %doubt, "damaged block not compared with the bucket, so not marked");
                    return error;
                }
            }
        }
        // A block that another release may read is not marked.
        if blamed.damage == Damage::Transient {
            return error;
        }
        // The local path means nothing to readers of the mark.
        let here = format!("{}/", dir.display());
        let details = error.to_string().replace(&here, "");
        let mark = Mark::NoCompact(DAMAGED);
        match self.mark(block, mark, &details, blocks).await {
            Ok(()) => CompactError::Marked {
                block,
                source: Box::new(error),
            },
            Err(failed) => {
                tracing::error!(%block, error = %failed, "damaged block not marked");
                error
            }
        }
    }

    /// Whether the block still exists, with the files that were merged.
    ///
    /// # Errors
    /// [`CompactError::Differs`] when a local file differs from the one in the bucket.
    async fn is_as_here(
        &self,
        block: BlockId,
        blocks: &Blocks,
        dir: &Path,
    ) -> Result<bool, CompactError> {
        let Some(view) = blocks.get(block) else {
            return Ok(false);
        };
        // A block that is being deleted loses this first.
        let meta = view.objects.key(BlockMeta::FILE);
        if !self.bucket.exists(&meta).await? {
            return Ok(false);
        }
        let Ok(files) = fetch::files(view, &dir.join(block.to_string())) else {
            // The listing itself shows the damage.
            return Ok(true);
        };
        for file in files {
            verify::same_bytes(&file.path, &file.key, file.size, self.bucket).await?;
        }
        Ok(true)
    }
}
