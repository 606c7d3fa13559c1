//! Marks of blocks, written and removed by hand.

use bucket::{Bucket, Mark, PARQUET_ROOT, mark_block};
use model::{BlockId, DeletionMark, NoCompactMark, NoDownsampleMark, Timestamp};

use crate::ToolError;

/// The reason that Thanos gives for marks of people.
const MANUAL: &str = "manual";

/// The kind of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// To be deleted.
    Deletion,
    /// Not to be compacted.
    NoCompact,
    /// Not to be downsampled.
    NoDownsample,
}

/// What is done with a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarkChange {
    /// It is written, with these words.
    Put(String),
    /// It is removed.
    Remove,
}

/// What became of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// It was written or removed.
    Done,
    /// It was there already, or was not there.
    Before,
}

impl Marker {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Deletion, Self::NoCompact, Self::NoDownsample];

    /// The name of its file, which is its value in `--marker`.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Deletion => DeletionMark::FILE,
            Self::NoCompact => NoCompactMark::FILE,
            Self::NoDownsample => NoDownsampleMark::FILE,
        }
    }
}

/// Writes or removes the mark of a block, whichever format it has. A mark that exists is left as it is.
///
/// # Errors
/// When the bucket has no such block, two of that name, or fails.
pub async fn mark(
    bucket: &Bucket,
    block: BlockId,
    marker: Marker,
    change: &MarkChange,
    now: Timestamp,
) -> Result<Marked, ToolError> {
    let root = root(bucket, block).await?;
    let changed = match change {
        MarkChange::Put(details) => {
            let mark = match marker {
                Marker::Deletion => Mark::Deletion,
                Marker::NoCompact => Mark::NoCompact(MANUAL),
                Marker::NoDownsample => Mark::NoDownsample(MANUAL),
            };
            mark_block(bucket, &root, block, mark, details, now).await?
        }
        MarkChange::Remove => {
            let key = format!("{root}/{}", marker.file());
            let exists = bucket.exists(&key).await?;
            if exists {
                bucket.delete(&key).await?;
            }
            exists
        }
    };
    Ok(match changed {
        true => Marked::Done,
        false => Marked::Before,
    })
}

/// The folder of a block.
async fn root(bucket: &Bucket, block: BlockId) -> Result<String, ToolError> {
    let roots = [block.to_string(), format!("{PARQUET_ROOT}/{block}")];
    let mut found = Vec::new();
    for root in roots {
        if !bucket.list(&format!("{root}/"), None).await?.is_empty() {
            found.push(root);
        }
    }
    match (found.pop(), found.pop()) {
        (Some(root), None) => Ok(root),
        (None, _) => Err(ToolError::NoBlock { block }),
        (Some(_), Some(_)) => Err(ToolError::Ambiguous { block }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ID, OTHER, put};

    const TIMES: &str = r#""minTime":0,"maxTime":1"#;
    const NOW: Timestamp = Timestamp(7_999);

    async fn change(
        bucket: &Bucket,
        id: &str,
        marker: Marker,
        change: &MarkChange,
    ) -> Result<Marked, String> {
        let done = mark(bucket, id.parse().unwrap(), marker, change, NOW).await;
        done.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn marks_are_those_of_thanos_and_lie_beside_blocks_of_both_formats() {
        let bucket = Bucket::in_memory();
        let parquet = format!("parquet/{OTHER}");
        put(&bucket, ID, TIMES).await;
        put(&bucket, &parquet, TIMES).await;
        let details = MarkChange::Put("by hand".to_owned());
        for (root, id) in [(ID, ID), (parquet.as_str(), OTHER)] {
            for (marker, rest) in [
                (Marker::Deletion, r#""deletion_time":7"#),
                (
                    Marker::NoCompact,
                    r#""no_compact_time":7,"reason":"manual""#,
                ),
                (
                    Marker::NoDownsample,
                    r#""no_downsample_time":7,"reason":"manual""#,
                ),
            ] {
                let done = change(&bucket, id, marker, &details).await;
                assert_eq!(done, Ok(Marked::Done));
                let again = MarkChange::Put("again".to_owned());
                let done = change(&bucket, id, marker, &again).await;
                assert_eq!(done, Ok(Marked::Before));
                let key = format!("{root}/{}", marker.file());
                let text = bucket.get(&key).await.unwrap();
                let json = format!(r#"{{"id":"{id}","version":1,"details":"by hand",{rest}}}"#);
                assert_eq!(String::from_utf8_lossy(&text), json);
                let remove = MarkChange::Remove;
                let removed = change(&bucket, id, marker, &remove).await;
                assert_eq!(removed, Ok(Marked::Done));
                assert!(!bucket.exists(&key).await.unwrap());
                let removed = change(&bucket, id, marker, &remove).await;
                assert_eq!(removed, Ok(Marked::Before));
            }
        }
    }

    #[tokio::test]
    async fn a_block_that_is_not_there_or_there_twice_gets_no_mark() {
        let bucket = Bucket::in_memory();
        put(&bucket, ID, TIMES).await;
        put(&bucket, &format!("parquet/{ID}"), TIMES).await;
        let details = MarkChange::Put("by hand".to_owned());
        let error = change(&bucket, OTHER, Marker::Deletion, &details).await;
        let expected = format!(
            "block {OTHER}: expected {OTHER}/ or parquet/{OTHER}/ in the bucket, found neither"
        );
        assert_eq!(error, Err(expected));
        let error = change(&bucket, ID, Marker::Deletion, &details).await;
        let expected = format!("block {ID}: expected one of {ID}/ and parquet/{ID}/, found both");
        assert_eq!(error, Err(expected));
        assert_eq!(bucket.list("", None).await.unwrap().len(), 2);
    }
}
