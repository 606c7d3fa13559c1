//! The `meta.json` of an uploaded block: Prometheus's, with Thanos's section.

use model::{BlockMeta, FileMeta, IndexStats, Labels, Rfc3339, ThanosMeta, Timestamp};

/// Adds what Thanos's sidecar adds to the `meta.json` of a local block.
///
/// `source` is the component that uploads, `files` are all files but `meta.json`. External labels are merged into those that the block has already.
pub(crate) fn with_thanos(
    mut meta: BlockMeta,
    external: &Labels,
    source: &str,
    mut files: Vec<FileMeta>,
    index_stats: IndexStats,
    now: Timestamp,
) -> BlockMeta {
    let mut thanos = meta.thanos.take().unwrap_or_default();
    thanos.labels.extend(external.to_texts());
    let segment = |f: &FileMeta| f.rel_path.strip_prefix("chunks/").map(str::to_owned);
    let segment_files = files.iter().filter_map(segment).collect();
    files.push(FileMeta {
        rel_path: BlockMeta::FILE.to_owned(),
        ..FileMeta::default()
    });
    files.sort_by(|a, b| a.rel_path.cmp(&b.rel_path));
    meta.thanos = Some(ThanosMeta {
        version: 1,
        source: source.to_owned(),
        segment_files,
        files,
        index_stats,
        upload_time: Rfc3339(now).to_string(),
        ..thanos
    });
    meta
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_is_the_one_that_thanos_writes() {
        let local = r#"{
	"ulid": "01HF8J5JG0RAVB4GMS32W7ZJ2B",
	"minTime": 0,
	"maxTime": 7200000,
	"stats": {
		"numSamples": 1,
		"numSeries": 1,
		"numChunks": 1
	},
	"compaction": {
		"level": 1,
		"sources": [
			"01HF8J5JG0RAVB4GMS32W7ZJ2B"
		]
	},
	"version": 1
}"#;
        let meta = BlockMeta::decode(local.as_bytes()).unwrap();
        let file = |rel_path: &str, size_bytes| FileMeta {
            rel_path: rel_path.to_owned(),
            size_bytes,
            ..FileMeta::default()
        };
        let uploaded = with_thanos(
            meta,
            &Labels::from_pairs([("replica", "a"), ("cluster", "eu-1")]),
            "sidecar",
            vec![file("chunks/000001", 7), file("index", 9)],
            IndexStats {
                series_max_size: 16,
                chunk_max_size: 32,
            },
            Timestamp(1_787_392_800_123),
        );
        let expected = r#",
	"version": 1,
	"thanos": {
		"version": 1,
		"labels": {
			"cluster": "eu-1",
			"replica": "a"
		},
		"downsample": {
			"resolution": 0
		},
		"source": "sidecar",
		"segment_files": [
			"000001"
		],
		"files": [
			{
				"rel_path": "chunks/000001",
				"size_bytes": 7
			},
			{
				"rel_path": "index",
				"size_bytes": 9
			},
			{
				"rel_path": "meta.json"
			}
		],
		"index_stats": {
			"series_max_size": 16,
			"chunk_max_size": 32
		},
		"upload_time": "2026-08-22T10:00:00.123000000Z"
	}
}
"#;
        let text = String::from_utf8(uploaded.encode()).unwrap();
        let local = local.strip_suffix(",\n\t\"version\": 1\n}").unwrap();
        assert_eq!(text, format!("{local}{expected}"));
    }

    #[test]
    fn labels_that_the_block_has_are_kept_and_external_ones_win() {
        let local = r#"{"ulid": "01HF8J5JG0RAVB4GMS32W7ZJ2B", "minTime": 0, "maxTime": 1, "version": 1,
            "thanos": {"labels": {"own": "1", "cluster": "old"}, "source": "receive", "extensions": {"a": 1}}}"#;
        let meta = BlockMeta::decode(local.as_bytes()).unwrap();
        let external = Labels::from_pairs([("cluster", "eu-1")]);
        let stats = IndexStats::default();
        let uploaded = with_thanos(
            meta,
            &external,
            "bucket.upload",
            vec![],
            stats,
            Timestamp(0),
        );
        let labels = uploaded.external_labels().to_string();
        assert_eq!(labels, r#"{cluster="eu-1", own="1"}"#);
        let thanos = uploaded.thanos.unwrap();
        assert_eq!(thanos.source, "bucket.upload");
        assert!(thanos.extra.contains_key("extensions"));
    }
}
