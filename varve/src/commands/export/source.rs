//! The blocks that an export reads.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use bucket::{Bucket, BucketConfig};
use model::{BLOCK_ID, BlockId, BlockMeta, MatchOp, Matcher};
use service::{CpuPool, Metrics, Probe, SystemClock};
use store_gateway::{Config, Deps, Reader};

use crate::{cli::ExportArgs, commands::daemon};

/// The blocks of a bucket or of a folder.
pub(super) struct Source {
    pub(super) reader: Reader,
    /// Where the blocks are.
    pub(super) block_matchers: Vec<Matcher>,
}

impl Source {
    /// Opens the source of the arguments.
    pub(super) async fn open(
        args: &ExportArgs,
        data_dir: &Path,
        pool: &CpuPool,
    ) -> anyhow::Result<Self> {
        let metrics = Metrics::new();
        let (bucket, block_matchers) = match &args.tsdb_path {
            Some(path) => of_folder(path)?,
            None => (daemon::need_bucket(&args.objstore, &metrics)?, Vec::new()),
        };
        let deps = Deps {
            clock: Arc::new(SystemClock),
            pool: pool.clone(),
            probe: Probe::new("export", &metrics),
            board: page::Board::default(),
            caches: Default::default(),
            metrics,
        };
        let config = Config {
            data_dir: data_dir.to_path_buf(),
            ..Config::default()
        };
        Ok(Self {
            reader: Reader::open(&config, bucket, &deps).await?,
            block_matchers,
        })
    }
}

/// A folder of blocks, or the folder that contains one block.
fn of_folder(path: &Path) -> anyhow::Result<(Bucket, Vec<Matcher>)> {
    let path = path
        .canonicalize()
        .with_context(|| format!("--tsdb.path {}", path.display()))?;
    let is_block = path.join(BlockMeta::FILE).try_exists();
    if !is_block.with_context(|| format!("--tsdb.path {}", path.display()))? {
        return Ok((BucketConfig::filesystem(&path).open_existing()?, Vec::new()));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let id: BlockId = name.unwrap_or_default().parse().with_context(|| {
        format!(
            "--tsdb.path {}: the folder of a block has its ULID as its name",
            path.display()
        )
    })?;
    let folder = path.parent().unwrap_or(&path);
    let bucket = BucketConfig::filesystem(folder).open_existing()?;
    let only = Matcher::new(MatchOp::Equal, BLOCK_ID, id.to_string())?;
    Ok((bucket, vec![only]))
}
