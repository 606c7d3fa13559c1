//! Makes a snapshot of what was listed and read.

use std::{collections::BTreeSet, sync::Arc};

use model::BlockMeta;

use super::{
    Listed, MetaFetcher,
    document::{Document, Kind},
};
use crate::{BlockObjects, BlockView, PartialBlock, Snapshot, UnreadBlock, UnusableMark};

impl MetaFetcher {
    /// The listed blocks and their contents.
    pub(super) fn snapshot(&self, listed: Listed) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let blocks = listed.blocks.into_iter();
        for objects in blocks.filter(|block| !block.files.is_empty()) {
            self.add(objects, &mut snapshot);
        }
        add_empty(listed.folders, &mut snapshot);
        snapshot
    }

    /// Adds a block.
    fn add(&self, objects: BlockObjects, snapshot: &mut Snapshot) {
        let mut meta = None;
        let (mut deletion_mark, mut no_compact_mark, mut no_downsample_mark) = (None, None, None);
        let (mut unusable, mut unusable_marks, mut unread) = (None, Vec::new(), None);
        for (kind, object) in Kind::ALL
            .iter()
            .filter_map(|kind| Some((kind, objects.files.get(kind.file())?)))
        {
            unread = unread.or_else(|| self.unread.get_key_value(&object.key));
            match self.known.get(&object.key).map(|known| &known.document) {
                Some(Document::Meta(found)) => meta = Some(Arc::clone(found)),
                Some(Document::Deletion(mark)) => deletion_mark = Some(mark.clone()),
                Some(Document::NoCompact(mark)) => no_compact_mark = Some(mark.clone()),
                Some(Document::NoDownsample(mark)) => no_downsample_mark = Some(mark.clone()),
                Some(Document::Unusable(found)) if *kind == Kind::Meta => {
                    unusable = Some(found.clone());
                }
                Some(Document::Unusable(reason)) => unusable_marks.push(UnusableMark {
                    file: kind.file(),
                    reason: reason.clone(),
                }),
                None => {}
            }
        }
        let unread = unread.map(|(key, unread)| UnreadBlock {
            objects: objects.clone(),
            key: key.clone(),
            reason: unread.reason.clone(),
            meta: meta.clone(),
        });
        match (unusable, meta, unread) {
            (None, Some(meta), unread) => {
                snapshot.blocks.push(BlockView {
                    objects,
                    meta,
                    deletion_mark,
                    no_compact_mark,
                    no_downsample_mark,
                    unusable_marks,
                });
                snapshot.unread.extend(unread);
            }
            // An unread `meta.json` may replace an unusable one, and be needed.
            (_, _, Some(unread)) if unread.lacks_meta() => snapshot.unread.push(unread),
            (Some(reason), _, unread) => {
                snapshot.partial.push(PartialBlock { objects, reason });
                snapshot.unread.extend(unread);
            }
            (None, None, _) => {
                let reason = format!("{}: not found", objects.key(BlockMeta::FILE));
                snapshot.partial.push(PartialBlock { objects, reason });
            }
        }
    }
}

/// Adds the empty ones of `folders`.
fn add_empty(folders: Vec<BlockObjects>, snapshot: &mut Snapshot) {
    let blocks = snapshot.blocks.iter().map(|block| &block.objects);
    let partial = snapshot.partial.iter().map(|block| &block.objects);
    let unread = snapshot.unread.iter().map(|block| &block.objects);
    let filled: BTreeSet<String> = blocks
        .chain(partial)
        .chain(unread)
        .map(|objects| objects.root.clone())
        .collect();
    for objects in folders {
        if !filled.contains(&objects.root) {
            let key = objects.key(BlockMeta::FILE);
            let reason = format!("{key}: not found, the folder is empty");
            snapshot.partial.push(PartialBlock { objects, reason });
        }
    }
    let partial = &mut snapshot.partial;
    partial.sort_by(|a, b| a.objects.root.cmp(&b.objects.root));
}
