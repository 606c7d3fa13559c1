//! The result of a synchronization. A bucket may have 100,000 blocks, so it is computed off the runtime's workers.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use bucket::Snapshot;
use model::{BlockId, BlockMeta, Timestamp};

use super::{Served, advertised::Extents};
use crate::catalog::{Catalog, Format, Rules, State, unread};

/// What is served from now on, and what metrics and logs say of it.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) served: Served,
    /// The number of blocks in each state.
    pub(super) states: BTreeMap<State, usize>,
    /// Blocks with a damaged `meta.json`.
    pub(super) corrupted: usize,
    /// Blocks without `meta.json`.
    pub(super) without_meta: usize,
    /// Blocks of which an object could not be read.
    pub(super) unread: usize,
    /// Why not, of the first of them.
    pub(super) reason: Option<String>,
    /// The folders of the served blocks.
    pub(super) roots: HashSet<Arc<str>>,
    /// Blocks that are served and were not before.
    pub(super) loaded: usize,
    /// Blocks that were served before and are no more.
    pub(super) dropped: usize,
    /// The blocks whose index headers stay on the disk.
    pub(super) headers: BTreeSet<BlockId>,
    /// The Parquet blocks of which all samples are served: a compactor may delete what they replace.
    pub(super) whole: Vec<BlockId>,
}

impl Prepared {
    /// Selects by `rules` what is served of a snapshot at `now`, after `before`.
    pub(super) fn of(
        snapshot: &Snapshot,
        rules: &Rules,
        now: Timestamp,
        before: Option<&Served>,
    ) -> Self {
        let (catalog, states) = Catalog::new(snapshot, rules, now);
        let has_meta = |files: &bucket::Files| files.contains(BlockMeta::FILE);
        let partial = snapshot.partial.iter();
        let corrupted = partial.filter(|p| has_meta(&p.objects.files)).count();
        let mut unread = unread(snapshot, &rules.blocks).peekable();
        let reason = unread.peek().map(|block| block.reason.clone());
        let roots = roots(&catalog);
        let before = before.map(|served| self::roots(&served.catalog));
        let before = before.unwrap_or_default();
        let tsdb = catalog.blocks().filter(|b| b.format == Format::Tsdb);
        let missing = catalog.missing.iter().map(|block| block.id);
        let extents = Extents::of(&catalog);
        Self {
            states,
            corrupted,
            without_meta: snapshot.partial.len() - corrupted,
            unread: unread.count(),
            reason,
            loaded: roots.difference(&before).count(),
            dropped: before.difference(&roots).count(),
            roots,
            headers: tsdb.map(|block| block.id).chain(missing).collect(),
            whole: whole_parquet(&catalog, now),
            served: Served { catalog, extents },
        }
    }
}

fn whole_parquet(catalog: &Catalog, now: Timestamp) -> Vec<BlockId> {
    let bounds = catalog.bounds(now);
    let whole = catalog.blocks().filter(|block| {
        let meta = &block.meta;
        block.format == Format::Parquet
            && bounds.min <= meta.min_time
            && meta.max_time <= bounds.max
    });
    whole.map(|block| block.id).collect()
}

/// The folders of the blocks.
fn roots(catalog: &Catalog) -> HashSet<Arc<str>> {
    let blocks = catalog.blocks();
    blocks.map(|block| Arc::clone(block.root())).collect()
}
