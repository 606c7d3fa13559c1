//! The markers that Thanos puts beside a block: `<ULID>/<name>.json`, compact JSON, times in unix seconds.

use serde::{Deserialize, Serialize};

use crate::BlockId;

/// `deletion-mark.json`: the block may be deleted once the delete delay has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionMark {
    /// The marked block.
    pub id: BlockId,
    /// Always 1.
    pub version: u32,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// When it was marked, unix **seconds**.
    pub deletion_time: i64,
}

/// `no-compact-mark.json`: the planner leaves the block alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoCompactMark {
    /// The marked block.
    pub id: BlockId,
    /// Always 1.
    pub version: u32,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// When it was marked, unix **seconds**.
    pub no_compact_time: i64,
    /// Why, as a word.
    pub reason: NoCompactReason,
}

/// Why a block is not compacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoCompactReason {
    /// A person marked it.
    Manual,
    /// The merged index would exceed its limit.
    IndexSizeExceeding,
    /// Its chunks are out of order.
    BlockIndexOutOfOrderChunk,
    /// Overlapping downsampled blocks.
    DownsampleVerticalCompaction,
    /// Any other word.
    #[serde(untagged)]
    Other(String),
}

/// `no-downsample-mark.json`: the block is not downsampled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoDownsampleMark {
    /// The marked block.
    pub id: BlockId,
    /// Always 1.
    pub version: u32,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// When it was marked, unix **seconds**.
    pub no_downsample_time: i64,
    /// Why, as a word.
    pub reason: String,
}

impl DeletionMark {
    /// The object's name below the block.
    pub const FILE: &str = "deletion-mark.json";
}

impl NoCompactMark {
    /// The object's name below the block.
    pub const FILE: &str = "no-compact-mark.json";
}

impl NoDownsampleMark {
    /// The object's name below the block.
    pub const FILE: &str = "no-downsample-mark.json";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_written_as_thanos_writes_them() {
        let mark = DeletionMark {
            id: "01HF8J5JG0RAVB4GMS32W7ZJ2B".parse().unwrap(),
            version: 1,
            details: "source of compacted block".into(),
            deletion_time: 1_690_000_000,
        };
        let json = r#"{"id":"01HF8J5JG0RAVB4GMS32W7ZJ2B","version":1,"details":"source of compacted block","deletion_time":1690000000}"#;
        assert_eq!(serde_json::to_string(&mark).unwrap(), json);
        assert_eq!(serde_json::from_str::<DeletionMark>(json).unwrap(), mark);
    }

    #[test]
    fn an_unknown_reason_is_kept() {
        let json = r#"{"id":"01HF8J5JG0RAVB4GMS32W7ZJ2B","version":1,"no_compact_time":1,"reason":"my-own"}"#;
        let mark: NoCompactMark = serde_json::from_str(json).unwrap();
        assert_eq!(mark.reason, NoCompactReason::Other("my-own".into()));
        assert_eq!(serde_json::to_string(&mark).unwrap(), json);
    }
}
