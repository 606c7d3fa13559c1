//! Version 1 of listings, for servers that know only that. The library uses version 2.

use bytes::Bytes;
use http::{Uri, uri::InvalidUri};

/// Whether a request is a listing of version 2.
pub(super) fn is_v2(uri: &Uri) -> bool {
    pairs(uri).any(|pair| pair == "list-type=2")
}

/// The same request in version 1: it continues after a key, either that of the last answer or that of the caller.
pub(super) fn as_v1(uri: &Uri) -> Result<Uri, InvalidUri> {
    let goes_on = pairs(uri).any(|pair| pair.starts_with("continuation-token="));
    let renamed = pairs(uri).filter_map(|pair| match pair.split_once('=') {
        Some(("list-type", _)) => None,
        Some(("continuation-token", key)) => Some(format!("marker={key}")),
        // The answer before began there.
        Some(("start-after", _)) if goes_on => None,
        Some(("start-after", key)) => Some(format!("marker={key}")),
        _ => Some(pair.to_owned()),
    });
    let mut query: Vec<String> = renamed.collect();
    // A signature needs them sorted.
    query.sort_unstable();
    let text = uri.to_string();
    let before = text.split('?').next().unwrap_or_default();
    format!("{before}?{}", query.join("&")).parse()
}

/// An answer of version 1 as one of version 2. The token is the key after which the next answer starts.
pub(super) fn as_v2(body: Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(&body) else {
        return body;
    };
    if element(text, "IsTruncated") != Some("true") {
        return body;
    }
    let next = element(text, "NextMarker").or_else(|| {
        // Without folders in the answer, it is the last key.
        let (_, last) = text.rsplit_once("<Key>")?;
        Some(last.split_once("</Key>")?.0)
    });
    let end = text.rfind("</ListBucketResult>");
    let (Some(next), Some(end)) = (next.filter(|next| !next.is_empty()), end) else {
        return body;
    };
    let (before, after) = text.split_at(end);
    format!("{before}<NextContinuationToken>{next}</NextContinuationToken>{after}").into()
}

fn pairs(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().unwrap_or_default().split('&')
}

/// The text of an element without children, still escaped.
pub(super) fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_of_version_2_becomes_one_of_version_1() {
        for (query, expected) in [
            ("list-type=2&prefix=a%2F", "prefix=a%2F"),
            (
                "delimiter=%2F&list-type=2&prefix=a&start-after=a%2Fb",
                "delimiter=%2F&marker=a%2Fb&prefix=a",
            ),
            (
                "continuation-token=k%2B&list-type=2&prefix=a&start-after=a%2Fb",
                "marker=k%2B&prefix=a",
            ),
        ] {
            let uri: Uri = format!("http://e:1/b?{query}").parse().unwrap();
            assert!(is_v2(&uri));
            let v1 = as_v1(&uri).unwrap();
            assert_eq!(v1.to_string(), format!("http://e:1/b?{expected}"));
            assert!(!is_v2(&v1));
        }
    }

    #[test]
    fn the_last_key_or_the_marker_is_the_token_of_a_listing_that_goes_on() {
        let listing = |more: &str| {
            let text = format!(
                "<ListBucketResult>{more}<Contents><Key>a</Key></Contents><Contents><Key>b&amp;c</Key></Contents></ListBucketResult>"
            );
            String::from_utf8(as_v2(text.into()).to_vec()).unwrap()
        };
        let token = "<NextContinuationToken>b&amp;c</NextContinuationToken></ListBucketResult>";
        assert!(listing("<IsTruncated>true</IsTruncated>").ends_with(token));
        let marked = listing("<IsTruncated>true</IsTruncated><NextMarker>d/</NextMarker>");
        assert!(marked.contains("<NextContinuationToken>d/</NextContinuationToken>"));
        assert!(!listing("<IsTruncated>false</IsTruncated>").contains("Next"));
    }
}
