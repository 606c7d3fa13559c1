//! The blocks of a listing.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
};

use model::BlockId;

use super::{BlockObjects, FileVersion, Files, Object, PARQUET_ROOT};

/// Where a block is: its format's folder and its id, in the order of the keys.
type Place = (bool, BlockId);

/// A block of a listing.
#[derive(Clone, Debug)]
pub(crate) struct ListedBlock {
    pub(crate) objects: Arc<BlockObjects>,
    /// Whether there is a folder, or an object that stands for one: without files it is an empty block.
    pub(crate) has_folder: bool,
}

#[derive(Debug, Default)]
struct OfBlock {
    files: Vec<(Arc<str>, FileVersion)>,
    has_folder: bool,
}

/// Collects the blocks of a listing, one object after the other, in any order.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    blocks: HashMap<Place, OfBlock>,
    /// The block of the last object, and of the next one, as a rule.
    last: (Place, OfBlock),
    /// The names of files, each once.
    names: HashSet<Arc<str>>,
}

impl Grouping {
    /// Adds an object. One that is in no block is left out; one that has the name of a block's folder stands for that
    /// folder, as if it were empty.
    pub(crate) fn add(&mut self, object: &Object) {
        let Some((place, file)) = split(&object.key) else {
            return self.add_folder(&object.key);
        };
        let name = match self.names.get(file) {
            Some(name) => Arc::clone(name),
            None => {
                let name: Arc<str> = file.into();
                self.names.insert(Arc::clone(&name));
                name
            }
        };
        let block = self.block(place);
        block.files.push((name, FileVersion::of(object)));
    }

    /// Adds a folder, which may be empty. One that is no block's is left out.
    pub(crate) fn add_folder(&mut self, key: &str) {
        let (is_parquet, below) = below_root(key);
        if let Ok(id) = below.parse() {
            self.block((is_parquet, id)).has_folder = true;
        }
    }

    fn block(&mut self, place: Place) -> &mut OfBlock {
        if self.last.0 != place {
            let next = self.blocks.remove(&place).unwrap_or_default();
            let (before, block) = mem::replace(&mut self.last, (place, next));
            self.blocks.insert(before, block);
        }
        &mut self.last.1
    }

    /// The blocks, sorted by their folders.
    pub(crate) fn finish(self) -> Vec<ListedBlock> {
        let blocks = self.blocks.into_iter().chain([self.last]);
        // At first, the last block is none.
        let blocks = blocks.filter(|(_, block)| block.has_folder || !block.files.is_empty());
        let mut blocks: Vec<(Place, OfBlock)> = blocks.collect();
        blocks.sort_unstable_by_key(|(place, _)| *place);
        let blocks = blocks.into_iter();
        let blocks = blocks.map(|((is_parquet, id), block)| {
            let root = match is_parquet {
                true => format!("{PARQUET_ROOT}/{id}"),
                false => id.to_string(),
            };
            ListedBlock {
                objects: Arc::new(BlockObjects {
                    id,
                    root: root.into(),
                    files: block.files.into_iter().collect::<Files>(),
                }),
                has_folder: block.has_folder,
            }
        });
        blocks.collect()
    }
}

/// The block, and the name below its folder in a key.
fn split(key: &str) -> Option<(Place, &str)> {
    let (is_parquet, below) = below_root(key);
    let (id, file) = below.split_once('/')?;
    (!file.is_empty()).then_some(((is_parquet, id.parse().ok()?), file))
}

/// Whether a key begins with `parquet/`, and the part after that.
fn below_root(key: &str) -> (bool, &str) {
    let below = key.strip_prefix(PARQUET_ROOT);
    match below.and_then(|rest| rest.strip_prefix('/')) {
        Some(below) => (true, below),
        None => (false, key),
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    #[test]
    fn blocks_of_both_kinds_are_told_from_foreign_objects() {
        let id = "01HF8J5JG0RAVB4GMS32W7ZJ2B";
        let empty = "01HF8J5JG0RAVB4GMS32W7ZJ2C";
        let mut grouping = Grouping::default();
        for key in [
            &format!("parquet/{id}/meta.json"),
            &format!("{id}/index"),
            &format!("{id}/chunks/000001"),
            // Folders' markers, a foreign file, a catalog, another case.
            id,
            empty,
            "debug/metas/x.json",
            "parquet/catalog",
            &format!("parquet/other/{id}/meta.json"),
            &format!("{}/index", id.to_lowercase()),
        ] {
            grouping.add(&Object {
                key: key.to_owned(),
                size: 1,
                last_modified: Timestamp(0),
                etag: None,
            });
        }
        for folder in ["debug", "parquet", id, &format!("parquet/{empty}")] {
            grouping.add_folder(folder);
        }
        let blocks = grouping.finish();
        let drawn = blocks.iter().map(
            |ListedBlock {
                 objects,
                 has_folder,
             }| {
                let files = objects.files.iter().map(|(name, _)| &**name);
                let folder = if *has_folder { " /" } else { "" };
                format!(
                    "{}{folder}: {}",
                    objects.root,
                    files.collect::<Vec<_>>().join(" ")
                )
            },
        );
        assert_eq!(
            drawn.collect::<Vec<_>>(),
            [
                format!("{id} /: chunks/000001 index"),
                format!("{empty} /: "),
                format!("parquet/{id}: meta.json"),
                format!("parquet/{empty} /: "),
            ]
        );
        assert_eq!(
            blocks[2].objects.key("index"),
            format!("parquet/{id}/index")
        );
    }
}
