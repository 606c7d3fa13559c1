//! The fields of `type: S3`, and their supported values.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use super::{
    super::{
        http::HttpConfig,
        values::{Secret, or_default},
    },
    encryption::SseConfig,
    metadata, region,
};
use crate::BucketError;

/// The smallest part that S3 accepts.
const MIN_PART: u64 = 5 << 20;
/// The largest part that S3 accepts.
const MAX_PART: u64 = 5 << 30;

/// The section, as Thanos has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in super::super) struct S3Config {
    #[serde(deserialize_with = "or_default")]
    pub(super) bucket: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) endpoint: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) region: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) aws_sdk_auth: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) access_key: Secret,
    #[serde(deserialize_with = "or_default")]
    pub(super) secret_key: Secret,
    #[serde(deserialize_with = "or_default")]
    pub(super) session_token: Secret,
    #[serde(deserialize_with = "or_default")]
    pub(super) insecure: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) put_user_metadata: BTreeMap<String, String>,
    pub(super) http_config: Option<HttpConfig>,
    #[serde(deserialize_with = "or_default")]
    pub(super) list_objects_version: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) bucket_lookup_type: LookupType,
    #[serde(deserialize_with = "or_default")]
    pub(super) disable_multipart: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) part_size: u64,
    pub(super) sse_config: Option<SseConfig>,
    #[serde(deserialize_with = "or_default")]
    pub(super) sts_endpoint: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) max_retries: usize,
    #[serde(deserialize_with = "or_default")]
    pub(super) disable_dualstack: bool,
    trace: Option<Trace>,
    #[serde(rename = "signature_version2")]
    _signature_version2: Option<IgnoredAny>,
    #[serde(rename = "send_content_md5")]
    _send_content_md5: Option<IgnoredAny>,
    /// The field of the access key, for errors.
    #[serde(skip)]
    pub(super) place: Option<&'static str>,
}

/// A store that speaks S3 too, and whose section has other fields.
#[derive(Clone, Debug)]
pub(in super::super) struct Compatible {
    pub(in super::super) bucket: String,
    /// host:port.
    pub(in super::super) host: String,
    pub(in super::super) insecure: bool,
    /// Empty if unknown.
    pub(in super::super) region: String,
    pub(in super::super) access_key: Secret,
    pub(in super::super) secret_key: Secret,
    /// The field of the access key.
    pub(in super::super) place: &'static str,
    pub(in super::super) max_retries: usize,
    pub(in super::super) http_config: Option<HttpConfig>,
}

impl From<Compatible> for S3Config {
    /// The bucket is named in the host, as these stores demand; but an address has no place for it.
    fn from(store: Compatible) -> Self {
        let bucket_lookup_type = match region::is_address(&store.host) {
            true => LookupType::Path,
            false => LookupType::VirtualHosted,
        };
        Self {
            bucket: store.bucket,
            endpoint: store.host,
            insecure: store.insecure,
            region: store.region,
            access_key: store.access_key,
            secret_key: store.secret_key,
            place: Some(store.place),
            max_retries: store.max_retries,
            http_config: store.http_config,
            bucket_lookup_type,
            ..Self::default()
        }
    }
}

/// Whether the host or the path names the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LookupType {
    /// The host on AWS, else the path.
    #[default]
    Auto,
    VirtualHosted,
    Path,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Trace {
    #[serde(deserialize_with = "or_default")]
    enable: bool,
}

impl S3Config {
    /// Refuses what is missing, contradictory or not supported.
    pub(super) fn check(&self) -> Result<(), BucketError> {
        let refuse =
            |field: &str, reason: &str| Err(BucketError::config(format!("config.{field}"), reason));
        if self.bucket.is_empty() {
            return refuse("bucket", "expected a name, found none");
        }
        if self.endpoint.is_empty() {
            return refuse("endpoint", "expected host:port, found none");
        }
        if self.endpoint.contains("://") || self.endpoint.contains('/') {
            let reason = format!(
                "expected host:port without scheme or path, found {:?}; `insecure: true` means http",
                self.endpoint
            );
            return refuse("endpoint", &reason);
        }
        if self.access_key.is_empty() != self.secret_key.is_empty() {
            return refuse("access_key", "expected secret_key beside it, or neither");
        }
        if self.aws_sdk_auth && !self.access_key.is_empty() {
            return refuse("aws_sdk_auth", "expected no access_key beside it");
        }
        if !["", "v1", "v2"].contains(&self.list_objects_version.as_str()) {
            let reason = format!("expected v1 or v2, found {:?}", self.list_objects_version);
            return refuse("list_objects_version", &reason);
        }
        if self.part_size > 0 && !(MIN_PART..=MAX_PART).contains(&self.part_size) {
            let found = self.part_size;
            let reason = format!("expected 0, or {MIN_PART} to {MAX_PART}, found {found}");
            return refuse("part_size", &reason);
        }
        if !self.region.is_empty() && !region::is_name(&self.region) {
            let reason = format!("expected a region's name, found {:?}", self.region);
            return refuse("region", &reason);
        }
        metadata::headers(&self.put_user_metadata)?;
        if let Some(sse) = &self.sse_config {
            sse.check(self.insecure)?;
        }
        self.http_config.as_ref().map_or(Ok(()), HttpConfig::check)
    }

    /// Whether requests are logged.
    pub(super) fn is_traced(&self) -> bool {
        self.trace.as_ref().is_some_and(|trace| trace.enable)
    }
}
