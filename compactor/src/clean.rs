//! Deletes marked blocks, abandoned uploads, and the folders of former tasks.

use std::{collections::BTreeSet, fs, path::Path};

use bucket::{BlockObjects, BlockView, Mark, Snapshot};
use model::{BlockMeta, ServedMark, Timestamp};
use service::blocking;

use crate::{
    CompactError, CoveredBy, Plan, SkipReason, Summary, compaction::Compaction, duration,
    metrics::DAMAGED, millis, plan, snapshot::Blocks,
};

/// The age in milliseconds from which an upload without `meta.json` counts as abandoned: Thanos's 48 h.
const PARTIAL_UPLOAD_AGE: i64 = 48 * 3_600_000;

/// Cleans. The summary names what could not be cleaned; everything else goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cleaner<'a> {
    pub(crate) compaction: Compaction<'a>,
}

impl Cleaner<'_> {
    /// Deletes our blocks that were marked longer ago than the delete delay.
    pub(crate) async fn delete_marked(&self, blocks: &Blocks, summary: &mut Summary) {
        let metrics = self.compaction.metrics;
        let now = self.now();
        let options = self.compaction.config.plan_options(now);
        // A block is marked because another has its samples. If that one may be unread, nothing is deleted.
        if let Some(reason) = blocks.unknown() {
            tracing::warn!(
                reason,
                "no marked block is deleted, as a block could not be read"
            );
            return;
        }
        let group = |meta: &BlockMeta| options.replicas.group(&meta.external_labels());
        let unread = blocks
            .unread()
            .iter()
            .filter_map(|block| block.meta.as_ref());
        let waiting: Vec<_> = unread.map(|meta| group(meta)).collect();
        let is_ours = |view: &&BlockView| {
            plan::foreign(&view.meta, &options).is_none() && !waiting.contains(&group(&view.meta))
        };
        let due = blocks.iter().filter(|view| self.is_due(view, now));
        for view in due.filter(is_ours) {
            let block = view.objects.id;
            match bucket::delete_block(self.compaction.bucket, &view.objects).await {
                Ok(()) => {
                    metrics.blocks_cleaned.inc();
                    tracing::info!(%block, "deleted, as it was marked");
                    summary.deleted.push(block);
                }
                Err(error) => {
                    metrics.block_cleanup_failures.inc();
                    tracing::error!(%block, %error, "marked block not deleted");
                    summary.failed.push((block.to_string(), error.into()));
                }
            }
        }
    }

    fn is_due(&self, view: &BlockView, now: Timestamp) -> bool {
        let delay = millis(self.compaction.config.delete_delay);
        view.deletion_mark
            .as_ref()
            .is_some_and(|mark| now.0.saturating_sub(mark.marked_at().0) > delay)
    }

    /// Deletes the files of blocks without `meta.json`.
    ///
    /// A block with a `meta.json` that cannot be read is left for a human. As nothing else says to which shard they
    /// belong, the first shard deletes all of them.
    pub(crate) async fn delete_partial(&self, snapshot: &Snapshot, summary: &mut Summary) {
        if !self.compaction.config.shard.is_first() {
            return;
        }
        let now = self.now();
        for partial in &snapshot.partial {
            let objects = &partial.objects;
            let block = objects.id;
            let unreadable = objects.files.contains(BlockMeta::FILE);
            if unreadable || !is_abandoned(objects, now) {
                continue;
            }
            let before = Timestamp(now.0.saturating_sub(PARTIAL_UPLOAD_AGE));
            let bucket = self.compaction.bucket;
            match bucket.remove_left(&objects.root, before).await {
                Ok(0) => {}
                Ok(files) => tracing::info!(%block, files, "removed files of interrupted uploads"),
                Err(error) => {
                    tracing::error!(%block, %error, "files of interrupted uploads not removed");
                }
            }
            if objects.files.is_empty() {
                continue;
            }
            self.compaction.metrics.partial_upload_deletions.inc();
            match bucket::delete_block(self.compaction.bucket, objects).await {
                Ok(()) => {
                    tracing::info!(%block, "deleted, as its upload was abandoned");
                    summary.deleted.push(block);
                }
                Err(error) => {
                    tracing::error!(%block, %error, "abandoned upload not deleted");
                    summary.failed.push((block.to_string(), error.into()));
                }
            }
        }
    }

    /// Marks the Parquet blocks that a store gateway was now first seen to serve, and removes the mark of those that none
    /// serves any more.
    pub(crate) async fn mark_served(&self, plan: &Plan, blocks: &Blocks, summary: &mut Summary) {
        for &block in &plan.served {
            let Some(view) = blocks.get(block) else {
                continue;
            };
            let (root, now) = (&view.objects.root, self.now());
            match bucket::mark_served(self.compaction.bucket, root, block, now).await {
                Ok(()) => tracing::info!(%block, mark = ServedMark::FILE, "marked"),
                Err(error) => {
                    tracing::error!(%block, %error, "served block not marked");
                    summary.failed.push((block.to_string(), error.into()));
                }
            }
        }
        for &block in &plan.unserved {
            let Some(view) = blocks.get(block) else {
                continue;
            };
            let key = view.objects.key(ServedMark::FILE);
            match self.compaction.bucket.delete(&key).await {
                Ok(()) => {
                    tracing::warn!(%block, mark = ServedMark::FILE, "mark removed, as no store gateway serves the block any more");
                }
                Err(error) => {
                    tracing::error!(%block, %error, "mark of a block that is not served any more not removed");
                    summary.failed.push((block.to_string(), error.into()));
                }
            }
        }
    }

    /// Marks the blocks whose samples another block holds.
    pub(crate) async fn mark_covered(&self, plan: &Plan, blocks: &Blocks, summary: &mut Summary) {
        let (begun, failed) = (self.now(), summary.failed.len());
        for covered in &plan.covered {
            let details = covered.by.to_string();
            let marked = self
                .compaction
                .mark(covered.block, Mark::Deletion, &details, blocks);
            match marked.await {
                Ok(()) => {
                    if matches!(covered.by, CoveredBy::Block(_)) {
                        self.compaction.metrics.garbage_collected_blocks.inc();
                    }
                    summary.covered.push(covered.block);
                }
                Err(error) => {
                    tracing::error!(block = %covered.block, %error, "covered block not marked");
                    summary.failed.push((covered.block.to_string(), error));
                }
            }
        }
        let took = duration(self.now().0.saturating_sub(begun.0));
        let failures = summary.failed.len().saturating_sub(failed);
        self.compaction.metrics.garbage_collected(took, failures);
    }

    /// Marks the blocks that are past the retention of their resolution.
    pub(crate) async fn mark_expired(&self, plan: &Plan, blocks: &Blocks, summary: &mut Summary) {
        if !plan.overdue.is_empty() {
            let blocks = plan.overdue.len();
            tracing::info!(
                blocks,
                "past their retention, but kept until they are downsampled"
            );
        }
        for expired in &plan.expired {
            let (block, details) = (expired.block, expired.to_string());
            let marked = self
                .compaction
                .mark(block, Mark::Deletion, &details, blocks);
            match marked.await {
                Ok(()) => summary.expired.push(block),
                Err(error) => {
                    tracing::error!(%block, %error, "block past its retention not marked");
                    summary.failed.push((block.to_string(), error));
                }
            }
        }
    }

    /// Marks the blocks with impossible times as not to be compacted, so that a human looks at them.
    pub(crate) async fn mark_wrong_times(
        &self,
        plan: &Plan,
        blocks: &Blocks,
        summary: &mut Summary,
    ) {
        for skipped in &plan.skipped {
            let SkipReason::WrongTimes { error } = &skipped.reason else {
                continue;
            };
            let block = skipped.block;
            let source = CompactError::Block {
                block,
                reason: skipped.reason.to_string(),
            };
            let mark = Mark::NoCompact(DAMAGED);
            let details = format!("meta.json: {error}");
            let marked = self.compaction.mark(block, mark, &details, blocks);
            let error = match marked.await {
                Ok(()) => {
                    summary.no_compact.push(block);
                    let source = Box::new(source);
                    CompactError::Marked { block, source }
                }
                Err(error) => error,
            };
            tracing::error!(%block, %error, "block skipped, the run continues");
            summary.failed.push((block.to_string(), error));
        }
    }

    /// Removes the folders of tasks that are no longer planned; those of others are used again.
    pub(crate) async fn clean_work_dir(&self, plan: &Plan, summary: &mut Summary) {
        let dir = self.compaction.config.work_dir();
        let planned: BTreeSet<String> = plan.tasks.iter().map(|t| t.id.clone()).collect();
        let name = dir.display().to_string();
        if let Err(error) = blocking(move || keep_only(&dir, &planned)).await {
            tracing::error!(dir = name, %error, "work folder not cleared");
            summary.failed.push((name, error));
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.compaction.deps.clock.now_ms())
    }
}

