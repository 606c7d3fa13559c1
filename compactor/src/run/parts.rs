//! Parts of a run, each by itself.

use bucket::Bucket;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{Compactor, Listed, Work, tell_unread};
use crate::{CompactError, Config, Deps, Expired, Summary, snapshot::Blocks};

/// Deletes the blocks that were marked longer ago than the delete delay, and abandoned uploads.
///
/// # Errors
/// When the bucket cannot be listed. What concerns one block is in the summary.
pub fn clean_now(
    config: Config,
    bucket: Bucket,
    deps: Deps,
) -> BoxFuture<'static, Result<Summary, CompactError>> {
    Box::pin(async move {
        let compactor = Compactor::unchecked(config, bucket, deps, CancellationToken::new());
        let snapshot = compactor.looker.look().await?;
        let mut summary = Summary::default();
        let cleaner = compactor.cleaner();
        cleaner
            .delete_marked(&Blocks::new(&snapshot), &mut summary)
            .await;
        cleaner.delete_partial(&snapshot, &mut summary).await;
        tell_unread(&snapshot, &mut summary);
        Ok(summary)
    })
}

/// Marks the blocks for deletion that are past the retention of their resolution. With them come the blocks that would
/// be, had they been downsampled.
///
/// A retention may be shorter than the blocks that are downsampled are long, as what is not downsampled is kept.
///
/// # Errors
/// When the bucket cannot be listed. What concerns one block is in the summary.
pub fn retain_now(
    config: Config,
    bucket: Bucket,
    deps: Deps,
) -> BoxFuture<'static, Result<(Summary, Vec<Expired>), CompactError>> {
    Box::pin(async move {
        let compactor = Compactor::unchecked(config, bucket, deps, CancellationToken::new());
        let snapshot = compactor.looker.look().await?;
        let blocks = Blocks::new(&snapshot);
        let plan = compactor.plan(&blocks);
        let mut summary = Summary::default();
        let cleaner = compactor.cleaner();
        cleaner.mark_expired(&plan, &blocks, &mut summary).await;
        tell_unread(&snapshot, &mut summary);
        Ok((summary, plan.overdue))
    })
}

/// Downsamples all blocks that are long enough, each by itself and under the lease of its group. Blocks that overlap are
/// left, as they are downsampled once they are merged.
///
/// # Errors
/// When the bucket cannot be listed; [`CompactError::Stopped`]. What concerns one task is in the summary.
pub fn downsample_all(
    config: Config,
    bucket: Bucket,
    deps: Deps,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<Summary, CompactError>> {
    Box::pin(async move {
        // Without windows no block waits for others.
        let config = Config {
            windows: Vec::new(),
            ..config
        };
        let mut compactor = Compactor::unchecked(config, bucket, deps, shutdown);
        compactor.work = Work::Downsampling;
        let stopped = compactor.turns.stopped();
        tokio::select! {
            done = compactor.downsample() => done,
            _ = stopped => Err(CompactError::Stopped),
        }
    })
}

impl Compactor {
    async fn downsample(&mut self) -> Result<Summary, CompactError> {
        self.turns.check().await?;
        let (mut summary, mut tried) = Default::default();
        loop {
            let at = self.now();
            let snapshot = self.looker.look().await?;
            let blocks = Blocks::new(&snapshot);
            let plan = self.plan(&blocks);
            let mut progress = false;
            for (group, tasks) in plan.by_group() {
                let listed = Listed {
                    at,
                    blocks: &blocks,
                    tasks,
                };
                progress |= self.work_on(group, listed, &mut tried, &mut summary).await;
            }
            if !progress {
                self.tell_unusable(&snapshot, &mut summary);
                tell_unread(&snapshot, &mut summary);
                return Ok(summary);
            }
        }
    }
}
