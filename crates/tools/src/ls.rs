//! Which blocks are listed, and the line of each.

use bucket::{BlockFilter, BlockView, Snapshot};
use model::{BlockMeta, TimeRange, Timestamp};

use crate::go;

/// Whether blocks with a deletion mark are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deleted {
    /// They are.
    #[default]
    Listed,
    /// They are not.
    LeftOut,
}

/// Which blocks are listed.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Those that it selects.
    pub filter: BlockFilter,
    /// Those that have a time of these, their own end included as Thanos does.
    pub times: TimeRange,
    /// Whether those with a deletion mark.
    pub deleted: Deleted,
}

impl Default for Selection {
    /// All blocks.
    fn default() -> Self {
        Self {
            filter: BlockFilter::default(),
            times: TimeRange::ALL,
            deleted: Deleted::default(),
        }
    }
}

impl Selection {
    /// Whether a block is selected.
    #[must_use]
    pub fn selects(&self, view: &BlockView) -> bool {
        let meta = &view.meta;
        meta.max_time >= self.times.min
            && meta.min_time <= self.times.max
            && (self.deleted == Deleted::Listed || view.deletion_mark.is_none())
            && self
                .filter
                .selects(view.objects.id, || meta.external_labels())
    }
}

/// The selected blocks, by their names.
#[must_use]
pub fn select<'a>(snapshot: &'a Snapshot, selection: &Selection) -> Vec<&'a BlockView> {
    let blocks = snapshot.blocks.iter();
    let mut blocks: Vec<&BlockView> = blocks.filter(|view| selection.selects(view)).collect();
    blocks.sort_by_key(|view| view.objects.id);
    blocks
}

/// The line of a block in Thanos's `--output=wide`.
#[must_use]
pub fn wide(meta: &BlockMeta) -> String {
    let seconds = |time: Timestamp| time.0.div_euclid(1000).saturating_mul(1000);
    let source = meta.thanos.as_ref().map_or("", |t| t.source.as_str());
    format!(
        "{} -- {} - {} Diff: {}, Compaction: {}, Downsample: {}, Source: {source}",
        meta.ulid,
        go::time(meta.min_time),
        go::time(meta.max_time),
        go::duration(seconds(meta.max_time).saturating_sub(seconds(meta.min_time))),
        meta.compaction.level,
        meta.resolution().millis(),
    )
}

#[cfg(test)]
mod tests {
    use model::TimeRange;

    use super::*;
    use crate::testing::{ID, OTHER, put, snapshot};

    fn ids(blocks: &[&BlockView]) -> Vec<String> {
        blocks.iter().map(|b| b.objects.root.to_string()).collect()
    }

    #[tokio::test]
    async fn blocks_of_both_formats_are_listed_unless_they_are_not_selected() {
        let bucket = bucket::Bucket::in_memory();
        put(&bucket, OTHER, r#""minTime":0,"maxTime":7200000"#).await;
        let parquet = format!("parquet/{ID}");
        put(&bucket, &parquet, r#""minTime":7200000,"maxTime":14400000"#).await;
        let mark = format!(r#"{{"id":"{OTHER}","version":1,"deletion_time":7}}"#);
        let key = format!("{OTHER}/deletion-mark.json");
        bucket.put(&key, mark.into()).await.unwrap();
        let snapshot = snapshot(&bucket).await;
        let of = |selection: Selection| ids(&select(&snapshot, &selection));
        assert_eq!(of(Selection::default()), [parquet.as_str(), OTHER]);
        let deleted = Deleted::LeftOut;
        assert_eq!(
            of(Selection {
                deleted,
                ..Selection::default()
            }),
            [parquet.as_str()]
        );
        let times = |min, max| Selection {
            times: TimeRange::new(min, max),
            ..Selection::default()
        };
        assert_eq!(of(times(0, 7_199_999)), [OTHER]);
        assert_eq!(of(times(7_200_001, i64::MAX)), [parquet.as_str()]);
        // The end of a block counts, as with Thanos.
        assert_eq!(of(times(7_200_000, i64::MAX)), [parquet.as_str(), OTHER]);
        let rules = format!("- action: drop\n  source_labels: [__block_id]\n  regex: {ID}");
        let filter = BlockFilter::from_yaml(&rules).unwrap();
        assert_eq!(
            of(Selection {
                filter,
                ..Selection::default()
            }),
            [OTHER]
        );
    }

    #[test]
    fn the_wide_line_is_the_one_of_thanos() {
        let json = r#"{"ulid":"01M8730YYK53DX21EDQCEJACBY","minTime":1763870401980,"maxTime":1763877544501,
            "compaction":{"level":1},"version":1,"thanos":{"source":"bucket.upload"}}"#;
        let meta = BlockMeta::decode(json.as_bytes()).unwrap();
        assert_eq!(
            wide(&meta),
            "01M8730YYK53DX21EDQCEJACBY -- 2025-11-23T04:00:01Z - 2025-11-23T05:59:04Z Diff: 1h59m3s, Compaction: 1, Downsample: 0, Source: bucket.upload"
        );
    }
}
