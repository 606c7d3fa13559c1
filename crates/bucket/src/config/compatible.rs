//! Types of stores that have an interface of their own and one that is compatible with S3. The latter is used, with
//! the keys of the section: a bucket is named in the host, and requests have signatures of version 4.

use serde::Deserialize;

use super::{
    http::HttpConfig,
    s3::{Compatible, S3Config},
    values::{Secret, or_default},
};
use crate::BucketError;

/// `type: COS`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cos {
    #[serde(deserialize_with = "or_default")]
    bucket: String,
    #[serde(deserialize_with = "or_default")]
    app_id: String,
    #[serde(deserialize_with = "or_default")]
    region: String,
    #[serde(deserialize_with = "or_default")]
    endpoint: String,
    #[serde(deserialize_with = "or_default")]
    secret_id: Secret,
    #[serde(deserialize_with = "or_default")]
    secret_key: Secret,
    #[serde(deserialize_with = "or_default")]
    max_retries: usize,
    http_config: Option<HttpConfig>,
}

/// `type: ALIYUNOSS`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AliyunOss {
    #[serde(deserialize_with = "or_default")]
    endpoint: String,
    #[serde(deserialize_with = "or_default")]
    bucket: String,
    #[serde(deserialize_with = "or_default")]
    access_key_id: Secret,
    #[serde(deserialize_with = "or_default")]
    access_key_secret: Secret,
}

/// `type: OBS`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Obs {
    #[serde(deserialize_with = "or_default")]
    bucket: String,
    #[serde(deserialize_with = "or_default")]
    endpoint: String,
    #[serde(deserialize_with = "or_default")]
    access_key: Secret,
    #[serde(deserialize_with = "or_default")]
    secret_key: Secret,
    #[serde(deserialize_with = "or_default")]
    max_retries: usize,
    http_config: Option<HttpConfig>,
}

/// `type: BOS`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Bos {
    #[serde(deserialize_with = "or_default")]
    bucket: String,
    #[serde(deserialize_with = "or_default")]
    endpoint: String,
    #[serde(deserialize_with = "or_default")]
    access_key: Secret,
    #[serde(deserialize_with = "or_default")]
    secret_key: Secret,
}

/// A server of an endpoint.
struct Server {
    /// host:port.
    host: String,
    insecure: bool,
}

impl Cos {
    pub(super) fn as_s3(&self) -> Result<S3Config, BucketError> {
        need("secret_id", !self.secret_id.is_empty())?;
        need("secret_key", !self.secret_key.is_empty())?;
        let (bucket, server) = if self.endpoint.is_empty() {
            need("bucket", !self.bucket.is_empty())?;
            need("app_id", !self.app_id.is_empty())?;
            need("region", !self.region.is_empty())?;
            let server = Server::of(&format!("cos.{}.myqcloud.com", self.region))?;
            (format!("{}-{}", self.bucket, self.app_id), server)
        } else {
            let server = Server::of(&self.endpoint)?;
            let Some((bucket, host)) = server.host.split_once('.') else {
                let reason = "expected a URL whose host begins with the bucket's name and a dot";
                return Err(BucketError::config("config.endpoint", reason));
            };
            let host = host.to_owned();
            (bucket.to_owned(), Server { host, ..server })
        };
        let of_host = server.label("cos.", ".myqcloud.com");
        Ok(Compatible {
            bucket,
            region: of_host.unwrap_or_else(|| self.region.clone()),
            host: server.host,
            insecure: server.insecure,
            access_key: self.secret_id.clone(),
            secret_key: self.secret_key.clone(),
            place: "config.secret_id",
            max_retries: self.max_retries,
            http_config: self.http_config.clone(),
        }
        .into())
    }
}

impl AliyunOss {
    pub(super) fn as_s3(&self) -> Result<S3Config, BucketError> {
        need("bucket", !self.bucket.is_empty())?;
        need("endpoint", !self.endpoint.is_empty())?;
        need("access_key_id", !self.access_key_id.is_empty())?;
        need("access_key_secret", !self.access_key_secret.is_empty())?;
        let mut server = Server::of(&self.endpoint)?;
        let region = server.label("oss-", ".aliyuncs.com");
        let region = region.map(|region| region.trim_end_matches("-internal").to_owned());
        if region.is_some() {
            server.host = format!("s3.{}", server.host);
        }
        let region = region.or_else(|| {
            let region = server.label("s3.oss-", ".aliyuncs.com")?;
            Some(region.trim_end_matches("-internal").to_owned())
        });
        Ok(Compatible {
            bucket: self.bucket.clone(),
            region: region.unwrap_or_default(),
            host: server.host,
            insecure: server.insecure,
            access_key: self.access_key_id.clone(),
            secret_key: self.access_key_secret.clone(),
            place: "config.access_key_id",
            max_retries: 0,
            http_config: None,
        }
        .into())
    }
}

impl Obs {
    pub(super) fn as_s3(&self) -> Result<S3Config, BucketError> {
        need("bucket", !self.bucket.is_empty())?;
        need("endpoint", !self.endpoint.is_empty())?;
        need("access_key", !self.access_key.is_empty())?;
        need("secret_key", !self.secret_key.is_empty())?;
        let server = Server::of(&self.endpoint)?;
        Ok(Compatible {
            bucket: self.bucket.clone(),
            region: server
                .label("obs.", ".myhuaweicloud.com")
                .unwrap_or_default(),
            host: server.host,
            insecure: server.insecure,
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            place: "config.access_key",
            max_retries: self.max_retries,
            http_config: self.http_config.clone(),
        }
        .into())
    }
}

impl Bos {
    pub(super) fn as_s3(&self) -> Result<S3Config, BucketError> {
        need("bucket", !self.bucket.is_empty())?;
        need("endpoint", !self.endpoint.is_empty())?;
        need("access_key", !self.access_key.is_empty())?;
        need("secret_key", !self.secret_key.is_empty())?;
        let mut server = Server::of(&self.endpoint)?;
        let plain = server.label("", ".bcebos.com");
        if plain.is_some() {
            server.host = format!("s3.{}", server.host);
        }
        let region = plain.or_else(|| server.label("s3.", ".bcebos.com"));
        Ok(Compatible {
            bucket: self.bucket.clone(),
            region: region.unwrap_or_default(),
            host: server.host,
            insecure: server.insecure,
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            place: "config.access_key",
            max_retries: 0,
            http_config: None,
        }
        .into())
    }
}

impl Server {
    /// The server of `host`, `https://host` or `http://host`.
    fn of(endpoint: &str) -> Result<Self, BucketError> {
        let bare = endpoint.strip_prefix("http://");
        let insecure = bare.is_some();
        let host = bare.or_else(|| endpoint.strip_prefix("https://"));
        let host = host.unwrap_or(endpoint).trim_end_matches('/').to_owned();
        if host.is_empty() || host.contains('/') {
            let reason = format!("expected a host, with or without https://, found {endpoint:?}");
            return Err(BucketError::config("config.endpoint", reason));
        }
        Ok(Self { host, insecure })
    }

    /// The part of the host between two others, if it has no dot.
    fn label(&self, before: &str, after: &str) -> Option<String> {
        let rest = self.host.strip_prefix(before)?.strip_suffix(after)?;
        Some(rest.to_owned()).filter(|label| !label.is_empty() && !label.contains('.'))
    }
}

fn need(field: &str, is_there: bool) -> Result<(), BucketError> {
    match is_there {
        true => Ok(()),
        false => {
            let place = format!("config.{field}");
            Err(BucketError::config(place, "expected a value, found none"))
        }
    }
}

#[cfg(test)]
mod tests;
