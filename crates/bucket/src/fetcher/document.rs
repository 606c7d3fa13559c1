//! The small files of a block that are read when a bucket is looked at: `meta.json` and the marks.

use std::sync::Arc;

use model::{BlockId, BlockMeta, DeletionMark, NoCompactMark, NoDownsampleMark};
use serde::{Deserialize, de::DeserializeOwned};

/// Which file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Meta,
    Deletion,
    NoCompact,
    NoDownsample,
}

/// What it says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Document {
    Meta(Arc<BlockMeta>),
    Deletion(DeletionMark),
    NoCompact(NoCompactMark),
    NoDownsample(NoDownsampleMark),
    /// A mark that cannot be read, for this reason; it marks nothing, as in Thanos.
    Ignored(String),
    /// The block must be left alone, for this reason.
    Unusable(String),
}

/// What every mark has.
#[derive(Debug, Deserialize)]
struct Version {
    version: u64,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [
        Self::Meta,
        Self::Deletion,
        Self::NoCompact,
        Self::NoDownsample,
    ];

    /// The file's name below the block.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Meta => BlockMeta::FILE,
            Self::Deletion => DeletionMark::FILE,
            Self::NoCompact => NoCompactMark::FILE,
            Self::NoDownsample => NoDownsampleMark::FILE,
        }
    }
}

impl Document {
    /// Says what is wrong with it, if anything.
    pub(super) fn log(&self) {
        match self {
            Self::Unusable(reason) => tracing::error!(reason, "block cannot be used"),
            Self::Ignored(reason) => tracing::warn!(reason, "mark marks nothing"),
            _ => {}
        }
    }

    /// Whether it is as it should be.
    pub(super) const fn is_readable(&self) -> bool {
        !matches!(self, Self::Unusable(_) | Self::Ignored(_))
    }
}

/// Reads the file `key` of `block`.
pub(super) fn decode(kind: Kind, block: BlockId, key: &str, json: &[u8]) -> Document {
    let decoded = match kind {
        Kind::Meta => meta(block, json).map(Document::Meta),
        Kind::Deletion => mark(key, json, Document::Deletion),
        Kind::NoCompact => mark(key, json, Document::NoCompact),
        Kind::NoDownsample => mark(key, json, Document::NoDownsample),
    };
    decoded.unwrap_or_else(|reason| Document::Unusable(format!("{key}: {reason}")))
}

fn meta(block: BlockId, json: &[u8]) -> Result<Arc<BlockMeta>, String> {
    let meta = BlockMeta::decode(json).map_err(|error| error.to_string())?;
    if meta.ulid != block {
        return Err(format!(
            "ulid: expected {block} as its folder, found {}",
            meta.ulid
        ));
    }
    Ok(Arc::new(meta))
}

fn mark<T: DeserializeOwned>(
    key: &str,
    json: &[u8],
    document: impl FnOnce(T) -> Document,
) -> Result<Document, String> {
    if let Ok(Version { version }) = serde_json::from_slice(json)
        && version != 1
    {
        return Err(format!("version: expected 1, found {version}"));
    }
    let decoded = serde_json::from_slice(json).map(document);
    Ok(decoded.unwrap_or_else(|error| Document::Ignored(format!("{key}: {error}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01HF8J5JG0RAVB4GMS32W7ZJ2B";

    fn read(kind: Kind, json: &str) -> Document {
        decode(kind, ID.parse().unwrap(), "k", json.as_bytes())
    }

    #[test]
    fn a_meta_json_that_cannot_be_used_names_itself_and_the_place() {
        let meta = |version: u8, ulid: &str| {
            format!(r#"{{"ulid":"{ulid}","minTime":0,"maxTime":1,"version":{version}}}"#)
        };
        assert!(matches!(read(Kind::Meta, &meta(1, ID)), Document::Meta(_)));
        for (json, expected) in [
            (meta(2, ID), "k: unexpected meta.json version 2, expected 1"),
            (
                meta(1, "01HF8J5JG0RAVB4GMS32W7ZJ2C"),
                "k: ulid: expected 01HF8J5JG0RAVB4GMS32W7ZJ2B as its folder, found 01HF8J5JG0RAVB4GMS32W7ZJ2C",
            ),
            (
                "{".to_owned(),
                "k: EOF while parsing an object at line 1 column 1",
            ),
            (
                String::new(),
                "k: EOF while parsing a value at line 1 column 0",
            ),
        ] {
            assert_eq!(
                read(Kind::Meta, &json),
                Document::Unusable(expected.to_owned())
            );
        }
    }

    #[test]
    fn a_mark_of_another_version_stops_the_block_and_one_that_is_no_json_marks_nothing() {
        for kind in [Kind::Deletion, Kind::NoCompact, Kind::NoDownsample] {
            let version = read(kind, r#"{"version":2}"#);
            let reason = "k: version: expected 1, found 2".to_owned();
            assert_eq!(version, Document::Unusable(reason));
            for json in ["", "{", r#"{"version":1}"#, "[1]"] {
                let read = read(kind, json);
                assert!(matches!(&read, Document::Ignored(_)), "{json}: {read:?}");
            }
        }
        let json = format!(r#"{{"id":"{ID}","version":1,"deletion_time":7}}"#);
        let Document::Deletion(mark) = read(Kind::Deletion, &json) else {
            panic!("{json}");
        };
        assert_eq!(mark.deletion_time, 7);
    }
}
