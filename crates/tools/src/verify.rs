//! Blocks that overlap, or that a compactor has made twice, as `meta.json` tells; and their removal.

use std::{collections::BTreeMap, fmt, path::Path};

use bucket::{BlockView, Bucket, Mark, delete_block, mark_block};
use compactor::GroupKey;
use model::{BlockId, BlockMeta, Counted, Coverable, Sources, Timestamp, covered_by};
use serde::{Serialize, Serializer};

use crate::{ToolError, go, replicate::copy_block};

/// The details of the deletion mark of what `--repair` replaces, as Thanos has them.
pub const REPAIRED: &str = "manual verify-repair";

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issue {
    /// Contents against the format, or not as `meta.json` states.
    Index,
    /// Blocks of one group that overlap.
    Overlaps,
    /// Blocks of one group that hold the same.
    Duplicates,
}

/// Blocks of one group that overlap.
#[derive(Clone, Debug, Serialize)]
pub struct Overlap {
    /// The group, as Thanos names it.
    pub group: GroupKey,
    /// First millisecond that all of them have, included.
    pub min_time: Timestamp,
    /// End of the times that all of them have, excluded.
    pub max_time: Timestamp,
    /// The blocks, by their start.
    #[serde(serialize_with = "names")]
    pub blocks: Vec<BlockView>,
}

impl Issue {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Index, Self::Overlaps, Self::Duplicates];

    /// The name in `--issues`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Index => "index_known_issues",
            Self::Overlaps => "overlapped_blocks",
            Self::Duplicates => "duplicated_compaction",
        }
    }
}

/// The blocks that overlap, deleted ones apart, group by group. Blocks that overlap one another all along are told
/// together, as Prometheus does.
#[must_use]
pub fn overlaps(blocks: &[BlockView]) -> Vec<Overlap> {
    let mut groups: BTreeMap<GroupKey, Vec<&BlockView>> = BTreeMap::new();
    for view in blocks.iter().filter(|view| view.deletion_mark.is_none()) {
        let meta = &view.meta;
        let group = GroupKey::new(&meta.external_labels(), meta.resolution());
        groups.entry(group).or_default().push(view);
    }
    let mut found = Vec::new();
    for (group, mut blocks) in groups {
        blocks.sort_by_key(|view| (view.meta.min_time, view.objects.id));
        found.extend(overlaps_of(&blocks).into_iter().map(|blocks| {
            let metas = || blocks.iter().map(|view| &view.meta);
            Overlap {
                group,
                min_time: metas().map(|m| m.min_time).max().unwrap_or_default(),
                max_time: metas().map(|m| m.max_time).min().unwrap_or_default(),
                blocks: blocks.into_iter().cloned().collect(),
            }
        }));
    }
    found
}

fn overlaps_of<'a>(blocks: &[&'a BlockView]) -> Vec<Vec<&'a BlockView>> {
    let mut found: Vec<Vec<&BlockView>> = Vec::new();
    // Those that have not ended where the next one starts.
    let mut pending: Vec<&BlockView> = Vec::new();
    let mut continues = false;
    for view in blocks {
        let before = pending.len();
        pending.retain(|other| view.meta.min_time < other.meta.max_time);
        continues &= pending.len() == before;
        if !pending.is_empty() {
            match found.last_mut().filter(|_| continues) {
                Some(last) => last.push(view),
                None => {
                    found.push([pending.as_slice(), &[*view]].concat());
                    continues = true;
                }
            }
        }
        pending.push(view);
    }
    found
}

