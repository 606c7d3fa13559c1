//! The blocks of the bucket, as the planner and the tasks need them.

use std::{collections::BTreeMap, sync::Arc};

use bucket::{BlockView, Snapshot, UnreadBlock};
use model::{BlockId, ServedMark};

use crate::Candidate;

/// The blocks of the bucket by their names. Of two that share one, which no program makes, that below `parquet/` is
/// taken and the other one left as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    by_id: BTreeMap<BlockId, BlockView>,
    /// Those that are not known as they are listed, as the bucket did not give a `meta.json` or a mark.
    unread: Vec<UnreadBlock>,
}

impl Blocks {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let mut blocks = BTreeMap::new();
        for view in &snapshot.blocks {
            let objects = &view.objects;
            let before: Option<BlockView> = blocks.insert(objects.id, view.clone());
            if let Some(before) = before {
                let (left, taken) = (&*before.objects.root, &*objects.root);
                tracing::warn!(
                    left,
                    taken,
                    "two blocks share a name, one of them is left alone"
                );
            }
        }
        Self {
            by_id: blocks,
            unread: snapshot.unread.clone(),
        }
    }

    /// Those that are not known as they are listed.
    pub(crate) fn unread(&self) -> &[UnreadBlock] {
        &self.unread
    }

    /// Why nothing may be done with any block, if so: of one that could not be read nothing is known.
    pub(crate) fn unknown(&self) -> Option<&str> {
        let unknown = self.unread.iter().find(|block| block.meta.is_none());
        unknown.map(|block| block.reason.as_str())
    }

    pub(crate) fn get(&self, block: BlockId) -> Option<&BlockView> {
        self.by_id.get(&block)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &BlockView> {
        self.by_id.values()
    }

    /// A block as the planner sees it.
    pub(crate) fn candidate(&self, view: &BlockView) -> Candidate {
        let of = |unread: &&UnreadBlock| unread.objects.id == view.objects.id;
        let unread = self.unread.iter().find(of);
        candidate(view, unread.map(|unread| unread.reason.clone()))
    }

    /// As the planner sees them; `set_aside` are blocks that turned out to be damaged.
    pub(crate) fn candidates(&self, set_aside: &BTreeMap<BlockId, String>) -> Vec<Candidate> {
        let unread = self.unread.iter();
        let unread: BTreeMap<BlockId, &str> = unread
            .map(|block| (block.objects.id, block.reason.as_str()))
            .collect();
        let candidate = |view: &BlockView| Candidate {
            damage: set_aside.get(&view.objects.id).cloned(),
            ..candidate(
                view,
                unread.get(&view.objects.id).map(|&why| why.to_owned()),
            )
        };
        self.iter().map(candidate).collect()
    }
}

fn candidate(view: &BlockView, unread: Option<String>) -> Candidate {
    let served = view.objects.files.get(ServedMark::FILE);
    Candidate {
        meta: Arc::clone(&view.meta),
        bytes: view.objects.files.bytes(),
        deletion_mark: view.deletion_mark.as_deref().cloned(),
        no_compact_mark: view.no_compact_mark.as_deref().cloned(),
        no_downsample_mark: view.no_downsample_mark.as_deref().cloned(),
        served_since: served.map(|mark| mark.last_modified),
        unusable_marks: view.unusable_marks.clone(),
        damage: None,
        unread,
    }
}

#[cfg(test)]
mod tests {
    use bucket::{Bucket, MetaFetcher, SyncMetrics};
    use service::Metrics;

    use super::*;

    #[tokio::test]
    async fn of_two_blocks_of_one_name_the_one_in_parquet_is_taken() {
        const ID: &str = "01HF8B9V80XM795QY4ZC4QZX6R";
        let bucket = Bucket::in_memory();
        let meta = format!(r#"{{"ulid":"{ID}","minTime":0,"maxTime":1,"version":1}}"#);
        for root in [format!("parquet/{ID}"), ID.to_owned()] {
            let key = format!("{root}/meta.json");
            bucket.put(&key, meta.clone().into()).await.unwrap();
        }
        let metrics = Metrics::new().register_once("block syncs", SyncMetrics::register);
        let mut fetcher = MetaFetcher::new(bucket, None, 1, metrics);
        let snapshot = fetcher.fetch().await.unwrap();
        assert_eq!(snapshot.blocks.len(), 2);
        let blocks = Blocks::new(&snapshot);
        let roots: Vec<_> = blocks.iter().map(|view| &*view.objects.root).collect();
        assert_eq!(roots, [format!("parquet/{ID}")]);
    }
}
