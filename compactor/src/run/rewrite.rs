//! Rewriting blocks, each under the lease of its group.

use bucket::{BlockView, Bucket, Snapshot};
use futures::future::BoxFuture;
use model::BlockId;
use tokio_util::sync::CancellationToken;

use super::{Compactor, EVER};
use crate::{
    CompactError, Config, Deps, Rewrite, RewriteMode, Rewritten, group::GroupKey, snapshot::Blocks,
};

/// Rewrites blocks, one after the other; `done` hears of each.
///
/// # Errors
/// At the first block that cannot be rewritten, or is not there; [`CompactError::Stopped`].
pub fn rewrite<'a>(
    config: Config,
    bucket: Bucket,
    deps: Deps,
    rewrite: &'a Rewrite,
    shutdown: CancellationToken,
    done: &'a mut (dyn FnMut(Rewritten) + Send),
) -> BoxFuture<'a, Result<(), CompactError>> {
    Box::pin(async move {
        let mut compactor = Compactor::unchecked(config, bucket, deps, shutdown);
        let stopped = compactor.turns.stopped();
        tokio::select! {
            ended = compactor.rewrite_all(rewrite, done) => ended,
            _ = stopped => Err(CompactError::Stopped),
        }
    })
}

/// Does `work` on two blocks of one group under the lease of that group, so that no compactor works at it meanwhile. It
/// begins once both were found to be there, without a deletion mark, and is not cut off by a stop.
///
/// # Errors
/// When another compactor works at the group, or a block is not as expected; [`CompactError::Stopped`]. Those of `work`.
pub async fn under_lease<T: Send, E: From<CompactError> + Send>(
    config: Config,
    bucket: Bucket,
    deps: Deps,
    blocks: [BlockId; 2],
    shutdown: CancellationToken,
    work: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, E> {
    let mut compactor = Compactor::unchecked(config, bucket, deps, shutdown);
    compactor.turns.check().await?;
    let [first, _] = blocks;
    let (_, view) = compactor.look_at(first).await?;
    let group = compactor.group_of(&view);
    let held = compactor.hold(group.clone()).await?;
    let until = held.until();
    let work = async {
        let snapshot = compactor.looker.look().await.map_err(CompactError::from)?;
        let now = Blocks::new(&snapshot);
        for block in blocks {
            let found = compactor.group_of(live(block, &snapshot, &now)?);
            if found != group {
                let reason = format!("expected a block of group {group}, found one of {found}");
                return Err(CompactError::Block { block, reason }.into());
            }
        }
        // As a commit: not once another may have the lease, and whole if a stop comes.
        let Some(_leave) = until.leave(compactor.now()).await else {
            return Err(CompactError::LeaseLost {
                name: group.clone(),
            }
            .into());
        };
        work.await
    };
    held.during(work).await?
}

impl Compactor {
    /// The name of a block's group.
    fn group_of(&self, view: &BlockView) -> String {
        let labels = self.config.replicas.group(&view.meta.external_labels());
        GroupKey::new(&labels, view.meta.resolution()).to_string()
    }

    async fn rewrite_all(
        &mut self,
        rewrite: &Rewrite,
        done: &mut (dyn FnMut(Rewritten) + Send),
    ) -> Result<(), CompactError> {
        if rewrite.mode == RewriteMode::Write {
            self.turns.check().await?;
        }
        for block in &rewrite.blocks {
            done(self.rewrite_one(*block, rewrite).await?);
        }
        Ok(())
    }

    async fn rewrite_one(
        &mut self,
        block: BlockId,
        rewrite: &Rewrite,
    ) -> Result<Rewritten, CompactError> {
        let (blocks, view) = self.look_at(block).await?;
        if rewrite.mode == RewriteMode::Dry {
            let compaction = self.compaction(&EVER);
            return compaction.rewrite(&view, rewrite, &blocks).await;
        }
        let held = self.hold(self.group_of(&view)).await?;
        let until = held.until();
        let work = async {
            // A compactor may have replaced it before the lease was ours.
            let (blocks, view) = self.look_at(block).await?;
            let compaction = self.compaction(&until);
            compaction.rewrite(&view, rewrite, &blocks).await
        };
        held.during(work).await?
    }

    /// The block as it is now.
    async fn look_at(&mut self, block: BlockId) -> Result<(Blocks, BlockView), CompactError> {
        let snapshot = self.looker.look().await?;
        let blocks = Blocks::new(&snapshot);
        let view = live(block, &snapshot, &blocks)?.clone();
        Ok((blocks, view))
    }
}

/// A block that is there, read, and not marked for deletion.
fn live<'a>(
    block: BlockId,
    snapshot: &Snapshot,
    blocks: &'a Blocks,
) -> Result<&'a BlockView, CompactError> {
    let mut unread = blocks.unread().iter();
    if let Some(unread) = unread.find(|unread| unread.objects.id == block) {
        let reason = unread.reason.clone();
        return Err(CompactError::Unread { reason });
    }
    let mut partial = snapshot.partial.iter();
    if let Some(partial) = partial.find(|partial| partial.objects.id == block) {
        let reason = partial.reason.clone();
        return Err(CompactError::Block { block, reason });
    }
    let view = blocks.get(block).ok_or(CompactError::Gone { block })?;
    if view.deletion_mark.is_some() {
        let reason = "expected no deletion mark, found one".to_owned();
        return Err(CompactError::Block { block, reason });
    }
    Ok(view)
}
