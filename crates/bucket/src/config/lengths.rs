//! Answers without a stated length. Servers and proxies may send a body in chunks, whose end is marked. The library
//! needs a stated length, so this client adds it.

use async_trait::async_trait;
use bytes::BytesMut;
use futures::StreamExt as _;
use object_store::client::{
    HttpClient, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

/// The most bytes of a whole object that are read to find its length: more than any `meta.json`, mark or catalog has.
/// A longer object is read in ranges, or not at all.
const MAX_UNSTATED: usize = 64 << 20;

/// A client that adds the length to answers if it can be known.
#[derive(Debug)]
struct Lengths(HttpClient);

/// The same client, which adds the length to answers if it can be known.
pub(super) fn stated(client: HttpClient) -> HttpClient {
    HttpClient::new(Lengths(client))
}

#[async_trait]
impl HttpService for Lengths {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_get = request.method().as_str() == "GET";
        let (mut parts, body) = self.0.execute(request).await?.into_parts();
        let text = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let is_chunked = text("transfer-encoding").is_some_and(|how| how.ends_with("chunked"));
        let stated = text("content-length").is_some();
        let range = text("content-range").and_then(length_of_range);
        let (length, body) = match parts.status.as_u16() {
            206 if !stated => (range, body),
            // A body that is neither stated nor chunked ends where the connection ends, for whatever reason.
            200 if is_get && !stated && is_chunked => match whole(body).await? {
                Some(bytes) => (Some(bytes.len() as u64), bytes.freeze().into()),
                None => (None, HttpResponseBody::from(String::new())),
            },
            _ => (None, body),
        };
        if let Some(length) = length {
            parts.headers.insert("content-length", length.into());
        }
        Ok(HttpResponse::from_parts(parts, body))
    }
}

/// The whole body, unless it is too long.
async fn whole(body: HttpResponseBody) -> Result<Option<BytesMut>, HttpError> {
    let mut bytes = BytesMut::new();
    let mut pieces = body.bytes_stream();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() > MAX_UNSTATED {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

/// The length of `bytes FIRST-LAST/SIZE`.
fn length_of_range(range: &str) -> Option<u64> {
    let (range, _) = range.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_tells_how_long_it_is() {
        assert_eq!(length_of_range("bytes 0-0/10"), Some(1));
        assert_eq!(length_of_range("bytes 5-9/*"), Some(5));
        for none in [
            "bytes */10",
            "bytes 9-5/10",
            "0-1/2",
            "bytes 0-18446744073709551615/1",
        ] {
            assert_eq!(length_of_range(none), None, "{none}");
        }
    }
}
