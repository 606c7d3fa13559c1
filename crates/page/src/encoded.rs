//! Answers that are encoded once, kept in gzip, and told apart by an ETag.

use std::io::{self, Read as _, Write as _};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::{Buf as _, Bytes};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use futures::stream;
use service::{CpuPool, accepts_gzip};
use tokio::sync::Mutex;

/// Bytes that are decompressed at once for a client without gzip: some 100 µs.
const PIECE: usize = 64 << 10;

/// Writes an answer. What it is made of is read when it is called.
pub(crate) trait Encode:
    FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'static
{
}

impl<F: FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'static> Encode for F {}

/// An encoded answer.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    etag: String,
    gzip: Bytes,
}

/// The last encoding of an answer. While it is made, others wait for it.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<Encoded>>);

impl Encoded {
    /// Encodes an answer.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(crate) fn new(etag: String, encode: impl Encode) -> io::Result<Self> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        {
            let mut out = io::BufWriter::with_capacity(PIECE, &mut gzip);
            encode(&mut out)?;
            out.flush()?;
        }
        let gzip = Bytes::from(gzip.finish()?);
        Ok(Self { etag, gzip })
    }

    /// The answer to a request, `304` if the client has it.
    pub(crate) fn answer(&self, headers: &HeaderMap, content_type: &'static str) -> Response {
        let mut answer = if has(headers, &self.etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else if accepts_gzip(headers) {
            let encoding = [(header::CONTENT_ENCODING, "gzip")];
            (encoding, self.gzip.clone()).into_response()
        } else {
            plain(self.gzip.clone()).into_response()
        };
        let all = answer.headers_mut();
        let fixed = HeaderValue::from_static;
        all.insert(header::CONTENT_TYPE, fixed(content_type));
        all.insert(header::VARY, fixed("Accept-Encoding"));
        // It is kept, and asked for each time.
        all.insert(header::CACHE_CONTROL, fixed("no-cache"));
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            all.insert(header::ETAG, etag);
        }
        answer
    }
}

impl Kept {
    /// The answer with this ETag; encoded on the pool if the last one had another.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(crate) async fn get(
        &self,
        pool: &CpuPool,
        etag: String,
        encode: impl Encode,
    ) -> io::Result<Encoded> {
        let mut kept = self.0.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.etag == etag) {
            return Ok(kept.clone());
        }
        let encoded = pool.run(move || Encoded::new(etag, encode)).await?;
        *kept = Some(encoded.clone());
        Ok(encoded)
    }
}

/// Whether the client has the answer with this ETag.
fn has(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    let opaque = |tag: &str| tag.trim_start_matches("W/").to_owned();
    tags.any(|tag| tag == "*" || opaque(tag) == opaque(etag))
}

/// Decompressed, piece by piece.
fn plain(gzip: Bytes) -> Body {
    let pieces = stream::try_unfold(GzDecoder::new(gzip.reader()), async |mut zipped| {
        let mut piece = Vec::with_capacity(PIECE);
        let read = zipped.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        io::Result::Ok((read > 0).then(|| (Bytes::from(piece), zipped)))
    });
    Body::from_stream(pieces)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    #[tokio::test]
    async fn an_answer_is_encoded_once_and_asked_for_by_its_tag() {
        let (pool, kept) = (CpuPool::for_requests(1), Kept::default());
        let text = "many blocks ".repeat(40_000);
        let first = {
            let text = text.clone();
            let encode = move |out: &mut dyn io::Write| out.write_all(text.as_bytes());
            kept.get(&pool, "W/\"1\"".to_owned(), encode).await.unwrap()
        };
        let again = |_: &mut dyn io::Write| -> io::Result<()> { panic!("it is encoded again") };
        kept.get(&pool, "W/\"1\"".to_owned(), again).await.unwrap();
        let zipped = first.answer(&headers(&[(header::ACCEPT_ENCODING, "gzip")]), "text/plain");
        assert_eq!(zipped.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(zipped.headers()[header::ETAG], "W/\"1\"");
        let plain = first.answer(&HeaderMap::new(), "text/plain");
        assert_eq!(plain.headers().get(header::CONTENT_ENCODING), None);
        let body = to_bytes(plain.into_body(), usize::MAX).await.unwrap();
        assert!(body == text.as_bytes());
        for tag in ["W/\"1\"", "\"0\", \"1\"", "*"] {
            let same = headers(&[(header::IF_NONE_MATCH, tag)]);
            let answer = first.answer(&same, "text/plain");
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{tag}");
        }
        let other = headers(&[(header::IF_NONE_MATCH, "W/\"2\"")]);
        assert_eq!(first.answer(&other, "text/plain").status(), StatusCode::OK);
    }
}
