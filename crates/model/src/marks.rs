//! Thanos's marks beside a block: `<ULID>/<name>.json`, compact JSON, times in unix seconds.
//!
//! They are read as Go reads them: a missing field or `null` is zero or empty. So a mark that forbids something needs
//! only its version. A deletion mark must say more, as samples are deleted because of it.

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{BlockId, Timestamp, go_json::settle};

/// The fields of every mark.
const MEMBERS: &[&str] = &[
    "id",
    "version",
    "details",
    "deletion_time",
    "no_compact_time",
    "no_downsample_time",
    "reason",
];

/// `deletion-mark.json`: the block may be deleted once the delete delay has passed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeletionMark {
    /// The marked block.
    pub id: BlockId,
    /// 1.
    pub version: u32,
    /// The reason in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// When it was made, unix **seconds**.
    pub deletion_time: i64,
}

/// `no-compact-mark.json`: the planner leaves the block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NoCompactMark {
    /// The marked block; all zeros if missing. The mark applies to the block beside which it lies.
    pub id: BlockId,
    /// 1.
    pub version: u32,
    /// The reason in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// When it was made, unix **seconds**; 0 if missing.
    pub no_compact_time: i64,
    /// The reason as a word.
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

/// `served-mark.json`, which Thanos has not: a store gateway was seen to serve the block. When that was is told by the time
/// of the object; the contents are for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServedMark {
    /// The served block.
    pub id: BlockId,
    /// 1.
    pub version: u32,
    /// When it was made, unix **seconds**.
    pub served_time: i64,
}

/// `no-downsample-mark.json`: the block is not downsampled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NoDownsampleMark {
    /// The marked block; all zeros if missing. The mark applies to the block beside which it lies.
    pub id: BlockId,
    /// 1.
    pub version: u32,
    /// The reason in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// When it was made, unix **seconds**; 0 if missing.
    pub no_downsample_time: i64,
    /// The reason as a word.
    pub reason: String,
}

/// A mark that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// The text is not such JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The version is unknown.
    #[error("version: expected 1, found {found}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// A deletion mark of another block, or of none.
    #[error("id: expected {expected} as its folder is named, found {found}")]
    Block {
        /// The block beside which it lies.
        expected: BlockId,
        /// The block in the mark.
        found: BlockId,
    },
    /// A deletion mark without a valid time.
    #[error("deletion_time: expected unix seconds, found {found}")]
    Time {
        /// The time found.
        found: i64,
    },
}

impl fmt::Display for NoCompactReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manual => "manual",
            Self::IndexSizeExceeding => "index-size-exceeding",
            Self::BlockIndexOutOfOrderChunk => "block-index-out-of-order-chunk",
            Self::DownsampleVerticalCompaction => "downsample-vertical-compaction",
            Self::Other(word) => word,
        })
    }
}

impl DeletionMark {
    /// The object's name below the block.
    pub const FILE: &str = "deletion-mark.json";

    /// Reads the deletion mark beside `block`.
    ///
    /// # Errors
    /// When the text is not such JSON, of another version than 1, of another block, or without a time.
    pub fn decode(block: BlockId, json: &[u8]) -> Result<Self, MarkError> {
        let mark: Self = decode(json, |mark: &Self| mark.version)?;
        if mark.id != block {
            return Err(MarkError::Block {
                expected: block,
                found: mark.id,
            });
        }
        // What Go writes for an unset id.
        if mark.deletion_time <= 0 {
            return Err(MarkError::Time {
                found: mark.deletion_time,
            });
        }
        Ok(mark)
    }

    /// When the block was marked.
    #[must_use]
    pub const fn marked_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.deletion_time)
    }
}

impl NoCompactMark {
    /// The object's name below the block.
    pub const FILE: &str = "no-compact-mark.json";

    /// Reads a mark.
    ///
    /// # Errors
    /// When the text is not such JSON, or of another version than 1.
    pub fn decode(json: &[u8]) -> Result<Self, MarkError> {
        decode(json, |mark: &Self| mark.version)
    }
}

impl NoDownsampleMark {
    /// The object's name below the block.
    pub const FILE: &str = "no-downsample-mark.json";

    /// Reads a mark.
    ///
    /// # Errors
    /// When the text is not such JSON, or of another version than 1.
    pub fn decode(json: &[u8]) -> Result<Self, MarkError> {
        decode(json, |mark: &Self| mark.version)
    }
}

