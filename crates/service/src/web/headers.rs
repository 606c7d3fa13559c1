//! The headers that a web configuration may set.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Each header, with its values if only some are valid.
const KNOWN: &[(&str, &[&str])] = &[
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

/// The headers of `http_server_config`; those without a value are left out.
pub(super) fn parse(given: BTreeMap<String, Option<String>>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let place = "http_server_config: headers";
        let Some((_, values)) = KNOWN.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = KNOWN.iter().map(|(known, _)| *known).collect();
            let known = known.join(", ");
            return Err(format!("{place}: expected one of {known}, found {name:?}"));
        };
        let value = value.unwrap_or_default();
        if value.is_empty() {
            continue;
        }
        if !(values.is_empty() || values.contains(&value.as_str())) {
            let values = values.join(" or ");
            return Err(format!(
                "{place}: {name}: expected {values}, found {value:?}"
            ));
        }
        let valid = (name.parse::<HeaderName>(), HeaderValue::from_str(&value));
        let (Ok(header), Ok(value)) = valid else {
            return Err(format!(
                "{place}: {name}: {value:?} is no value of a header"
            ));
        };
        headers.insert(header, value);
    }
    Ok(headers)
}
