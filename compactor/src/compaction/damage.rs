//! What is made of a source that turns out to be damaged.
//!
//! ```text
//! error names a block ─▶ would another attempt find the same? ─ no ─▶ left unmarked
//!                             │ yes
//!                        is it so in the bucket, or only here? ─ only here ─▶ left unmarked, fetched anew next time
//!                             │ in the bucket
//!                        no-compact-mark.json: the next run leaves it without another attempt
//! ```

use std::path::Path;

use bucket::Mark;
use model::{BlockId, BlockMeta};

use super::{Compaction, fetch};
use crate::{CompactError, metrics::DAMAGED, snapshot::Blocks, verify};

impl Compaction<'_> {
    /// Marks the block that `error` blames, if it is damaged where it lies; `dir` is the task's folder.
    ///
    /// Gives the error that then holds: that the block is marked, that the copy here is wrong, or `error` itself.
    pub(super) async fn judge(
        &self,
        error: CompactError,
        blocks: &Blocks,
        dir: &Path,
    ) -> CompactError {
        let Some(block) = error.lasting_damage() else {
            return error;
        };
        match self.is_damaged_there(block, blocks, dir).await {
            Ok(true) => {}
            Ok(false) => return error,
            Err(CompactError::Differs { key, .. }) => {
                let source = Box::new(error);
                return CompactError::CopyDiffers { key, source };
            }
            Err(doubt) => {
                tracing::warn!(%block, error = %doubt, "damaged block not compared with the bucket, so not marked");
                return error;
            }
        }
        // Where it lay here says nothing to who reads the mark.
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

    /// Whether the block is still there, and its files are those that were merged.
    ///
    /// # Errors
    /// [`CompactError::Differs`] when a file here is not what is in the bucket.
    async fn is_damaged_there(
        &self,
        block: BlockId,
        blocks: &Blocks,
        dir: &Path,
    ) -> Result<bool, CompactError> {
        let Some(view) = blocks.get(block) else {
            return Ok(false);
        };
        // One that is being deleted loses this first.
        let meta = view.objects.key(BlockMeta::FILE);
        if !self.bucket.exists(&meta).await? {
            return Ok(false);
        }
        let Ok(files) = fetch::files(view, &dir.join(block.to_string())) else {
            // The listing itself shows what is wrong.
            return Ok(true);
        };
        for file in files {
            verify::same_bytes(&file.path, &file.key, file.size, self.bucket).await?;
        }
        Ok(true)
    }
}