impl ServedMark {
    /// The object's name below the block.
    pub const FILE: &str = "served-mark.json";
}

/// The names of all marks below a block: they say something about it and are no part of its contents.
pub const MARK_FILES: [&str; 4] = [
    DeletionMark::FILE,
    NoCompactMark::FILE,
    NoDownsampleMark::FILE,
    ServedMark::FILE,
];

impl Default for NoCompactReason {
    /// None is told.
    fn default() -> Self {
        Self::Other(String::new())
    }
}

fn decode<M: DeserializeOwned>(json: &[u8], version: fn(&M) -> u32) -> Result<M, MarkError> {
    let mut document: Value = serde_json::from_slice(json)?;
    if let Some(members) = document.as_object_mut() {
        settle(members, MEMBERS);
    }
    let mark = serde_json::from_value(document)?;
    match version(&mark) {
        1 => Ok(mark),
        found => Err(MarkError::Version { found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01HF8J5JG0RAVB4GMS32W7ZJ2B";

    #[test]
    fn a_mark_that_forbids_counts_with_nothing_but_its_version() {
        for json in [
            r#"{"version":1}"#,
            r#"{"version":1,"id":null,"reason":null,"no_compact_time":null,"no_downsample_time":null,"details":null}"#,
            r#"{"Version":1,"by":"hand","since":[null]}"#,
        ] {
            let mark = NoCompactMark::decode(json.as_bytes()).unwrap();
            assert_eq!(mark.reason, NoCompactReason::default(), "{json}");
            assert_eq!((mark.version, mark.no_compact_time), (1, 0), "{json}");
            let mark = NoDownsampleMark::decode(json.as_bytes()).unwrap();
            assert_eq!((mark.version, mark.reason.as_str()), (1, ""), "{json}");
        }
        let json = format!(r#"{{"id":"{ID}","version":1,"reason":"manual"}}"#);
        let mark = NoCompactMark::decode(json.as_bytes()).unwrap();
        assert_eq!(mark.reason, NoCompactReason::Manual);
    }

    #[test]
    fn a_reason_is_shown_as_the_word_in_the_mark() {
        use NoCompactReason as Reason;
        for reason in [
            Reason::Manual,
            Reason::IndexSizeExceeding,
            Reason::BlockIndexOutOfOrderChunk,
            Reason::DownsampleVerticalCompaction,
            Reason::Other("damaged".to_owned()),
        ] {
            let word = serde_json::to_value(&reason).unwrap();
            assert_eq!(word, reason.to_string());
        }
    }

    #[test]
    fn an_invalid_mark_is_an_error_that_says_why() {
        for (json, expected) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{}", "version: expected 1, found 0"),
            (r#"{"version":null}"#, "version: expected 1, found 0"),
            (r#"{"version":2}"#, "version: expected 1, found 2"),
        ] {
            for error in [
                NoCompactMark::decode(json.as_bytes()).unwrap_err(),
                NoDownsampleMark::decode(json.as_bytes()).unwrap_err(),
                DeletionMark::decode(ID.parse().unwrap(), json.as_bytes()).unwrap_err(),
            ] {
                assert_eq!(error.to_string(), expected, "{json}");
            }
        }
    }

    #[test]
    fn a_deletion_mark_says_its_block_and_since_when() {
        let read = |json: &str| DeletionMark::decode(ID.parse().unwrap(), json.as_bytes());
        let other = "01HF8J5JG0RAVB4GMS32W7ZJ2C";
        let of =
            |id: &str, time: &str| format!(r#"{{"id":"{id}","version":1,"deletion_time":{time}}}"#);
        assert_eq!(read(&of(ID, "7")).unwrap().deletion_time, 7);
        let zero = "00000000000000000000000000";
        for (json, expected) in [
            (
                of(other, "7"),
                format!("id: expected {ID} as its folder is named, found {other}"),
            ),
            (
                r#"{"version":1,"deletion_time":7}"#.to_owned(),
                format!("id: expected {ID} as its folder is named, found {zero}"),
            ),
            (
                of(ID, "null"),
                "deletion_time: expected unix seconds, found 0".to_owned(),
            ),
            (
                of(ID, "-7"),
                "deletion_time: expected unix seconds, found -7".to_owned(),
            ),
        ] {
            assert_eq!(read(&json).unwrap_err().to_string(), expected);
        }
    }

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
