//! Opened blocks, so that a request need not read headers and footers again.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::{BlockError, BlockReader, BlockSource};
use crate::{catalog::CatalogBlock, fetch::Lru};

/// What an opened block takes besides its memory, and what a block takes that is being opened.
const OVERHEAD: u64 = 1 << 10;

/// The blocks used last, up to a bound on their memory. A block in use stays in memory beyond that.
pub(crate) struct BlockCache {
    source: BlockSource,
    /// By folder and version: a block that was replaced is opened anew.
    blocks: Mutex<Lru<Version, Arc<OnceCell<BlockReader>>>>,
}

/// A block's folder in the bucket, and the hash of its version.
type Version = (Arc<str>, u64);

impl BlockCache {
    /// Opens blocks of `source`, and keeps those that together take at most `max` bytes.
    pub(crate) fn new(source: BlockSource, max: u64) -> Self {
        Self {
            source,
            blocks: Mutex::new(Lru::new(max)),
        }
    }

    /// The block, opened if it is not. Concurrent callers share one opening; after a failure the next caller tries
    /// again.
    ///
    /// # Errors
    /// As [`BlockReader::open`].
    pub(crate) async fn get(&self, block: &Arc<CatalogBlock>) -> Result<BlockReader, BlockError> {
        let version = (Arc::clone(block.root()), block.version);
        let cell = self.cell(&version);
        if let Some(reader) = cell.get() {
            return Ok(reader.clone());
        }
        let open = async || {
            let reader = BlockReader::open(Arc::clone(block), self.source.clone()).await?;
            let size = reader.memory_size() as u64 + OVERHEAD;
            let mut blocks = self.blocks.lock();
            blocks.put(version.clone(), Arc::clone(&cell), size);
            Ok::<_, BlockError>(reader)
        };
        let opened = cell.get_or_try_init(open).await.cloned();
        if opened.is_err() {
            self.blocks.lock().remove(&version);
        }
        opened
    }

    fn cell(&self, version: &Version) -> Arc<OnceCell<BlockReader>> {
        let mut blocks = self.blocks.lock();
        blocks.get(version).unwrap_or_else(|| {
            let cell = Arc::new(OnceCell::new());
            blocks.put(version.clone(), Arc::clone(&cell), OVERHEAD);
            cell
        })
    }
}
