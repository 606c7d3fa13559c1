//! Opens a Parquet block: the footers of its files.

use std::sync::Arc;

use futures::future::try_join_all;
use model::{FileSum, METRIC_NAME, MatchOp, Matcher, ParquetShard};
use parquet_block::{Contents, Footer, FooterRead, Shard};

use super::{BlockError, BlockSource, CatalogBlock, ParquetBlock, ShardReader};
use crate::{
    fetch::{DecodedOf, ListedObject, Wanted},
    usage::DataKind,
};

/// Bytes at the end of a file that are read first if `meta.json` does not have the size of the footer. The metadata
/// and page indexes of most files fit.
const TAIL: u64 = 128 << 10;

impl ParquetBlock {
    /// Reads the footers of all shards.
    pub(in crate::block) async fn open(
        block: Arc<CatalogBlock>,
        source: BlockSource,
    ) -> Result<Self, BlockError> {
        let listed = block
            .meta
            .parquet
            .iter()
            .flat_map(|parquet| &parquet.shards);
        let shards = (0u32..).zip(listed).map(|(number, listed)| {
            let (block, source) = (&block, &source);
            async move { ShardReader::open(block, source, number, listed).await }
        });
        let shards = try_join_all(shards).await?;
        Ok(Self {
            block,
            source,
            shards,
        })
    }
}

impl ShardReader {
    async fn open(
        block: &CatalogBlock,
        source: &BlockSource,
        number: u32,
        listed: &ParquetShard,
    ) -> Result<Self, BlockError> {
        let contents = Contents::of(block.meta.resolution());
        let files = contents.files(number);
        let (labels, chunks) = futures::try_join!(
            footer(
                block,
                source,
                &files[0],
                listed.labels_sum(),
                DataKind::Series
            ),
            footer(
                block,
                source,
                &files[1],
                listed.chunks_sum(),
                DataKind::Chunks
            ),
        )?;
        let open = move || Shard::open(labels.1, chunks.1);
        let (labels, chunks) = (labels.0, chunks.0);
        let shard = source.pool.run(open).await?;
        let names = (listed.min_name.clone(), listed.max_name.clone());
        Ok(Self {
            shard,
            labels,
            chunks,
            names: (names != Default::default()).then_some(names),
        })
    }

    /// Whether a row may match, as far as the shard's metric names tell.
    pub(super) fn may_match(&self, matchers: &[Matcher]) -> bool {
        let Some((min, max)) = &self.names else {
            return true;
        };
        let (min, max) = (min.as_bytes(), max.as_bytes());
        let within = |value: &[u8]| min <= value && value <= max;
        let possible = |matcher: &Matcher| {
            if matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRegex) {
                return true;
            }
            if let Some(values) = matcher.set_matches() {
                return values.iter().any(|value| within(value));
            }
            // Values with the prefix sort after it.
            matcher
                .prefix()
                .is_none_or(|prefix| prefix <= max && (min <= prefix || min.starts_with(prefix)))
        };
        let of_name = matchers.iter().filter(|m| m.name == METRIC_NAME);
        of_name.into_iter().all(possible)
    }
}

/// The object and its decoded footer; `pages` is what the pages of the file are for.
async fn footer(
    block: &CatalogBlock,
    source: &BlockSource,
    name: &str,
    listed: Option<FileSum>,
    pages: DataKind,
) -> Result<(ListedObject, Footer), BlockError> {
    let object = block.object(name);
    let Some(size) = block.objects.files.get(name).map(|version| version.size) else {
        return Err(BlockError::Missing {
            key: object.key.to_string(),
        });
    };
    let mut range = Footer::listed_range(size, listed.as_ref(), TAIL);
    loop {
        let wanted = Wanted {
            object: &object,
            ranges: &[range],
            gap: 0,
            kind: DataKind::Header,
            budget: None,
        };
        let tail = source
            .fetcher
            .fetch(wanted)
            .await?
            .pop()
            .unwrap_or_default();
        let file = Arc::clone(&object.key);
        let decode = move || Footer::decode_listed(file, size, tail, listed.as_ref());
        match source.pool.run(decode).await? {
            FooterRead::Done(footer) => {
                let decoded = DecodedOf {
                    pages: Arc::clone(&source.pages),
                    object: object.clone(),
                    kind: pages,
                };
                return Ok((object, footer.with_decoded(Arc::new(decoded))));
            }
            FooterRead::Short { needed } => range = Footer::tail_range(size, needed),
        }
    }
}
