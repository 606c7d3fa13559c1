//! The shipper: uploads the blocks of a TSDB folder, oldest first, as Thanos's sidecar does.
//!
//! A block that cannot be uploaded is named and tried again in the next pass; the others go on.

mod discover;
mod index_stats;
mod meta;
mod overlap;
mod stage;
mod state;

use std::{collections::BTreeSet, path::PathBuf};

use bucket::Bucket;
use model::{BlockId, BlockMeta, IndexStats, Labels, Timestamp};
use service::{blocking, in_span, span};

use self::{discover::Found, stage::Staged, state::State};
use crate::{Config, Deps, HashFunc, Levels, Overlaps, SidecarError, metrics::SidecarMetrics};

/// Uploads the blocks of one folder to one bucket.
#[derive(Debug)]
pub(crate) struct Shipper<'a> {
    pub(crate) config: &'a Config,
    pub(crate) bucket: &'a Bucket,
    pub(crate) deps: &'a Deps,
    pub(crate) metrics: &'a SidecarMetrics,
}

/// What one pass over the folder did.
#[derive(Debug, Default)]
pub struct Pass {
    /// Blocks that were uploaded.
    pub uploaded: Vec<BlockId>,
    /// Blocks that were in the bucket already.
    pub present: Vec<BlockId>,
    /// Blocks that are not meant to be uploaded: without samples, or compacted.
    pub skipped: Vec<BlockId>,
    /// Blocks that could not be uploaded, with the reason.
    pub failed: Vec<(BlockId, SidecarError)>,
}

impl Shipper<'_> {
    /// Uploads what is not in the bucket yet, with the labels `external`.
    ///
    /// # Errors
    /// When the folder cannot be listed or the shipper file cannot be written.
    pub(crate) async fn pass(&self, external: &Labels) -> Result<Pass, SidecarError> {
        let done = self.try_pass(external).await;
        match &done {
            Ok(pass) if pass.failed.is_empty() => self.metrics.dir_syncs.inc(),
            _ => self.metrics.dir_sync_failures.inc(),
        };
        let all = self.config.levels == Levels::All;
        let complete = matches!(&done, Ok(pass) if all && pass.failed.is_empty());
        self.metrics.upload_compacted_done.set(complete.into());
        done
    }

    async fn try_pass(&self, external: &Labels) -> Result<Pass, SidecarError> {
        let dir = self.config.tsdb_path.clone();
        let file = self.config.shipper_file();
        let uploads = self.uploads();
        let (found, mut state) = blocking(move || {
            if let Err(error) = stage::clear(&uploads) {
                tracing::warn!(%error, "upload folders of an earlier pass not removed");
            }
            let found = discover::blocks(&dir)?;
            Ok::<(Found, State), SidecarError>((found, State::load(file)))
        })
        .await?;
        let mut pass = Pass::default();
        for (id, error) in found.broken {
            tracing::error!(block = %id, %error, "local block cannot be read");
            self.metrics.corrupted_blocks.inc();
            pass.failed.push((id, error));
        }
        let here: BTreeSet<BlockId> = found.blocks.iter().map(|m| m.ulid).collect();
        for meta in found.blocks {
            state = self.handle(meta, external, state, &mut pass).await?;
        }
        blocking(move || state.retain(&here)).await?;
        Ok(pass)
    }

    /// Uploads one block if that is to be done; notes in `pass` and in the shipper file what came of it.
    async fn handle(
        &self,
        meta: BlockMeta,
        external: &Labels,
        mut state: State,
        pass: &mut Pass,
    ) -> Result<State, SidecarError> {
        let id = meta.ulid;
        if state.has(id) {
            pass.present.push(id);
            return Ok(state);
        }
        if !self.is_wanted(&meta) {
            pass.skipped.push(id);
            return Ok(state);
        }
        match self.ship(meta, external).await {
            Ok(Shipped::Now) => {
                self.metrics.uploads.inc();
                tracing::info!(block = %id, "uploaded");
                pass.uploaded.push(id);
            }
            Ok(Shipped::Before) => pass.present.push(id),
            Err(error) => {
                self.metrics.upload_failures.inc();
                tracing::error!(block = %id, %error, "block not uploaded, the next pass tries again");
                pass.failed.push((id, error));
                return Ok(state);
            }
        }
        let state = blocking(move || {
            if let Err(error) = state.add(id) {
                // The bucket knows too, and the other blocks must not wait for a disk that is full.
                tracing::warn!(block = %id, %error, "upload not noted yet");
            }
            state
        });
        Ok(state.await)
    }

    fn is_wanted(&self, meta: &BlockMeta) -> bool {
        let level = meta.compaction.level;
        meta.stats.num_samples > 0 && (level <= 1 || self.config.levels == Levels::All)
    }

    async fn ship(&self, meta: BlockMeta, external: &Labels) -> Result<Shipped, SidecarError> {
        let id = meta.ulid;
        let object = format!("{id}/{}", BlockMeta::FILE);
        if self.bucket.exists(&object).await? {
            return Ok(Shipped::Before);
        }
        let dir = self.config.tsdb_path.join(id.to_string());
        let stage = self.stage_dir(id);
        let clock = std::sync::Arc::clone(&self.deps.clock);
        let external = external.clone();
        let (hash_func, source) = (self.config.hash_func, self.config.source);
        let prepare = move || {
            let mut staged = Staged::new(&dir, stage)?;
            if hash_func == HashFunc::Sha256 {
                staged.hash()?;
            }
            staged.write_meta(&meta)?;
            let (stats, damage) = match index_stats::gather(&staged.dir) {
                Ok(stats) => (stats, None),
                Err(error) => (IndexStats::default(), Some(error)),
            };
            let now = Timestamp(clock.now_ms());
            let files = staged.files.clone();
            let meta = meta::with_thanos(meta, &external, source, files, stats, now);
            staged.write_meta(&meta)?;
            Ok::<_, SidecarError>((staged, meta, damage))
        };
        let (staged, meta, damage) = self.deps.pool.run(prepare).await?;
        if let Some(error) = damage {
            // Nobody else has these samples, so the block is kept as it is.
            tracing::warn!(block = %id, %error, "uploading a damaged block");
            self.metrics.corrupted_blocks.inc();
        }
        if meta.compaction.level > 1
            && self.config.overlaps == Overlaps::Refuse
            && let Some(other) = overlap::find(self.bucket, &meta).await?
        {
            return Err(SidecarError::Overlap { other });
        }
        let files = staged
            .files
            .iter()
            .map(|f| f.rel_path.clone())
            .collect::<Vec<_>>();
        let at_once = self.config.upload_concurrency;
        let root = id.to_string();
        let upload = bucket::upload_block(self.bucket, &staged.dir, &root, &files, at_once);
        in_span(span!("upload_block", block.id = root), upload).await?;
        blocking(move || drop(staged)).await;
        Ok(Shipped::Now)
    }

    fn stage_dir(&self, id: BlockId) -> PathBuf {
        self.uploads().join(id.to_string())
    }

    fn uploads(&self) -> PathBuf {
        self.config.tsdb_path.join("thanos").join("upload")
    }
}

/// When a block came into the bucket.
enum Shipped {
    Now,
    Before,
}
