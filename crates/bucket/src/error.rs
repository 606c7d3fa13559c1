//! What can go wrong with a bucket.

use std::{error::Error, fmt, io, path::PathBuf};

/// Why something could not be done with a bucket.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// There is no such object.
    #[error("{operation} {key}: not found")]
    NotFound {
        /// What was being done.
        operation: Operation,
        /// The object.
        key: String,
    },
    /// The object is another than the listing showed.
    #[error("{operation} {key}: changed since it was listed")]
    Changed {
        /// What was being done.
        operation: Operation,
        /// The object.
        key: String,
    },
    /// The credentials do not allow it.
    #[error("{operation} {key}: access denied to {who}: {}", causes(cause.as_ref()))]
    Denied {
        /// What was being done.
        operation: Operation,
        /// The object, or the prefix of a listing.
        key: String,
        /// Whose credentials they are, and for which bucket.
        who: String,
        /// What the store says.
        cause: Box<dyn Error + Send + Sync>,
    },
    /// The store was not reached or refused, retries included.
    #[error("{operation} {key}: {}", causes(cause.as_ref()))]
    Store {
        /// What was being done.
        operation: Operation,
        /// The object, or the prefix of a listing.
        key: String,
        /// What the store says.
        cause: Box<dyn Error + Send + Sync>,
    },
    /// An object or file has another length than it said.
    #[error("{operation} {key}: expected {expected} bytes, found {found}")]
    Length {
        /// What was being done.
        operation: Operation,
        /// The object.
        key: String,
        /// The length that was told.
        expected: u64,
        /// The bytes that there were.
        found: u64,
    },
    /// A local file cannot be read or written.
    #[error("{operation} {key}: {}: {source}", path.display())]
    File {
        /// What was being done.
        operation: Operation,
        /// The object.
        key: String,
        /// The local file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store creates an object for more than one of those who ask for it.
    #[error("bucket {bucket}: {found}, so compactors cannot share it")]
    NotExclusive {
        /// What the bucket is called.
        bucket: String,
        /// What it did.
        found: &'static str,
    },
    /// The configuration cannot be used.
    #[error("objstore config: {place}: {reason}")]
    Config {
        /// The field or the file.
        place: String,
        /// What was expected and found.
        reason: String,
    },
}

/// What is done with a bucket, as Thanos's metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// A listing.
    Iter,
    /// A whole object is read.
    Get,
    /// A part of an object is read.
    GetRange,
    /// An object is asked for.
    Exists,
    /// An object is written.
    Upload,
    /// An object is removed.
    Delete,
    /// An object's size and time are asked for.
    Attributes,
}

impl BucketError {
    pub(crate) fn store(operation: Operation, key: &str, source: object_store::Error) -> Self {
        use object_store::Error as E;
        // The root of a listing has no name.
        let key = if key.is_empty() { "/" } else { key }.to_owned();
        match source {
            // Where a write does not find something, that is the bucket itself, and the store's words say so.
            E::NotFound { source: cause, .. } if operation == Operation::Upload => Self::Store {
                operation,
                key,
                cause,
            },
            E::NotFound { .. } => Self::NotFound { operation, key },
            E::PermissionDenied { source: cause, .. }
            | E::Unauthenticated { source: cause, .. } => Self::Denied {
                operation,
                key,
                who: "the bucket".to_owned(),
                cause,
            },
            // What the library puts before the cause repeats what is said here.
            E::Generic { source: cause, .. } => Self::Store {
                operation,
                key,
                cause,
            },
            other => Self::Store {
                operation,
                key,
                cause: Box::new(other),
            },
        }
    }

    pub(crate) fn config(place: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self::Config {
            place: place.into(),
            reason: reason.to_string(),
        }
    }
}

impl Operation {
    pub(crate) const ALL: [Self; 7] = [
        Self::Iter,
        Self::Get,
        Self::GetRange,
        Self::Exists,
        Self::Upload,
        Self::Delete,
        Self::Attributes,
    ];

    /// The value of the metrics' label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iter => "iter",
            Self::Get => "get",
            Self::GetRange => "get_range",
            Self::Exists => "exists",
            Self::Upload => "upload",
            Self::Delete => "delete",
            Self::Attributes => "attributes",
        }
    }
}

impl fmt::Display for Operation {
    /// As errors say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iter => "list",
            Self::GetRange => "get range of",
            Self::Exists | Self::Attributes => "look for",
            other => other.name(),
        })
    }
}

/// An error with what caused it, down to the first cause; what was said already is not said again.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: io::Error,
    }

    fn shown(operation: Operation, source: object_store::Error) -> String {
        BucketError::store(operation, "a/b", source).to_string()
    }

    #[test]
    fn an_error_says_every_cause_once() {
        for (text, expected) in [
            (
                "error sending request",
                "get a/b: error sending request: refused",
            ),
            ("connection refused", "get a/b: connection refused"),
        ] {
            let source = io::Error::other("refused");
            let source = Layer { text, source }.into();
            let error = object_store::Error::Generic {
                store: "S3",
                source,
            };
            assert_eq!(shown(Operation::Get, error), expected);
        }
    }

    #[test]
    fn a_write_into_a_bucket_that_is_missing_says_so() {
        let missing = || object_store::Error::NotFound {
            path: "a/b".into(),
            source: "NoSuchBucket".into(),
        };
        assert_eq!(
            shown(Operation::Upload, missing()),
            "upload a/b: NoSuchBucket"
        );
        assert_eq!(shown(Operation::Get, missing()), "get a/b: not found");
    }
}
