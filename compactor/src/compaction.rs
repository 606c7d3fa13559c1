//! One task, from the bucket to the bucket.
//!
//! ```text
//! download sources → merge → count → upload → read back → meta.json → deletion marks of the sources
//!                                                             └ from here on the block is there
//! ```
//! A crash before `meta.json` leaves files that no reader takes for a block, and the task is done again; a crash after
//! it leaves sources that the planner finds covered, and only the marks are made up for.

mod damage;
mod fetch;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bucket::Bucket;
use model::{BlockId, ParquetMeta, Timestamp};
use service::blocking;

use crate::{
    CompactError, Config, CoveredBy, Deps, MergeInput, MergeOutput, Task, disk,
    lease::Until,
    merge,
    metrics::CompactMetrics,
    plan::Made,
    progress::Progress,
    snapshot::Blocks,
    verify::{self, Claim},
};

/// Where Parquet blocks are.
const PARQUET_ROOT: &str = "parquet";

/// What one needs to do tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compaction<'a> {
    pub(crate) config: &'a Config,
    pub(crate) bucket: &'a Bucket,
    pub(crate) deps: &'a Deps,
    pub(crate) metrics: &'a CompactMetrics,
    /// Until when the group is ours.
    pub(crate) until: &'a Until,
}

/// What a task came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This Parquet block holds the samples of the inputs.
    Merged(BlockId),
    /// The inputs hold no sample.
    Empty,
}

impl Compaction<'_> {
    /// Does a task up to the commit; the sources are not marked for deletion. One that is damaged is marked as not to
    /// be compacted.
    ///
    /// # Errors
    /// When anything is not as it should be; then nothing is committed.
    pub(crate) async fn run(
        &self,
        task: &Arc<Task>,
        blocks: &Blocks,
    ) -> Result<Outcome, CompactError> {
        let dir = self.config.work_dir().join(&task.id);
        let done = match self.run_in(task, blocks, &dir).await {
            Err(error) => Err(self.judge(error, blocks, &dir).await),
            done => done,
        };
        if !matches!(&done, Err(error) if error.keeps_downloads()) {
            remove_dir(dir).await?;
        }
        done
    }

    async fn run_in(
        &self,
        task: &Arc<Task>,
        blocks: &Blocks,
        dir: &Path,
    ) -> Result<Outcome, CompactError> {
        let out = dir.join("out");
        self.make_room(task, dir, &out).await?;
        let inputs = fetch::inputs(task, blocks, self.bucket, dir, self.config).await?;
        let output = Arc::new(self.merge(task, inputs, out.clone()).await?);
        if output.stats.num_series == 0 {
            return Ok(Outcome::Empty);
        }
        let ulid = self.new_id();
        let claim = Claim {
            task: Arc::clone(task),
            files: {
                let (out, files) = (out.clone(), output.files.clone());
                blocking(move || verify::sized(&out, &files)).await?
            },
            output,
            dir: out,
            root: format!("{PARQUET_ROOT}/{ulid}"),
        };
        verify::local(&claim, &self.deps.pool).await?;
        if let Err(error) = self.upload(&claim).await {
            // Best effort: what stays is cleaned away once it is old.
            for file in &claim.files {
                let key = format!("{}/{}", claim.root, file.rel_path);
                if let Err(error) = self.bucket.delete(&key).await {
                    tracing::debug!(key, %error, "file of a failed upload not deleted");
                }
            }
            return Err(error);
        }
        self.commit(&claim, ulid).await?;
        Ok(Outcome::Merged(ulid))
    }

    /// Makes the folders, and sees that there is room.
    async fn make_room(&self, task: &Task, dir: &Path, out: &Path) -> Result<(), CompactError> {
        let (dir, out, needed) = (dir.to_owned(), out.to_owned(), task.disk_bytes);
        blocking(move || {
            match fs::remove_dir_all(&out) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(CompactError::io(&out)(error));
                }
                _ => fs::create_dir_all(&out).map_err(CompactError::io(&out))?,
            }
            disk::check(&dir, needed)
        })
        .await
    }

    async fn merge(
        &self,
        task: &Task,
        blocks: Vec<PathBuf>,
        out_dir: PathBuf,
    ) -> Result<MergeOutput, CompactError> {
        let input = MergeInput {
            blocks,
            range: task.range(),
            out_dir,
            options: self.config.merge.clone(),
        };
        let series_merged = self.metrics.series_merged.clone();
        let progress = Progress::start(self.config.progress, task, &self.deps.clock);
        let progress = move |series: u64| {
            series_merged.inc_by(series);
            progress.add(series);
        };
        let merge = move || merge(&input, &progress);
        Ok(self.deps.pool.run(merge).await?)
    }

    async fn upload(&self, claim: &Claim) -> Result<(), CompactError> {
        for file in &claim.files {
            let key = format!("{}/{}", claim.root, file.rel_path);
            let path = claim.dir.join(&file.rel_path);
            self.bucket.upload(&key, &path).await?;
        }
        verify::uploaded(claim, self.bucket, &self.deps.pool).await
    }

    async fn commit(&self, claim: &Claim, ulid: BlockId) -> Result<(), CompactError> {
        let meta = claim.task.meta(Made {
            ulid,
            stats: claim.output.stats,
            parquet: ParquetMeta {
                version: 1,
                shards: claim.output.shards.clone(),
            },
            files: claim.files.clone(),
            now: Timestamp(self.deps.clock.now_ms()),
        });
        if self.until.is_over(Timestamp(self.deps.clock.now_ms())) {
            let name = claim.task.group.to_string();
            return Err(CompactError::LeaseLost { name });
        }
        let key = format!("{}/{}", claim.root, model::BlockMeta::FILE);
        self.bucket.put(&key, meta.encode().into()).await?;
        Ok(())
    }

    /// Marks the inputs of a task that is committed.
    ///
    /// # Errors
    /// At the first mark that cannot be made; the planner will find the rest covered.
    pub(crate) async fn mark_inputs(
        &self,
        task: &Task,
        outcome: Outcome,
        blocks: &Blocks,
    ) -> Result<(), CompactError> {
        for input in &task.inputs {
            let id = input.meta.ulid;
            let details = match outcome {
                Outcome::Merged(into) => CoveredBy::Parquet(into).to_string(),
                Outcome::Empty if input.meta.stats.num_samples == 0 => "empty block".to_owned(),
                // It says that it has samples, so somebody should look at it.
                Outcome::Empty => continue,
            };
            self.mark(id, &details, blocks).await?;
        }
        Ok(())
    }

    /// Marks a block for deletion.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub(crate) async fn mark(
        &self,
        block: BlockId,
        details: &str,
        blocks: &Blocks,
    ) -> Result<(), CompactError> {
        let Some(view) = blocks.get(block) else {
            return Ok(());
        };
        let now = Timestamp(self.deps.clock.now_ms());
        let root = &view.objects.root;
        bucket::mark_for_deletion(self.bucket, root, block, details, now).await?;
        self.metrics.marked_for_deletion();
        tracing::info!(%block, details, "marked for deletion");
        Ok(())
    }

    fn new_id(&self) -> BlockId {
        use std::hash::{BuildHasher as _, RandomState};
        // Each state is seeded by the system.
        let random = || u128::from(RandomState::new().hash_one(0));
        let now = Timestamp(self.deps.clock.now_ms());
        BlockId::new(now, random() << 64 | random())
    }
}

async fn remove_dir(dir: PathBuf) -> Result<(), CompactError> {
    blocking(move || match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CompactError::io(&dir)(error)),
        _ => Ok(()),
    })
    .await
}
