//! The files of a block, as a listing shows them. A bucket may have hundreds of thousands of blocks, so they take little
//! memory: one run of entries a block, and names that blocks share.

use std::sync::Arc;

use model::Timestamp;

use crate::Object;

/// What a listing shows of a file of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileVersion {
    /// Its size in bytes.
    pub size: u64,
    /// When it was written.
    pub last_modified: Timestamp,
    /// Changes with the contents, if the store has it.
    pub etag: Option<Arc<str>>,
}

/// The files of a block by their names below its folder, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(Box<[(Arc<str>, FileVersion)]>);

impl FileVersion {
    /// What is listed of an object.
    #[must_use]
    pub fn of(object: &Object) -> Self {
        Self {
            size: object.size,
            last_modified: object.last_modified,
            etag: object.etag.as_deref().map(Arc::from),
        }
    }

    /// The object that is the file, if this is its key.
    #[must_use]
    pub fn object(&self, key: String) -> Object {
        Object {
            key,
            size: self.size,
            last_modified: self.last_modified,
            etag: self.etag.as_deref().map(str::to_owned),
        }
    }
}

impl Files {
    /// A file.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FileVersion> {
        let at = self.place(name).ok()?;
        self.0.get(at).map(|(_, version)| version)
    }

    /// Whether there is a file of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// The files in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &FileVersion)> {
        self.0.iter().map(|(name, version)| (name, version))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let sizes = self.0.iter().map(|(_, version)| version.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// Adds a file, or replaces the one of that name.
    pub fn insert(&mut self, name: &str, version: FileVersion) {
        let mut all = std::mem::take(&mut self.0).into_vec();
        match all.binary_search_by(|(other, _)| (**other).cmp(name)) {
            Ok(at) => all.splice(at..=at, [(name.into(), version)]).for_each(drop),
            Err(at) => all.insert(at, (name.into(), version)),
        }
        self.0 = all.into();
    }

    /// Removes a file, if there is one of that name.
    pub fn remove(&mut self, name: &str) {
        if let Ok(at) = self.place(name) {
            let mut all = std::mem::take(&mut self.0).into_vec();
            all.remove(at);
            self.0 = all.into();
        }
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| (**other).cmp(name))
    }
}

/// Of files of one name the last one counts.
impl FromIterator<(Arc<str>, FileVersion)> for Files {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, FileVersion)>>(files: I) -> Self {
        let mut all: Vec<_> = files.into_iter().collect();
        // As it is stable, the last one of a name is the last of its run.
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                std::mem::swap(next, kept);
            }
            is_same
        });
        Self(all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(size: u64) -> FileVersion {
        FileVersion {
            size,
            ..FileVersion::default()
        }
    }

    fn drawn(files: &Files) -> String {
        let drawn = files.iter().map(|(name, v)| format!("{name}{}", v.size));
        drawn.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn files_are_in_the_order_of_their_names_each_once() {
        let listed = [("b", 1), ("a", 2), ("b", 3), ("c", 4), ("b", 5)];
        let listed = listed.map(|(name, size)| (Arc::from(name), version(size)));
        let mut files: Files = listed.into_iter().collect();
        assert_eq!(drawn(&files), "a2 b5 c4");
        assert_eq!((files.get("b"), files.bytes()), (Some(&version(5)), 11));
        assert!(files.contains("c") && !files.contains("d") && files.get("").is_none());
        files.insert("b", version(7));
        files.insert("bb", version(8));
        files.remove("a");
        files.remove("absent");
        assert_eq!(drawn(&files), "b7 bb8 c4");
    }
}