impl Overlap {
    /// The sets of blocks that hold the same: of equal times, level, sources and counts. The first of a set is the one
    /// that a compactor keeps, [`model::covered_by`].
    #[must_use]
    pub fn duplicates(&self) -> Vec<Vec<&BlockView>> {
        let mut sets: Vec<Vec<&BlockView>> = Vec::new();
        for view in &self.blocks {
            let same = sets.iter_mut().find(|set| {
                let first = set.first();
                first.is_some_and(|first| is_same(&first.meta, &view.meta))
            });
            match same {
                Some(set) => set.push(view),
                None => sets.push(vec![view]),
            }
        }
        sets.retain(|set| set.len() > 1);
        for set in &mut sets {
            let sources: Vec<Sources> = set.iter().map(|view| Sources::of(&view.meta)).collect();
            let coverable = set.iter().zip(&sources);
            let coverable = coverable.map(|(view, sources)| Coverable::new(&view.meta, sources));
            let covered = covered_by(&coverable.collect::<Vec<_>>());
            if let Some(kept) = covered.iter().position(Option::is_none) {
                set.swap(0, kept);
            }
        }
        sets
    }
}

/// Whether two blocks hold the same. Between formats the number of chunks may differ, so there all else counts.
fn is_same(a: &BlockMeta, b: &BlockMeta) -> bool {
    let stats = |meta: &BlockMeta| {
        let mut stats = meta.stats;
        if a.parquet.is_some() != b.parquet.is_some() {
            stats.num_chunks = 0;
        }
        stats
    };
    (a.min_time, a.max_time) == (b.min_time, b.max_time)
        && a.compaction.level == b.compaction.level
        && Sources::of(a) == Sources::of(b)
        && stats(a) == stats(b)
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = Counted(self.blocks.len() as u64, "block");
        write!(
            f,
            "group {}: {count} overlap from {} to {}:",
            self.group,
            go::time(self.min_time),
            go::time(self.max_time)
        )?;
        for view in &self.blocks {
            let meta = &view.meta;
            let length = go::duration(meta.max_time.0.saturating_sub(meta.min_time.0));
            let (id, min, max) = (meta.ulid, meta.min_time, meta.max_time);
            write!(
                f,
                " <ulid: {id}, mint: {min}, maxt: {max}, range: {length}>"
            )?;
        }
        Ok(())
    }
}

/// Copies a block to the backup bucket, unless it is there. Files pass through the folder `dir`. A copy that was cut off
/// is completed.
///
/// # Errors
/// When another block of that name is there, or the block cannot be copied.
pub async fn back_up(
    from: &Bucket,
    backup: &Bucket,
    view: &BlockView,
    dir: &Path,
) -> Result<(), ToolError> {
    let meta = view.objects.key(BlockMeta::FILE);
    if backup.exists(&meta).await? && backup.get(&meta).await? != from.get(&meta).await? {
        let block = view.objects.id;
        return Err(ToolError::BackedUp { block });
    }
    copy_block(from, backup, &view.objects, dir).await?;
    Ok(())
}

/// What becomes of a block that is no longer needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is deleted at once.
    Delete,
    /// It is marked for deletion.
    Mark,
}

/// Removes a block.
///
/// # Errors
/// When the bucket fails.
pub async fn remove(
    bucket: &Bucket,
    view: &BlockView,
    removal: Removal,
    now: Timestamp,
) -> Result<(), ToolError> {
    let (root, block) = (&view.objects.root, view.objects.id);
    match removal {
        Removal::Delete => delete_block(bucket, &view.objects).await?,
        Removal::Mark => {
            mark_block(bucket, root, block, Mark::Deletion, REPAIRED, now).await?;
        }
    }
    Ok(())
}

