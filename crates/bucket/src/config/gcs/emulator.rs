//! Requests of the XML API as requests of the JSON API, and the answers the other way round.
//!
//! ```text
//! GET  /BUCKET/KEY                                   GET    /storage/v1/b/BUCKET/o/KEY?alt=media     HEAD likewise
//! GET  /BUCKET?list-type=2&prefix=P                  GET    /storage/v1/b/BUCKET/o?prefix=P          JSON → XML
//! PUT  /BUCKET/KEY  x-goog-if-generation-match: N    POST   /upload/storage/v1/b/BUCKET/o?uploadType=media&name=KEY&ifGenerationMatch=N
//! DELETE /BUCKET/KEY                                 DELETE /storage/v1/b/BUCKET/o/KEY
//! ```

use std::{collections::BTreeMap, fmt::Write as _};

use async_trait::async_trait;
use http::{HeaderValue, Method, Uri, header::CONTENT_LENGTH};
use object_store::client::{HttpClient, HttpError, HttpRequest, HttpResponse, HttpService};
use serde::Deserialize;
use url::form_urlencoded;

use super::super::refusals::unusable;

/// The header of the condition of a write.
const CONDITION: &str = "x-goog-if-generation-match";

#[derive(Debug)]
struct Translated(HttpClient);

/// A page of a listing.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    items: Vec<Item>,
    prefixes: Vec<String>,
    next_page_token: String,
}

/// An object.
#[derive(Deserialize)]
struct Item {
    name: String,
    #[serde(default)]
    size: String,
    #[serde(default)]
    updated: String,
    #[serde(default)]
    etag: String,
}

/// A client whose requests are of the JSON API.
pub(super) fn translated(client: HttpClient) -> HttpClient {
    HttpClient::new(Translated(client))
}

#[async_trait]
impl HttpService for Translated {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = request.uri().clone();
        let path = uri.path().trim_start_matches('/');
        let Some((bucket, key)) = path.split_once('/') else {
            return self.list(request, path).await;
        };
        let method = request.method().clone();
        if method != Method::PUT {
            let media = if method == Method::DELETE {
                ""
            } else {
                "?alt=media"
            };
            let to = format!("/storage/v1/b/{bucket}/o/{key}{media}");
            *request.uri_mut() = at(&uri, &to)?;
            return self.0.execute(request).await;
        }
        let mut to = format!("/upload/storage/v1/b/{bucket}/o?uploadType=media&name={key}");
        if let Some(condition) = request.headers_mut().remove(CONDITION) {
            let generation = condition.to_str().unwrap_or_default();
            let _ = write!(to, "&ifGenerationMatch={generation}");
        }
        *request.method_mut() = Method::POST;
        *request.uri_mut() = at(&uri, &to)?;
        let response = self.0.execute(request).await?;
        if !response.status().is_success() {
            return Ok(response);
        }
        let (mut parts, body) = response.into_parts();
        let body = body.bytes().await?;
        let item: Item = serde_json::from_slice(&body).map_err(unusable)?;
        let etag = HeaderValue::try_from(item.etag).map_err(unusable)?;
        parts.headers.insert("etag", etag);
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

impl Translated {
    async fn list(
        &self,
        mut request: HttpRequest,
        bucket: &str,
    ) -> Result<HttpResponse, HttpError> {
        let uri = request.uri().clone();
        let asked = uri.query().unwrap_or_default().as_bytes();
        let asked = form_urlencoded::parse(asked).into_owned();
        let asked: BTreeMap<String, String> = asked.collect();
        let value = |name: &str| asked.get(name).map_or("", String::as_str);
        let query = json_query(&asked);
        let to = format!("/storage/v1/b/{bucket}/o?{query}");
        *request.uri_mut() = at(&uri, &to)?;
        let response = self.0.execute(request).await?;
        if !response.status().is_success() {
            return Ok(response);
        }
        let (mut parts, body) = response.into_parts();
        let page: Page = serde_json::from_slice(&body.bytes().await?).map_err(unusable)?;
        parts.headers.remove(CONTENT_LENGTH);
        let body = page.xml(bucket, value("prefix"), value("start-after"));
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

impl Page {
    /// The page as the XML API has it, without the key `after`, where JSON starts.
    fn xml(&self, bucket: &str, prefix: &str, after: &str) -> String {
        let (bucket, prefix) = (escaped(bucket), escaped(prefix));
        let mut xml = format!("<ListBucketResult><Name>{bucket}</Name><Prefix>{prefix}</Prefix>");
        for item in self.items.iter().filter(|item| item.name != after) {
            let _ = write!(
                xml,
                "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                escaped(&item.name),
                escaped(&item.updated),
                escaped(&item.etag),
                escaped(&item.size),
            );
        }
        for prefix in &self.prefixes {
            let prefix = escaped(prefix);
            let _ = write!(
                xml,
                "<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>"
            );
        }
        if !self.next_page_token.is_empty() {
            let token = escaped(&self.next_page_token);
            let _ = write!(
                xml,
                "<NextContinuationToken>{token}</NextContinuationToken>"
            );
        }
        xml + "</ListBucketResult>"
    }
}

/// The query of a listing.
fn json_query(asked: &BTreeMap<String, String>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in asked {
        let name = match name.as_str() {
            "prefix" | "delimiter" => name,
            "continuation-token" => "pageToken",
            "max-keys" => "maxResults",
            // It is inclusive.
            "start-after" => "startOffset",
            _ => continue,
        };
        query.append_pair(name, value);
    }
    query.finish()
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

/// The same server, with another path and query.
fn at(uri: &Uri, path: &str) -> Result<Uri, HttpError> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().map_err(unusable)?);
    Uri::from_parts(parts).map_err(unusable)
}
