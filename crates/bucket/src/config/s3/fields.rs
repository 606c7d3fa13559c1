//! The fields of `type: S3`, and which of their values cannot be honoured.

use std::collections::BTreeMap;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use serde::Deserialize;

use super::super::{Secret, http::HttpConfig};
use crate::BucketError;

/// The least part that S3 takes.
const MIN_PART: u64 = 5 << 20;

/// The section, as Thanos has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in super::super) struct S3Config {
    pub(super) bucket: String,
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) aws_sdk_auth: bool,
    pub(super) access_key: Secret,
    pub(super) secret_key: Secret,
    pub(super) session_token: Secret,
    pub(super) insecure: bool,
    pub(super) signature_version2: bool,
    pub(super) put_user_metadata: BTreeMap<String, String>,
    pub(super) http_config: Option<HttpConfig>,
    pub(super) list_objects_version: String,
    pub(super) bucket_lookup_type: LookupType,
    pub(super) disable_multipart: bool,
    pub(super) part_size: Option<u64>,
    pub(super) sse_config: Option<SseConfig>,
    pub(super) sts_endpoint: String,
    pub(super) max_retries: usize,
    // What follows has no effect: names are resolved for both families, every body is signed with its SHA-256, and
    // requests are traced by the log level.
    #[serde(rename = "disable_dualstack")]
    _disable_dualstack: bool,
    #[serde(rename = "send_content_md5")]
    _send_content_md5: bool,
    #[serde(rename = "trace")]
    _trace: Option<Trace>,
}

/// Whether the bucket is named in the host or in the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LookupType {
    /// In the host on AWS, else in the path.
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
    #[serde(rename = "type")]
    kind: String,
    kms_key_id: String,
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
            part_size: None,
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
    /// Refuses what is missing, contradicts itself or cannot be honoured.
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
        if !["", "v2"].contains(&self.list_objects_version.as_str()) {
            let reason = format!("expected v2, found {:?}", self.list_objects_version);
            return refuse("list_objects_version", &reason);
        }
        if self.part_size.is_some_and(|size| size < MIN_PART) {
            let reason = format!(
                "expected at least {MIN_PART}, found {}",
                self.part_size.unwrap_or(0)
            );
            return refuse("part_size", &reason);
        }
        let acl = self.put_user_metadata.keys();
        if let Some(name) = acl.into_iter().find(|name| is_unsupported_header(name)) {
            return refuse(&format!("put_user_metadata.{name}"), "not supported");
        }
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

/// Headers of S3 that cannot be sent; to store them as metadata would not do what was meant.
fn is_unsupported_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let own = name.starts_with("x-amz-");
    own && name != "x-amz-storage-class" && !name.starts_with("x-amz-meta-")
}
