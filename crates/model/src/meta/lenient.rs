//! `meta.json` as Go reads it, where that differs from what `serde` does.

use serde_json::Value;

use super::{BlockMeta, CompactionMeta, FileMeta, ThanosMeta};
use crate::go_json::{Members, has_other_spelling, object, objects, settle};

const BLOCK: &[&str] = &[
    "ulid",
    "minTime",
    "maxTime",
    "stats",
    "compaction",
    "version",
    "thanos",
];
const STATS: &[&str] = &[
    "numSamples",
    "numFloatSamples",
    "numHistogramSamples",
    "numSeries",
    "numChunks",
    "numTombstones",
];
const COMPACTION: &[&str] = &[
    "level",
    "sources",
    "deletable",
    "parents",
    "failed",
    "hints",
];
const PARENT: &[&str] = &["ulid", "minTime", "maxTime"];
const THANOS: &[&str] = &[
    "version",
    "labels",
    "downsample",
    "source",
    "segment_files",
    "files",
    "index_stats",
    "upload_time",
];
const DOWNSAMPLE: &[&str] = &["resolution"];
const FILE: &[&str] = &["rel_path", "size_bytes"];
const INDEX_STATS: &[&str] = &["series_max_size", "chunk_max_size"];
/// A section of ours, which no program in Go writes; that there is none may be said by `null`.
const PARQUET: &str = "parquet";

/// Reads a `meta.json`, however Go would.
///
/// # Errors
/// When it is no such JSON.
pub(super) fn parse(json: &[u8]) -> Result<BlockMeta, serde_json::Error> {
    let direct = serde_json::from_slice::<BlockMeta>(json);
    if direct.as_ref().is_ok_and(|meta| !has_other_spellings(meta)) {
        return direct;
    }
    let mut document: Value = serde_json::from_slice(json)?;
    if let Some(members) = document.as_object_mut() {
        block(members);
    }
    // Of the errors the one that has a place.
    let settled = serde_json::from_value(document);
    settled.map_err(|error| direct.err().unwrap_or(error))
}

fn has_other_spellings(meta: &BlockMeta) -> bool {
    let CompactionMeta { extra, .. } = &meta.compaction;
    has_other_spelling(&meta.extra, BLOCK)
        || has_other_spelling(extra, COMPACTION)
        || meta.thanos.as_ref().is_some_and(|thanos| {
            let ThanosMeta { extra, files, .. } = thanos;
            has_other_spelling(extra, THANOS)
                || files
                    .iter()
                    .any(|FileMeta { extra, .. }| has_other_spelling(extra, FILE))
        })
}

fn block(members: &mut Members) {
    settle(members, BLOCK);
    members.retain(|name, value| name != PARQUET || !value.is_null());
    if let Some(stats) = object(members, "stats") {
        settle(stats, STATS);
    }
    if let Some(section) = object(members, "compaction") {
        settle(section, COMPACTION);
        for name in ["sources", "hints"] {
            let _ = objects(section, name).count();
        }
        for parent in objects(section, "parents") {
            settle(parent, PARENT);
        }
    }
    if let Some(section) = object(members, "thanos") {
        thanos(section);
    }
}

fn thanos(members: &mut Members) {
    settle(members, THANOS);
    let _ = objects(members, "segment_files").count();
    if let Some(labels) = object(members, "labels") {
        for (_, value) in labels.iter_mut().filter(|(_, value)| value.is_null()) {
            *value = Value::String(String::new());
        }
    }
    if let Some(downsample) = object(members, "downsample") {
        settle(downsample, DOWNSAMPLE);
        downsample.retain(|name, _| DOWNSAMPLE.contains(&name.as_str()));
    }
    for file in objects(members, "files") {
        settle(file, FILE);
    }
    if let Some(stats) = object(members, "index_stats") {
        settle(stats, INDEX_STATS);
    }
}
