//! Writes trees of pages, from the leaves up.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use super::page::{PageBuilder, PageRange, Tree};
use crate::{
    codec::put_uvarint,
    error::{Error, Result},
};

/// The most bytes of a page's range in a directory.
pub(super) const RANGE_LEN: usize = 20;

/// The output of pages.
#[derive(Debug)]
pub(super) struct PagesOut<W> {
    out: W,
    path: PathBuf,
    /// Bytes written.
    at: u64,
}

/// A tree of pages in progress, from the leaves up.
#[derive(Debug)]
pub(super) struct TreeWriter {
    tree: Tree,
    leaf: PageBuilder,
    /// The key of the leaf, as a directory has it.
    key: Vec<u8>,
    /// Directories: of leaves, of directories of leaves, and so on.
    levels: Vec<Level>,
}

#[derive(Debug, Default)]
struct Level {
    page: PageBuilder,
    /// Its key.
    key: Vec<u8>,
}

impl TreeWriter {
    pub(super) fn new(tree: Tree) -> Self {
        Self {
            tree,
            leaf: PageBuilder::default(),
            key: Vec::new(),
            levels: Vec::new(),
        }
    }

    /// Adds an entry. If it starts a leaf, `key` writes the key of the leaf, and `prefix` comes before it.
    pub(super) fn add<W: Write>(
        &mut self,
        entry: &[u8],
        key: impl FnOnce(&mut Vec<u8>),
        prefix: &[u8],
        out: &mut PagesOut<W>,
    ) -> Result<()> {
        if self.leaf.count() > 0 && !self.leaf.has_room(entry.len()) {
            self.write_leaf(out)?;
        }
        if self.leaf.count() == 0 {
            self.leaf.begin(self.tree.leaf(), prefix);
            self.key.clear();
            key(&mut self.key);
        }
        self.leaf.push(entry);
        Ok(())
    }

    /// Writes the rest, and returns the root. The tree is empty afterwards.
    pub(super) fn finish<W: Write>(&mut self, out: &mut PagesOut<W>) -> Result<Option<PageRange>> {
        if self.levels.is_empty() {
            let some = self.leaf.count() > 0;
            return some.then(|| out.page(&mut self.leaf)).transpose();
        }
        self.write_leaf(out)?;
        let mut level = 0;
        while level + 1 < self.levels.len() {
            self.write_directory(level, out)?;
            level += 1;
        }
        let root = self.levels.pop().map(|mut top| out.page(&mut top.page));
        self.levels.clear();
        root.transpose()
    }

    fn write_leaf<W: Write>(&mut self, out: &mut PagesOut<W>) -> Result<()> {
        let range = out.page(&mut self.leaf)?;
        let key = std::mem::take(&mut self.key);
        self.put(0, range, key, out)
    }

    fn write_directory<W: Write>(&mut self, level: usize, out: &mut PagesOut<W>) -> Result<()> {
        if let Some(full) = self.levels.get_mut(level) {
            let range = out.page(&mut full.page)?;
            let key = std::mem::take(&mut full.key);
            self.put(level + 1, range, key, out)?;
        }
        Ok(())
    }

    /// Adds a page to the directory at `level`. Each directory has at least two, however long their keys are.
    fn put<W: Write>(
        &mut self,
        level: usize,
        range: PageRange,
        key: Vec<u8>,
        out: &mut PagesOut<W>,
    ) -> Result<()> {
        let mut entry = Vec::with_capacity(RANGE_LEN + key.len());
        put_range(&mut entry, range);
        entry.extend_from_slice(&key);
        match self.levels.get(level) {
            None => self.levels.push(Level::default()),
            Some(at) if at.page.count() >= 2 && !at.page.has_room(entry.len()) => {
                self.write_directory(level, out)?;
            }
            Some(_) => {}
        }
        if let Some(at) = self.levels.get_mut(level) {
            if at.page.count() == 0 {
                at.page.begin(self.tree.directory(), &[]);
                at.key = key;
            }
            at.page.push(&entry);
        }
        Ok(())
    }
}

impl<W: Write> PagesOut<W> {
    pub(super) fn new(out: W, path: &Path) -> Self {
        Self {
            out,
            path: path.to_owned(),
            at: 0,
        }
    }

    /// Flushes all levels.
    pub(super) fn finish(mut self) -> Result<W> {
        self.out.flush().map_err(Error::io(&self.path))?;
        Ok(self.out)
    }

    fn page(&mut self, page: &mut PageBuilder) -> Result<PageRange> {
        let start = self.at;
        self.write(&page.finish())?;
        Ok(PageRange {
            start,
            end: self.at,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(Error::io(&self.path))?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// Appends the range of a page.
pub(super) fn put_range(out: &mut Vec<u8>, range: PageRange) {
    put_uvarint(out, range.start);
    put_uvarint(out, range.len());
}
