//! Finds leaves and entries. A page names only pages before it, and each leaf is behind the one before it in order: so
//! no damage makes a search endless, or a walk visit a leaf twice.

use std::ops::ControlFlow;

use super::{
    page::{Page, PageRange, Tree},
    source::HeaderPages,
};
use crate::{
    codec::{Fault, Input},
    error::{Error, Result},
};

/// Pages that a reader keeps: those on the way to one leaf of each tree.
const AT_HAND: usize = 8;
/// Levels of a tree. A directory names two pages or more.
const MAX_DEPTH: usize = 40;

/// Receives the text of an entry, and the rest of it.
type Each<'a> = &'a mut dyn FnMut(&[u8], &mut Input<'_>) -> Result<ControlFlow<()>, Fault>;

/// A walk over the leaves of a tree.
struct Walk<'a> {
    tree: Tree,
    /// Leaves that are entirely before this text are left out.
    from: Option<&'a [u8]>,
    leaf: &'a mut dyn FnMut(&Page) -> Result<ControlFlow<()>, Fault>,
    /// No later leaf starts before this.
    free: u64,
}

/// Reads pages of one header, and keeps those read last.
#[derive(Debug)]
pub(in super::super) struct PageReader<'a> {
    pages: &'a dyn HeaderPages,
    /// The one used last is at the end.
    recent: Vec<Page>,
}

impl<'a> PageReader<'a> {
    pub(in super::super) fn new(pages: &'a dyn HeaderPages) -> Self {
        Self {
            pages,
            recent: Vec::new(),
        }
    }

    /// The last leaf whose first entry is not after the sought one, or the first leaf. `before` compares the key of a
    /// leaf, as directories have it.
    pub(in super::super) fn leaf(
        &mut self,
        root: PageRange,
        tree: Tree,
        before: impl Fn(&mut Input<'_>) -> Result<bool, Fault>,
    ) -> Result<Page> {
        let mut range = root;
        for _ in 0..MAX_DEPTH {
            let page = self.page(range, tree)?;
            if page.kind() == tree.leaf() {
                return Ok(page);
            }
            let found = page.partition(|entry| {
                page.child_in(entry)?;
                before(entry)
            });
            let found = found.map_err(|fault| self.fault(&page, fault))?;
            range = self.child(&page, found.saturating_sub(1))?;
        }
        Err(self.too_deep(range))
    }

    /// The entry whose text is `key`, without the text.
    pub(in super::super) fn find<T>(
        &mut self,
        root: PageRange,
        tree: Tree,
        key: &[u8],
        decode: impl FnOnce(&mut Input<'_>, &Page) -> Result<T, Fault>,
    ) -> Result<Option<T>> {
        let before = |entry: &mut Input<'_>| Ok(entry.string()? <= key);
        let leaf = self.leaf(root, tree, before)?;
        let found = |leaf: &Page| {
            let Some(last) = leaf.partition(before)?.checked_sub(1) else {
                return Ok(None);
            };
            let mut entry = leaf.entry(last)?;
            if entry.string()? != key {
                return Ok(None);
            }
            decode(&mut entry, leaf).map(Some)
        };
        found(&leaf).map_err(|fault| self.fault(&leaf, fault))
    }

    /// Visits the entries in order, from the last one that is not after `from`; `each` receives the text of an entry
    /// and the rest of it.
    pub(in super::super) fn walk(
        &mut self,
        root: PageRange,
        tree: Tree,
        from: &[u8],
        each: Each<'_>,
    ) -> Result<()> {
        let mut leaf = |page: &Page| walk_leaf(page, from, each);
        let mut walk = Walk {
            tree,
            from: Some(from),
            leaf: &mut leaf,
            free: 0,
        };
        self.walk_from(root, &mut walk, 0).map(|_| ())
    }

    /// The leaves in order.
    pub(in super::super) fn leaves(&mut self, root: PageRange, tree: Tree) -> Result<Vec<Page>> {
        let mut leaves = Vec::new();
        let mut leaf = |page: &Page| {
            leaves.push(page.clone());
            Ok(ControlFlow::Continue(()))
        };
        let mut walk = Walk {
            tree,
            from: None,
            leaf: &mut leaf,
            free: 0,
        };
        let went = self.walk_from(root, &mut walk, 0)?;
        debug_assert!(went.is_continue(), "nothing breaks it off");
        Ok(leaves)
    }

    fn walk_from(
        &mut self,
        range: PageRange,
        walk: &mut Walk<'_>,
        depth: usize,
    ) -> Result<ControlFlow<()>> {
        if depth >= MAX_DEPTH {
            return Err(self.too_deep(range));
        }
        let page = self.page(range, walk.tree)?;
        if page.kind() == walk.tree.leaf() {
            if range.start < walk.free {
                let expected = format!("a leaf at {} or behind it", walk.free);
                let found = format!("one at {}", range.start);
                let error = Error::corrupt(self.pages.name(), range.start, expected, found);
                return Err(error.of_header());
            }
            walk.free = range.end;
            return (walk.leaf)(&page).map_err(|fault| self.fault(&page, fault));
        }
        let first = match walk.from {
            None => Ok(0),
            Some(from) => page.partition(|entry| {
                page.child_in(entry)?;
                Ok(entry.string()? <= from)
            }),
        };
        let first = first.map_err(|fault| self.fault(&page, fault))?;
        // A directory without a page is damaged.
        for at in first.saturating_sub(1)..page.count().max(1) {
            let child = self.child(&page, at)?;
            if self.walk_from(child, walk, depth + 1)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn child(&self, page: &Page, at: usize) -> Result<PageRange> {
        let child = page.entry(at);
        child
            .and_then(|mut entry| page.child_in(&mut entry))
            .map_err(|fault| self.fault(page, fault))
    }

    fn page(&mut self, range: PageRange, tree: Tree) -> Result<Page> {
        let page = match self.recent.iter().rposition(|page| page.range() == range) {
            Some(found) => self.recent.remove(found),
            None => self.read(range)?,
        };
        if self.recent.len() >= AT_HAND {
            self.recent.remove(0);
        }
        self.recent.push(page.clone());
        if page.kind() == tree.leaf() || page.kind() == tree.directory() {
            return Ok(page);
        }
        let other = Fault::Bad {
            expected: "a page of the tree's kind",
            found: page.kind().into(),
        };
        Err(self.fault(&page, other))
    }

    fn read(&self, range: PageRange) -> Result<Page> {
        let bytes = self.pages.page(range.range()).map_err(Error::of_header)?;
        Page::new(bytes, range).map_err(|fault| self.fault_at(range.start, fault))
    }

    /// The error for a fault within a page.
    pub(in super::super) fn fault(&self, page: &Page, fault: Fault) -> Error {
        self.fault_at(page.range().start, fault)
    }

    fn fault_at(&self, start: u64, fault: Fault) -> Error {
        let input = Input::new(&[], start);
        input
            .error(self.pages.name(), "a page of a header", fault)
            .of_header()
    }

    fn too_deep(&self, range: PageRange) -> Error {
        let expected = format!("a tree of at most {MAX_DEPTH} levels");
        Error::corrupt(self.pages.name(), range.start, expected, "more").of_header()
    }
}

fn walk_leaf(page: &Page, from: &[u8], each: Each<'_>) -> Result<ControlFlow<()>, Fault> {
    let before = |entry: &mut Input<'_>| Ok(entry.string()? <= from);
    for at in page.partition(before)?.saturating_sub(1)..page.count() {
        let mut entry = page.entry(at)?;
        let text = entry.string()?;
        if each(text, &mut entry)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
