//! Looking at blocks as a whole: each is fetched and read.

use std::collections::BTreeSet;

use std::sync::Arc;

use bucket::{BlockView, Bucket, Snapshot};
use futures::future::BoxFuture;
use model::BlockId;
use tokio_util::sync::CancellationToken;

use super::{Compactor, EVER};
use crate::{CompactError, Config, Deps, Health, snapshot::Blocks};

/// A block that was examined.
#[derive(Debug)]
pub struct Examined<'a> {
    /// The block.
    pub view: &'a BlockView,
    /// What it holds; an error if it is damaged.
    pub health: Result<Health, CompactError>,
    /// How many blocks are done, this one included.
    pub done: usize,
    /// How many there are.
    pub of: usize,
}

/// Examines blocks, one after the other; without `ids`, all that are not marked for deletion. `found` hears of each.
/// Gives what is in the bucket.
///
/// # Errors
/// When the bucket or the disk fails. A block that is damaged is no error: `found` hears of it.
pub fn examine<'a>(
    config: Config,
    bucket: Bucket,
    deps: Deps,
    ids: &'a BTreeSet<BlockId>,
    found: &'a mut (dyn FnMut(Examined<'_>) + Send),
) -> BoxFuture<'a, Result<Arc<Snapshot>, CompactError>> {
    Box::pin(async move {
        let compactor = Compactor::unchecked(config, bucket, deps, CancellationToken::new());
        let snapshot = compactor.looker.look().await?;
        let blocks = Blocks::new(&snapshot);
        if let Some(missing) = ids.iter().find(|id| blocks.get(**id).is_none()) {
            return Err(CompactError::Gone { block: *missing });
        }
        let is_wanted = |view: &&BlockView| match ids.is_empty() {
            true => view.deletion_mark.is_none(),
            false => ids.contains(&view.objects.id),
        };
        let wanted: Vec<&BlockView> = blocks.iter().filter(is_wanted).collect();
        for (view, done) in wanted.iter().zip(1..) {
            let health = compactor.compaction(&EVER).examine(view, &blocks).await;
            match health {
                Err(error) if !error.is_of_block() => return Err(error),
                health => found(Examined {
                    view,
                    health,
                    done,
                    of: wanted.len(),
                }),
            }
        }
        Ok(snapshot)
    })
}
