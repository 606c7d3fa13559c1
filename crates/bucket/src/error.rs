//! What can go wrong with a bucket.

use std::{error::Error, fmt, io, path::PathBuf};

use http::StatusCode;

/// Why an operation on a bucket failed.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The object does not exist.
    #[error("{operation} {key}: not found")]
    NotFound {
        /// The operation.
        operation: Operation,
        /// The object.
        key: String,
    },
    /// The object is not the version that the listing showed.
    #[error("{operation} {key}: changed since it was listed")]
    Changed {
        /// The operation.
        operation: Operation,
        /// The object.
        key: String,
    },
    /// The credentials do not allow the operation.
    #[error("{operation} {key}: access denied to {who}: {}", causes(cause.as_ref()))]
    Denied {
        /// The operation.
        operation: Operation,
        /// The object, or the prefix of a listing.
        key: String,
        /// The source of the credentials, and the bucket.
        who: String,
        /// The store's error.
        cause: Box<dyn Error + Send + Sync>,
    },
    /// The store was not reached or refused, also after retries.
    #[error("{operation} {key}: {}", causes(cause.as_ref()))]
    Store {
        /// The operation.
        operation: Operation,
        /// The object, or the prefix of a listing.
        key: String,
        /// The store's error.
        cause: Box<dyn Error + Send + Sync>,
    },
    /// An object or file does not have its stated length.
    #[error("{operation} {key}: expected {expected} bytes, found {found}")]
    Length {
        /// The operation.
        operation: Operation,
        /// The object.
        key: String,
        /// The stated length.
        expected: u64,
        /// The bytes found.
        found: u64,
    },
    /// A local file cannot be read or written.
    #[error("{operation} {key}: {}: {source}", path.display())]
    File {
        /// The operation.
        operation: Operation,
        /// The object.
        key: String,
        /// The local file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store lets several callers create one object.
    #[error("bucket {bucket}: {found}, so compactors cannot share it")]
    NotExclusive {
        /// The bucket's name.
        bucket: String,
        /// What the store did.
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

/// An operation on a bucket, as Thanos's metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// A listing.
    Iter,
    /// A whole object is read.
    Get,
    /// A part of an object is read.
    GetRange,
    /// Whether an object exists.
    Exists,
    /// An object is written.
    Upload,
    /// An object is removed.
    Delete,
    /// The size and time of an object.
    Attributes,
}

impl BucketError {
    pub(crate) fn store(operation: Operation, key: &str, source: object_store::Error) -> Self {
        use object_store::Error as E;
        // The root of a listing has an empty key.
        let key = if key.is_empty() { "/" } else { key }.to_owned();
        if let Some(refused) = Refused::in_causes(&source) {
            return Self::Denied {
                operation,
                key,
                who: refused.who.clone(),
                cause: refused.to_string().into(),
            };
        }
        match source {
            // If a write finds something missing, it is the bucket itself, and the store's text says so.
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
            // The library's text before the cause repeats the operation.
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

    /// The name of its span in a trace: Thanos's.
    pub(crate) const fn span(self) -> &'static str {
        match self {
            Self::Iter => "bucket_iter",
            Self::Get => "bucket_get",
            Self::GetRange => "bucket_getrange",
            Self::Exists => "bucket_exists",
            Self::Upload => "bucket_upload",
            Self::Delete => "bucket_delete",
            Self::Attributes => "bucket_attributes",
        }
    }

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
    /// The name in errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iter => "list",
            Self::GetRange => "get range of",
            Self::Exists | Self::Attributes => "look for",
            other => other.name(),
        })
    }
}

/// The answer of a server that refused the credentials.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {says}")]
pub(crate) struct Refused {
    /// The bucket, and the source of the credentials.
    pub(crate) who: String,
    pub(crate) status: StatusCode,
    pub(crate) says: String,
}

impl Refused {
    fn in_causes<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(refused) = cause.downcast_ref() {
                return Some(refused);
            }
            next = cause.source();
        }
        None
    }
}

/// An error with its causes; texts that were given before are not repeated.
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
