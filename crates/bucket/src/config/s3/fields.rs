//! The fields of `type: S3`, and their supported values.

use std::collections::BTreeMap;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use serde::{Deserialize, Deserializer};

use super::{
    super::{Secret, http::HttpConfig},
    metadata, region,
};
use crate::BucketError;

/// The smallest part that S3 accepts.
const MIN_PART: u64 = 5 << 20;
/// The largest part that S3 accepts.
const MAX_PART: u64 = 5 << 30;

/// The section, as Thanos has it.
#[derive(Clone, Debug, Deserialize)]
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
    pub(super) signature_version2: bool,
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
    // The rest has no effect: names are resolved for both families, every body is signed with its SHA-256, and the log
    // level traces requests.
    #[serde(rename = "disable_dualstack", deserialize_with = "or_default")]
    _disable_dualstack: bool,
    #[serde(rename = "send_content_md5", deserialize_with = "or_default")]
    _send_content_md5: bool,
    #[serde(rename = "trace")]
    _trace: Option<Trace>,
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
    #[serde(rename = "enable")]
    _enable: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SseConfig {
    #[serde(rename = "type", deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    kms_key_id: String,
    #[serde(deserialize_with = "or_default")]
    kms_encryption_context: BTreeMap<String, String>,
    #[serde(rename = "encryption_key")]
    _encryption_key: String,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            bucket: String::new(),
            endpoint: String::new(),
            region: String::new(),
            aws_sdk_auth: false,
            access_key: Secret::default(),
            secret_key: Secret::default(),
            session_token: Secret::default(),
            insecure: false,
            signature_version2: false,
            put_user_metadata: BTreeMap::new(),
            http_config: None,
            list_objects_version: String::new(),
            bucket_lookup_type: LookupType::Auto,
            disable_multipart: false,
            part_size: 0,
            sse_config: None,
            sts_endpoint: String::new(),
            max_retries: 0,
            _disable_dualstack: false,
            _send_content_md5: true,
            _trace: None,
        }
    }
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
        if self.signature_version2 {
            return refuse(
                "signature_version2",
                "not supported, requests are signed by version 4",
            );
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
            sse.check()?;
        }
        self.http_config.as_ref().map_or(Ok(()), HttpConfig::check)
    }
}

impl SseConfig {
    fn check(&self) -> Result<(), BucketError> {
        let refuse = |field: &str, reason: String| {
            Err(BucketError::config(
                format!("config.sse_config.{field}"),
                reason,
            ))
        };
        match self.kind.as_str() {
            "" | "SSE-S3" => Ok(()),
            "SSE-KMS" if self.kms_key_id.is_empty() => {
                refuse("kms_key_id", "expected the key's id, found none".to_owned())
            }
            "SSE-KMS" if !self.kms_encryption_context.is_empty() => {
                refuse("kms_encryption_context", "not supported".to_owned())
            }
            "SSE-KMS" => Ok(()),
            other => refuse(
                "type",
                format!("expected SSE-S3 or SSE-KMS, found {other:?}"),
            ),
        }
    }

    pub(super) fn apply(&self, builder: AmazonS3Builder) -> AmazonS3Builder {
        match self.kind.as_str() {
            "SSE-S3" => match "aws_server_side_encryption".parse::<AmazonS3ConfigKey>() {
                Ok(key) => builder.with_config(key, "AES256"),
                Err(_) => builder,
            },
            "SSE-KMS" => builder.with_sse_kms_encryption(&self.kms_key_id),
            _ => builder,
        }
    }
}

/// A field without a value has its default, as in Go.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
