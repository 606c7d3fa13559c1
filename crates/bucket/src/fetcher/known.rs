//! What was read of the listed blocks.

use std::{collections::HashMap, sync::Arc};

use super::document::{Document, Kind};
use crate::{BlockObjects, FileVersion, objects::ListedBlock};

/// The contents of each `meta.json` and mark that was read, by the block's folder.
#[derive(Debug, Default)]
pub(super) struct Contents(HashMap<Arc<str>, OfBlock>);

#[derive(Debug)]
struct OfBlock {
    /// The block as it was listed last.
    objects: Arc<BlockObjects>,
    files: Vec<Known>,
}

/// The contents of a file.
#[derive(Debug)]
pub(super) struct Known {
    kind: Kind,
    /// The file as listed when it was read.
    pub(super) version: FileVersion,
    pub(super) document: Document,
}

impl Contents {
    pub(super) fn get(&self, root: &str, kind: Kind) -> Option<&Known> {
        let of_block = self.0.get(root)?;
        of_block.files.iter().find(|known| known.kind == kind)
    }

    /// Replaces a listed block by the one of the last listing if they are equal, so that one of them is held.
    pub(super) fn share(&mut self, listed: &mut Arc<BlockObjects>) {
        if let Some(of_block) = self.0.get_mut(&listed.root) {
            match of_block.objects == *listed {
                true => listed.clone_from(&of_block.objects),
                false => of_block.objects.clone_from(listed),
            }
        }
    }

    pub(super) fn insert(
        &mut self,
        block: &Arc<BlockObjects>,
        kind: Kind,
        version: FileVersion,
        document: Document,
    ) {
        let known = Known {
            kind,
            version,
            document,
        };
        match self.0.get_mut(&block.root) {
            Some(OfBlock { files, .. }) => match files.iter_mut().find(|k| k.kind == kind) {
                Some(before) => *before = known,
                None => files.push(known),
            },
            None => {
                let of_block = OfBlock {
                    objects: Arc::clone(block),
                    files: vec![known],
                };
                self.0.insert(Arc::clone(&block.root), of_block);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what is not among `blocks`, which are sorted by their folders.
    pub(super) fn retain(&mut self, blocks: &[ListedBlock]) {
        self.0.retain(|root, of_block| {
            let at = blocks.binary_search_by(|block| block.objects.root.cmp(root));
            let Some(block) = at.ok().and_then(|at| blocks.get(at)) else {
                return false;
            };
            let files = &mut of_block.files;
            files.retain(|known| block.objects.files.contains(known.kind.file()));
            !files.is_empty()
        });
    }
}