fn names<S: Serializer>(blocks: &[BlockView], serializer: S) -> Result<S::Ok, S::Error> {
    let ids = blocks.iter().map(|view| view.objects.id);
    serializer.collect_seq(ids.collect::<Vec<BlockId>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ID, OTHER, put, snapshot};

    const THIRD: &str = "01M8730Z9ADPS1ZRFG8H4AQGYD";

    /// The names of the blocks of each overlap; each block is its times, in hours.
    async fn found(blocks: &[(i64, i64)]) -> Vec<Vec<(i64, i64)>> {
        let bucket = Bucket::in_memory();
        for (number, (min, max)) in blocks.iter().enumerate() {
            let id = BlockId::new(Timestamp(1), number as u128).to_string();
            let times = format!(r#""minTime":{min},"maxTime":{max}"#);
            put(&bucket, &id, &times).await;
        }
        let snapshot = snapshot(&bucket).await;
        let times = |view: &BlockView| (view.meta.min_time.0, view.meta.max_time.0);
        overlaps(&snapshot.blocks)
            .iter()
            .map(|overlap| overlap.blocks.iter().map(times).collect())
            .collect()
    }

    /// Cases of Prometheus's own test.
    #[tokio::test]
    async fn overlaps_are_those_that_prometheus_finds() {
        let next = [(0, 2), (2, 4), (4, 6)];
        assert_eq!(found(&next).await, Vec::<Vec<_>>::new());
        assert_eq!(
            found(&[(0, 10), (1, 2), (3, 4), (10, 20)]).await,
            [vec![(0, 10), (1, 2)], vec![(0, 10), (3, 4)]]
        );
        assert_eq!(
            found(&[(0, 10), (5, 15), (8, 9), (20, 30)]).await,
            [vec![(0, 10), (5, 15), (8, 9)]]
        );
        assert_eq!(
            found(&[(1, 2), (1, 2), (5, 7), (6, 8)]).await,
            [vec![(1, 2), (1, 2)], vec![(5, 7), (6, 8)]]
        );
    }

    #[tokio::test]
    async fn what_holds_the_same_is_told_from_what_only_overlaps() {
        let bucket = Bucket::in_memory();
        let members = |samples: u64, chunks: u64| {
            format!(
                r#""minTime":0,"maxTime":9,"stats":{{"numSamples":{samples},"numChunks":{chunks}}},"compaction":{{"level":2,"sources":["{ID}"]}}"#
            )
        };
        put(&bucket, ID, &members(7, 3)).await;
        let parquet = format!(r#"{},"parquet":{{"version":1,"shards":[]}}"#, members(7, 2));
        put(&bucket, &format!("parquet/{OTHER}"), &parquet).await;
        put(&bucket, THIRD, &members(8, 3)).await;
        let snapshot = snapshot(&bucket).await;
        let overlaps = overlaps(&snapshot.blocks);
        assert_eq!(overlaps.len(), 1);
        let sets = overlaps[0].duplicates();
        let sets: Vec<Vec<String>> = sets
            .iter()
            .map(|set| set.iter().map(|v| v.objects.id.to_string()).collect())
            .collect();
        // As a compactor would, it keeps the Parquet block.
        assert_eq!(sets, [[OTHER, ID]]);
        let text = overlaps[0].to_string();
        assert!(
            text.starts_with("group 0@17241709254077376921: 3 blocks overlap from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00Z: <ulid: 01HF8"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_block_goes_only_once_it_is_in_the_backup() {
        let (from, backup) = (Bucket::in_memory(), Bucket::in_memory());
        put(&from, ID, r#""minTime":0,"maxTime":9"#).await;
        let key = format!("{ID}/index");
        from.put(&key, "index".into()).await.unwrap();
        let snapshot = snapshot(&from).await;
        let (view, dir) = (&snapshot.blocks[0], tempfile::tempdir().unwrap());
        back_up(&from, &backup, view, dir.path()).await.unwrap();
        assert_eq!(backup.get(&key).await.unwrap(), "index");
        back_up(&from, &backup, view, dir.path()).await.unwrap();
        // Another block of that name is not overwritten.
        let meta = format!("{ID}/meta.json");
        let before = backup.get(&meta).await.unwrap();
        backup.put(&meta, "{}".into()).await.unwrap();
        let again = back_up(&from, &backup, view, dir.path()).await;
        assert!(
            matches!(again, Err(ToolError::BackedUp { .. })),
            "{again:?}"
        );
        backup.put(&meta, before).await.unwrap();
        remove(&from, view, Removal::Mark, Timestamp(7_000))
            .await
            .unwrap();
        let mark = from.get(&format!("{ID}/deletion-mark.json")).await.unwrap();
        let text = String::from_utf8_lossy(&mark).into_owned();
        assert!(text.contains("manual verify-repair"), "{text}");
        remove(&from, view, Removal::Delete, Timestamp(7_000))
            .await
            .unwrap();
        assert!(from.list("", None).await.unwrap().is_empty());
    }
}
