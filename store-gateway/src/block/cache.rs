//! Opened blocks, so that a request need not read headers and footers again.

use std::sync::Arc;

use quick_cache::{
    DefaultHashBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use super::{BlockError, BlockReader, BlockSource};
use crate::{catalog::CatalogBlock, fetch::halves};

/// What an opened block takes besides its memory.
const OVERHEAD: u64 = 1 << 10;

/// About the memory of an opened block.
const BLOCK: u64 = 64 << 10;

/// Opened blocks, up to a bound on their memory. A block in use stays in memory beyond that.
pub(crate) struct BlockCache {
    source: BlockSource,
    /// By folder and version: a block that was replaced is opened anew.
    blocks: Cache<Version, Kept, Size>,
}

/// A block's folder in the bucket, and the hash of its version.
type Version = (Arc<str>, u64);

#[derive(Clone)]
struct Kept {
    reader: BlockReader,
    /// Bytes of memory when it was opened, [`OVERHEAD`] included.
    size: u64,
}

#[derive(Clone)]
struct Size;

impl Weighter<Version, Kept> for Size {
    fn weight(&self, _: &Version, kept: &Kept) -> u64 {
        kept.size
    }
}

impl BlockCache {
    /// Opens blocks of `source`, and keeps those that together take at most `max` bytes. A block that takes more than half
    /// of that is opened anew for each request.
    pub(crate) fn new(source: BlockSource, max: u64) -> Self {
        let blocks = usize::try_from(max / BLOCK).unwrap_or(usize::MAX);
        let hasher = DefaultHashBuilder::default();
        let lifecycle = DefaultLifecycle::default();
        Self {
            source,
            blocks: Cache::with_options(halves(blocks, max), Size, hasher, lifecycle),
        }
    }

    /// The block, opened if it is not. Concurrent callers share one opening; after a failure the next caller tries
    /// again.
    ///
    /// # Errors
    /// As [`BlockReader::open`].
    pub(crate) async fn get(&self, block: &Arc<CatalogBlock>) -> Result<BlockReader, BlockError> {
        let version = version(block);
        let open = async {
            let reader = BlockReader::open(Arc::clone(block), self.source.clone()).await?;
            let size = reader.memory_size() as u64 + OVERHEAD;
            Ok::<_, BlockError>(Kept { reader, size })
        };
        let kept = self.blocks.get_or_insert_async(&version, open).await?;
        Ok(kept.reader)
    }
}

fn version(block: &CatalogBlock) -> Version {
    (Arc::clone(block.root()), block.version)
}
