//! Marks that people ask for through the API, as of Thanos: `POST /api/v1/blocks/mark`.

use std::{collections::BTreeMap, fmt, sync::Arc};

use axum::http::{HeaderMap, header};
use futures::future::BoxFuture;
use model::BlockId;

/// Writes a mark; an error says why not.
#[derive(Clone)]
pub struct Marker(
    pub Arc<dyn Fn(MarkRequest) -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkRequest {
    /// The block.
    pub block: BlockId,
    /// The mark.
    pub action: MarkAction,
    /// The reason in words.
    pub details: String,
}

/// The mark that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkAction {
    /// To be deleted.
    Deletion,
    /// Not to be compacted.
    NoCompaction,
}

impl fmt::Debug for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marker")
    }
}

impl MarkRequest {
    /// Reads the fields of Thanos's form.
    pub(crate) fn read(fields: &BTreeMap<String, String>) -> Result<Self, String> {
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let (id, action) = (field("id"), field("action"));
        if id.is_empty() {
            return Err("ID cannot be empty".to_owned());
        }
        if action.is_empty() {
            return Err("Action cannot be empty".to_owned());
        }
        Ok(Self {
            block: id
                .parse()
                .map_err(|error| format!("ULID {id:?} is not valid: {error}"))?,
            action: match action {
                "DELETION" => MarkAction::Deletion,
                "NO_COMPACTION" => MarkAction::NoCompaction,
                other => return Err(format!("not supported marker {other}")),
            },
            details: field("detail").to_owned(),
        })
    }
}

/// Whether a request comes from a page of another site, which a browser sends with the password of its user.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| {
        let value = headers.get(name);
        value.map(|value| value.to_str().unwrap_or("unreadable"))
    };
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN) else {
        return false;
    };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_none() || host != text(header::HOST)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_request_is_said_in_the_words_of_thanos() {
        const ID: &str = "01M8730YYK53DX21EDQCEJACBY";
        let read = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let fields = pairs.map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            MarkRequest::read(&fields.collect())
        };
        assert_eq!(read(&[]), Err("ID cannot be empty".to_owned()));
        assert_eq!(
            read(&[("id", ID)]),
            Err("Action cannot be empty".to_owned())
        );
        assert_eq!(
            read(&[("id", ID), ("action", "BURN")]),
            Err("not supported marker BURN".to_owned())
        );
        assert!(
            read(&[("id", "x"), ("action", "DELETION")])
                .unwrap_err()
                .starts_with("ULID \"x\" is not valid: ")
        );
        let asked = read(&[("id", ID), ("action", "NO_COMPACTION"), ("detail", "why")]).unwrap();
        assert_eq!(asked.action, MarkAction::NoCompaction);
        assert_eq!(
            (asked.block.to_string(), asked.details),
            (ID.to_owned(), "why".to_owned())
        );
    }

    #[test]
    fn a_page_of_another_site_may_mark_nothing() {
        let foreign = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                let name = header::HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            });
            is_foreign(&pairs.collect())
        };
        // curl.
        assert!(!foreign(&[("host", "a:1")]));
        assert!(!foreign(&[("host", "a:1"), ("origin", "http://a:1")]));
        assert!(foreign(&[("host", "a:1"), ("origin", "http://a:2")]));
        assert!(foreign(&[("host", "a:1"), ("origin", "null")]));
        assert!(foreign(&[
            ("host", "a:1"),
            ("sec-fetch-site", "cross-site")
        ]));
        // Behind a proxy that changes the name.
        let proxied = [
            ("host", "a:1"),
            ("origin", "https://b"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert!(!foreign(&proxied));
    }
}
