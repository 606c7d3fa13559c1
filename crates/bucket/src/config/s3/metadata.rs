//! `put_user_metadata`: headers and metadata of created objects.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use object_store::{Attribute, Attributes};

use crate::BucketError;

/// Headers of S3 for created objects, besides those of grants and object locks.
const HEADERS: [&str; 4] = [
    "x-amz-acl",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
    "expires",
];
/// Prefixes of others.
const HEADER_PREFIXES: [&str; 2] = ["x-amz-grant-", "x-amz-object-lock-"];

/// What the library sends: headers that it knows, and metadata.
pub(super) fn attributes(metadata: &BTreeMap<String, String>) -> Attributes {
    let attribute = |(name, value): (&String, &String)| {
        let attribute = match name.to_ascii_lowercase().as_str() {
            "x-amz-storage-class" => Attribute::StorageClass,
            "content-type" => Attribute::ContentType,
            "content-encoding" => Attribute::ContentEncoding,
            "content-disposition" => Attribute::ContentDisposition,
            "content-language" => Attribute::ContentLanguage,
            "cache-control" => Attribute::CacheControl,
            lower if is_header(lower) => return None,
            lower => {
                let name = lower.strip_prefix("x-amz-meta-").unwrap_or(lower);
                Attribute::Metadata(name.to_owned().into())
            }
        };
        Some((attribute, value.clone()))
    };
    metadata.iter().filter_map(attribute).collect()
}

/// The headers that the library does not know.
///
/// # Errors
/// [`BucketError::Config`] for a name or a value that no header can have, and for a header of S3 that would contradict
/// the request.
pub(super) fn headers(metadata: &BTreeMap<String, String>) -> Result<HeaderMap, BucketError> {
    let mut headers = HeaderMap::new();
    for (name, value) in metadata {
        let refuse = |reason: &str| {
            let place = format!("config.put_user_metadata.{name}");
            Err(BucketError::config(place, reason))
        };
        let Ok(header) = name.parse::<HeaderName>() else {
            return refuse("expected the name of a header");
        };
        let Some(value) = header_value(value) else {
            return refuse("expected visible ASCII characters and spaces");
        };
        let lower = header.as_str();
        if is_header(lower) {
            headers.insert(header, value);
        } else if lower.starts_with("x-amz-")
            && lower != "x-amz-storage-class"
            && !lower.starts_with("x-amz-meta-")
        {
            // Storing it as metadata would not have the intended effect.
            return refuse("not supported");
        }
    }
    Ok(headers)
}

fn header_value(text: &str) -> Option<HeaderValue> {
    // Spaces at the ends would be signed but not sent.
    text.trim().parse().ok().filter(|_| text.is_ascii())
}

fn is_header(lower: &str) -> bool {
    HEADERS.contains(&lower)
        || HEADER_PREFIXES
            .into_iter()
            .any(|start| lower.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
        let pairs = pairs.into_iter();
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn objects_are_written_with_the_headers_and_metadata_configured() {
        let metadata = of([
            ("X-Amz-Storage-Class", "GLACIER"),
            ("Team", "a"),
            ("x-amz-meta-tier", "b"),
            ("X-Amz-Acl", "bucket-owner-full-control"),
            ("X-Amz-Grant-Read", "id=1"),
        ]);
        let attributes = attributes(&metadata);
        let value = |attribute| attributes.get(&attribute).map(|v| v.as_ref().to_owned());
        assert_eq!(value(Attribute::StorageClass).as_deref(), Some("GLACIER"));
        let of_metadata = |name: &'static str| value(Attribute::Metadata(name.into()));
        assert_eq!(of_metadata("team").as_deref(), Some("a"));
        assert_eq!(of_metadata("tier").as_deref(), Some("b"));
        assert_eq!(attributes.len(), 3);
        let headers = headers(&metadata).unwrap();
        assert_eq!(headers["x-amz-acl"], "bucket-owner-full-control");
        assert_eq!(headers["x-amz-grant-read"], "id=1");
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn a_value_that_no_header_can_have_is_refused_by_name() {
        for (name, value) in [
            ("a b", "c"),
            ("a", "b\nc"),
            ("a", "ü"),
            ("", "a"),
            ("x-amz-date", "1"),
            ("x-amz-security-token", "1"),
        ] {
            let error = headers(&of([(name, value)])).unwrap_err().to_string();
            let place = format!("objstore config: config.put_user_metadata.{name}: ");
            assert!(error.starts_with(&place), "{error}");
        }
    }
}
