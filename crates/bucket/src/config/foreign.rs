//! Removes the keys from the listings of S3, GCS and Azure that are no objects to us.
//!
//! The library parses each key of a page as a path, and the whole listing fails at a key that is none: with an empty,
//! `.` or `..` segment, or with a control character. Any program may write such keys; ours do not. So they are removed
//! from a page before the library reads it. Signing, retries and paging stay with the library. Folder objects, whose
//! keys end with a slash, are empty and are removed too.

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{
    client::{HttpClient, HttpError, HttpRequest, HttpResponse, HttpService},
    path::Path as StorePath,
};

#[derive(Debug)]
struct Sifted(HttpClient);

/// A client whose listings have no such keys.
pub(super) fn sifted(client: HttpClient) -> HttpClient {
    HttpClient::new(Sifted(client))
}

#[async_trait]
impl HttpService for Sifted {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let query = request.uri().query().unwrap_or_default();
        let is_listing = query
            .split('&')
            .any(|pair| ["list-type=2", "comp=list"].contains(&pair));
        let response = self.0.execute(request).await?;
        if !is_listing || !response.status().is_success() {
            return Ok(response);
        }
        let (mut head, body) = response.into_parts();
        let body = sift(body.bytes().await?);
        head.headers.remove("content-length");
        Ok(HttpResponse::from_parts(head, body.into()))
    }
}

/// The page without the entries of skipped keys.
fn sift(page: Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(&page) else {
        // A key that is not UTF-8 is skipped too; its bytes are replaced, which leaves the rest unchanged.
        return sift(String::from_utf8_lossy(&page).into_owned().into());
    };
    let (mut kept, mut passed_over) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some((start, end, key)) = next_entry(rest) {
        let (before, entry) = (rest.get(..start), rest.get(start..end));
        kept.push_str(before.unwrap_or_default());
        if is_ours(&key) {
            kept.push_str(entry.unwrap_or_default());
        } else {
            passed_over.push(key);
        }
        rest = rest.get(end..).unwrap_or_default();
    }
    if passed_over.is_empty() {
        return page;
    }
    tracing::debug!(
        keys = passed_over.len(),
        first = passed_over.first(),
        "skipped keys that are not objects"
    );
    kept.push_str(rest);
    kept.into()
}

/// The start and end of the next entry of an object or a folder, and its key.
fn next_entry(xml: &str) -> Option<(usize, usize, String)> {
    let entries = [
        ("<Contents>", "</Contents>", "<Key>", "</Key>"),
        (
            "<CommonPrefixes>",
            "</CommonPrefixes>",
            "<Prefix>",
            "</Prefix>",
        ),
        ("<Blob>", "</Blob>", "<Name>", "</Name>"),
        ("<BlobPrefix>", "</BlobPrefix>", "<Name>", "</Name>"),
    ];
    let found = entries
        .iter()
        .filter_map(|tags| Some((xml.find(tags.0)?, tags)));
    let (start, (_, close, key, end_of_key)) = found.min_by_key(|(start, _)| *start)?;
    let entry = xml.get(start..)?;
    let end = start + entry.find(close)? + close.len();
    let (_, key) = xml.get(start..end)?.split_once(key)?;
    let (key, _) = key.split_once(end_of_key)?;
    let mut key = unescape(key);
    // A folder in a listing by folders ends so too, and is no object.
    if ["</CommonPrefixes>", "</BlobPrefix>"].contains(close) && key.ends_with('/') {
        key.pop();
    }
    Some((start, end, key))
}

/// Whether a key is a path as it stands.
fn is_ours(key: &str) -> bool {
    !key.is_empty() && StorePath::parse(key).is_ok_and(|path| path.as_ref() == key)
}

/// XML text with its entities decoded. An unknown entity stays, and then the key is skipped.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let entity = after.split_once(';');
        let c = entity.and_then(|(name, _)| character(name));
        match (c, entity) {
            (Some(c), Some((_, after))) => {
                plain.push(c);
                rest = after;
            }
            _ => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(keys: &[&str]) -> String {
        let entry = |key: &&str| {
            format!("<Contents><Key>{key}</Key><Size>1</Size><ETag>&quot;a&quot;</ETag></Contents>")
        };
        let entries: String = keys.iter().map(entry).collect();
        format!(
            "<ListBucketResult><Name>b</Name><Prefix></Prefix>{entries}<NextContinuationToken>a//b</NextContinuationToken></ListBucketResult>"
        )
    }

    #[test]
    fn keys_that_are_no_paths_are_taken_out_and_the_rest_stays() {
        let kept = [
            "a",
            "a/b&amp;c",
            "&quot;/d e",
            "x&#xe9;",
            "a%2F..%2Fb",
            "..a",
        ];
        let long = "n/".repeat(400) + "n";
        let passed_over = [
            "reports//x.csv",
            "/a",
            "a/../b",
            "./a",
            "a/.",
            "a&#1;b",
            "a&#x7f;b",
            "a\u{1}b",
            "new&#10;line",
            "01HF8J5JG0RAVB4GMS32W7ZJ2B/",
            "01HF8J5JG0RAVB4GMS32W7ZJ2B/chunks/",
            "/",
            "",
        ];
        let all: Vec<&str> = kept
            .iter()
            .zip(passed_over.chunks(3))
            .flat_map(|(kept, passed)| passed.iter().copied().chain([*kept]))
            .chain([long.as_str(), "..a"])
            .collect();
        let expected: Vec<&str> = all
            .iter()
            .copied()
            .filter(|key| !passed_over.contains(key))
            .collect();
        assert_eq!(sift(page(&all).into()), page(&expected));
        assert_eq!(sift(page(&kept).into()), page(&kept));
        assert_eq!(sift(Bytes::new()), Bytes::new());
    }

    #[test]
    fn keys_of_azure_that_are_no_paths_are_taken_out() {
        let page = |keys: &[&str]| {
            let entry = |key: &&str| {
                format!("<Blob><Name>{key}</Name><Properties><Etag>1</Etag></Properties></Blob>")
            };
            let entries: String = keys.iter().map(entry).collect();
            format!(
                "<EnumerationResults><Blobs>{entries}</Blobs><NextMarker/></EnumerationResults>"
            )
        };
        let all = page(&["a", "a//b", "b/c", "d/", "e"]);
        assert_eq!(sift(all.into()), page(&["a", "b/c", "e"]));
    }

    #[test]
    fn a_page_that_is_not_utf_8_is_read_as_far_as_it_is() {
        let mut bytes = page(&["a//b", "c"]).into_bytes();
        let at = bytes.windows(3).position(|w| w == b"c</").unwrap();
        bytes[at] = 0xff;
        assert_eq!(sift(bytes.into()), page(&["\u{fffd}"]));
    }
}
