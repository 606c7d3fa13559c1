//! A block in a local folder.

use std::path::Path;

use model::{BlockMeta, ParquetShard};
use rayon::prelude::*;

use super::shard::LocalShard;
use crate::{error::Error, layout::contents::Contents};

/// A block whose files are in a local folder.
#[derive(Debug)]
pub struct LocalBlock {
    shards: Vec<LocalShard>,
}

impl LocalBlock {
    /// Opens the shards that `meta` lists. Their files are in `dir`.
    ///
    /// # Errors
    /// When `meta` is that of a TSDB block; when a shard cannot be opened ([`LocalShard::open`]).
    pub fn open(dir: &Path, meta: &BlockMeta) -> Result<Self, Error> {
        let Some(parquet) = &meta.parquet else {
            let file = dir.join(BlockMeta::FILE);
            let reason = "shards of a Parquet block expected, found none";
            return Err(Error::corrupt(&file.to_string_lossy(), 0, reason));
        };
        let contents = Contents::of(meta.resolution());
        let open = |(number, listed): (usize, &ParquetShard)| {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            LocalShard::open(dir, number, contents, listed)
        };
        let listed = parquet.shards.par_iter().enumerate();
        let shards = listed.map(open).collect::<Result<_, _>>()?;
        Ok(Self { shards })
    }

    /// The shards in the order of their rows.
    #[must_use]
    pub fn shards(&self) -> &[LocalShard] {
        &self.shards
    }

    /// As [`Self::shards`], each for itself.
    #[must_use]
    pub fn into_shards(self) -> Vec<LocalShard> {
        self.shards
    }
}