/// Whether nothing was added for long. Without any time, the block's id gives its age.
fn is_abandoned(objects: &BlockObjects, now: Timestamp) -> bool {
    let latest = objects.files.iter().map(|(_, o)| o.last_modified).max();
    let latest = latest.unwrap_or_else(|| objects.id.time());
    now.0.saturating_sub(latest.0) > PARTIAL_UPLOAD_AGE
}

/// Creates `dir` if it is missing, and removes everything in it except the named folders.
fn keep_only(dir: &Path, names: &BTreeSet<String>) -> Result<(), CompactError> {
    fs::create_dir_all(dir).map_err(CompactError::io(dir))?;
    for entry in fs::read_dir(dir).map_err(CompactError::io(dir))? {
        let entry = entry.map_err(CompactError::io(dir))?;
        if entry
            .file_name()
            .to_str()
            .is_some_and(|n| names.contains(n))
        {
            continue;
        }
        let path = entry.path();
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => files::remove_folder(&path),
            _ => files::remove_file(&path),
        };
        removed.map_err(CompactError::io(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_folders_of_planned_tasks_stay() {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("compact");
        let names = BTreeSet::from(["0@1-2-3".to_owned()]);
        keep_only(&work, &names).unwrap();
        for name in ["0@1-2-3/A/chunks", "0@1-2-4/A"] {
            fs::create_dir_all(work.join(name)).unwrap();
        }
        fs::write(work.join("file"), "").unwrap();
        keep_only(&work, &names).unwrap();
        let left: Vec<_> = fs::read_dir(&work)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, ["0@1-2-3"]);
        assert!(work.join("0@1-2-3/A/chunks").try_exists().unwrap());
    }
}
