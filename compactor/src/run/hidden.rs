//! Whether Parquet blocks would be hidden from someone who reads the bucket now.
//!
//! Thanos's store gateways, compactor and tools see TSDB blocks only. When their blocks become a Parquet block and are
//! deleted, the samples are gone for them.

use model::{BlockId, BlockMeta};

use crate::plan::SOURCE;

/// How many TSDB blocks a compactor has made since the last Parquet block was made: by then somebody may have read the
/// bucket with Thanos's components. Blocks of sidecars do not count.
pub(super) fn made_since_parquet<'a>(metas: impl Iterator<Item = &'a BlockMeta> + Clone) -> usize {
    let parquet = metas.clone().filter(|meta| meta.parquet.is_some());
    let newest: Option<BlockId> = parquet.map(|meta| meta.ulid).max();
    let is_such = |meta: &&BlockMeta| {
        let by_compactor = meta.thanos.as_ref().is_some_and(|t| t.source == SOURCE);
        meta.parquet.is_none() && by_compactor && newest.is_none_or(|newest| meta.ulid > newest)
    };
    metas.filter(is_such).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(number: u64, source: &str, is_parquet: bool) -> BlockMeta {
        let parquet = match is_parquet {
            true => r#","parquet":{"version":1,"shards":[]}"#,
            false => "",
        };
        let id = BlockId::new(model::Timestamp(number as i64), 0);
        let json = format!(
            r#"{{"ulid":"{id}","minTime":0,"maxTime":1,"version":1,"compaction":{{"level":2,"sources":["{id}"]}},"thanos":{{"labels":{{"a":"b"}},"downsample":{{"resolution":0}},"source":"{source}"}}{parquet}}}"#
        );
        BlockMeta::decode(json.as_bytes()).unwrap()
    }

    #[test]
    fn blocks_of_a_compactor_count_from_the_last_parquet_block_on() {
        let [sidecar, old, young] = [
            meta(9, "sidecar", false),
            meta(1, SOURCE, false),
            meta(7, SOURCE, false),
        ];
        let parquet = meta(5, SOURCE, true);
        let count = |metas: &[&BlockMeta]| made_since_parquet(metas.iter().copied());
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[&sidecar]), 0);
        assert_eq!(count(&[&sidecar, &old, &young]), 2);
        assert_eq!(count(&[&sidecar, &old, &young, &parquet]), 1);
        assert_eq!(count(&[&sidecar, &old, &parquet]), 0);
    }
}
