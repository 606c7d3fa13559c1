//! The small files of a block that a synchronization reads: `meta.json` and the marks.

use std::{collections::HashSet, sync::Arc};

use model::{
    BlockId, BlockMeta, DeletionMark, ExternalLabels, MarkError, NoCompactMark, NoDownsampleMark,
};

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Meta,
    Deletion,
    NoCompact,
    NoDownsample,
}

/// The contents of a file. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Document {
    Meta(Arc<BlockMeta>),
    Deletion(Arc<DeletionMark>),
    NoCompact(Arc<NoCompactMark>),
    NoDownsample(Arc<NoDownsampleMark>),
    /// The reason why it cannot be used. Without `meta.json` the block cannot be used; with an unusable mark it is
    /// left as it is.
    Unusable(Arc<str>),
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
    /// Logs what is wrong with it, if anything.
    pub(super) fn log(&self, kind: Kind) {
        match (self, kind) {
            (Self::Unusable(reason), Kind::Meta) => {
                tracing::error!(reason = &**reason, "block cannot be used");
            }
            (Self::Unusable(reason), _) => {
                tracing::error!(
                    reason = &**reason,
                    "mark cannot be used, so its block is left as it is"
                );
            }
            _ => {}
        }
    }

    /// Shares its labels with others that have the same.
    pub(super) fn share(&mut self, labels: &mut HashSet<ExternalLabels>) {
        if let Self::Meta(meta) = self
            && let Some(meta) = Arc::get_mut(meta)
            && let Some(thanos) = &mut meta.thanos
        {
            thanos.labels.share(labels);
        }
    }

    /// One that cannot be used.
    pub(super) fn unusable(reason: String) -> Self {
        Self::Unusable(reason.into())
    }

    /// Whether it can be used.
    pub(super) const fn is_readable(&self) -> bool {
        !matches!(self, Self::Unusable(_))
    }
}

/// Reads a file of `block`; `key` names it if it cannot be used.
pub(super) fn decode(
    kind: Kind,
    block: BlockId,
    key: impl FnOnce() -> String,
    json: &[u8],
) -> Document {
    let decoded = match kind {
        Kind::Meta => meta(block, json).map(Document::Meta),
        Kind::Deletion => mark(DeletionMark::decode(block, json), Document::Deletion),
        Kind::NoCompact => mark(NoCompactMark::decode(json), Document::NoCompact),
        Kind::NoDownsample => mark(NoDownsampleMark::decode(json), Document::NoDownsample),
    };
    decoded.unwrap_or_else(|reason| Document::unusable(format!("{}: {reason}", key())))
}

fn meta(block: BlockId, json: &[u8]) -> Result<Arc<BlockMeta>, String> {
    let meta = BlockMeta::decode(json).map_err(|error| error.to_string())?;
    if meta.ulid != block {
        return Err(format!(
            "ulid: expected {block} as its folder is named, found {}",
            meta.ulid
        ));
    }
    Ok(Arc::new(meta))
}

fn mark<M>(
    mark: Result<M, MarkError>,
    document: impl FnOnce(Arc<M>) -> Document,
) -> Result<Document, String> {
    let mark = mark.map(|mark| document(Arc::new(mark)));
    mark.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01HF8J5JG0RAVB4GMS32W7ZJ2B";

    fn read(kind: Kind, json: &str) -> Document {
        let key = || "k".to_owned();
        decode(kind, ID.parse().unwrap(), key, json.as_bytes())
    }

    #[test]
    fn a_meta_json_that_cannot_be_used_names_itself_and_the_place() {
        let meta = |version: u8, ulid: &str| {
            format!(r#"{{"ulid":"{ulid}","minTime":0,"maxTime":1,"version":{version}}}"#)
        };
        assert!(matches!(read(Kind::Meta, &meta(1, ID)), Document::Meta(_)));
        for (json, expected) in [
            (meta(2, ID), "k: version: expected 1, found 2"),
            (
                meta(1, "01HF8J5JG0RAVB4GMS32W7ZJ2C"),
                "k: ulid: expected 01HF8J5JG0RAVB4GMS32W7ZJ2B as its folder is named, found 01HF8J5JG0RAVB4GMS32W7ZJ2C",
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
                Document::unusable(expected.to_owned())
            );
        }
    }

    #[test]
    fn a_mark_that_cannot_be_used_names_itself_and_what_is_wrong() {
        for kind in [Kind::Deletion, Kind::NoCompact, Kind::NoDownsample] {
            let version = read(kind, r#"{"version":2}"#);
            let reason = "k: version: expected 1, found 2".to_owned();
            assert_eq!(version, Document::unusable(reason));
            for json in ["", "{", "{}", "[1]", r#"{"version":1,"id":"?"}"#] {
                let read = read(kind, json);
                assert!(matches!(&read, Document::Unusable(_)), "{json}: {read:?}");
            }
        }
        let json = format!(r#"{{"id":"{ID}","version":1,"deletion_time":7}}"#);
        let Document::Deletion(mark) = read(Kind::Deletion, &json) else {
            panic!("{json}");
        };
        assert_eq!(mark.deletion_time, 7);
    }
}
