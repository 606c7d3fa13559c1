//! Makes a snapshot of what was listed and read.

use std::sync::Arc;

use model::BlockMeta;

use super::{
    MetaFetcher,
    document::{Document, Kind},
};
use crate::{
    BlockObjects, BlockView, PartialBlock, Snapshot, UnreadBlock, UnusableMark,
    objects::ListedBlock,
};

impl MetaFetcher {
    /// The listed blocks and their contents.
    pub(super) fn snapshot(&self, listed: Vec<ListedBlock>) -> Snapshot {
        let mut snapshot = Snapshot {
            blocks: Vec::with_capacity(listed.len()),
            ..Snapshot::default()
        };
        for ListedBlock {
            objects,
            has_folder,
        } in listed
        {
            if !objects.files.is_empty() {
                self.add(objects, &mut snapshot);
            } else if has_folder {
                let key = objects.key(BlockMeta::FILE);
                let reason = format!("{key}: not found, the folder is empty");
                snapshot.partial.push(PartialBlock { objects, reason });
            }
        }
        snapshot
    }

    /// Adds a block.
    fn add(&self, objects: Arc<BlockObjects>, snapshot: &mut Snapshot) {
        let mut meta = None;
        let (mut deletion_mark, mut no_compact_mark, mut no_downsample_mark) = (None, None, None);
        let (mut unusable, mut unusable_marks, mut unread) = (None, Vec::new(), None);
        for kind in Kind::ALL {
            if !objects.files.contains(kind.file()) {
                continue;
            }
            // Rarely is anything, so no key is made for most.
            if !self.unread.is_empty() {
                let key = objects.key(kind.file());
                unread = unread.or_else(|| self.unread.get_key_value(&key));
            }
            let known = self.known.get(&objects.root, kind);
            match known.map(|known| &known.document) {
                Some(Document::Meta(found)) => meta = Some(Arc::clone(found)),
                Some(Document::Deletion(mark)) => deletion_mark = Some(Arc::clone(mark)),
                Some(Document::NoCompact(mark)) => no_compact_mark = Some(Arc::clone(mark)),
                Some(Document::NoDownsample(mark)) => no_downsample_mark = Some(Arc::clone(mark)),
                Some(Document::Unusable(found)) if kind == Kind::Meta => {
                    unusable = Some(String::from(&**found));
                }
                Some(Document::Unusable(reason)) => unusable_marks.push(UnusableMark {
                    file: kind.file(),
                    reason: String::from(&**reason),
                }),
                None => {}
            }
        }
        let unread = unread.map(|(key, unread)| UnreadBlock {
            objects: Arc::clone(&objects),
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
