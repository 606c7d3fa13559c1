//! `sse_config`: who encrypts the objects, and with which key.

use std::{collections::BTreeMap, fs};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use serde::Deserialize;

use super::super::values::or_default;
use crate::BucketError;

/// The header of the encryption context, which the library does not send.
const CONTEXT: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-context");
/// The bytes of a customer's key.
const KEY: usize = 32;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SseConfig {
    #[serde(rename = "type", deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    kms_key_id: String,
    #[serde(deserialize_with = "or_default")]
    kms_encryption_context: BTreeMap<String, String>,
    /// The file with the customer's key.
    #[serde(deserialize_with = "or_default")]
    encryption_key: String,
}

impl SseConfig {
    /// Refuses what is missing or contradictory.
    pub(super) fn check(&self, insecure: bool) -> Result<(), BucketError> {
        match self.kind.as_str() {
            "" | "SSE-S3" => Ok(()),
            "SSE-KMS" if self.kms_key_id.is_empty() => {
                Err(refuse("kms_key_id", "expected the key's id, found none"))
            }
            "SSE-KMS" => Ok(()),
            "SSE-C" if self.encryption_key.is_empty() => Err(refuse(
                "encryption_key",
                "expected the file with the key, found none",
            )),
            "SSE-C" if insecure => Err(refuse(
                "type",
                "SSE-C sends the key with each request, so it needs https; expected no `insecure`",
            )),
            "SSE-C" => Ok(()),
            other => {
                let reason = format!("expected SSE-S3, SSE-KMS or SSE-C, found {other:?}");
                Err(refuse("type", &reason))
            }
        }
    }

    /// The headers of created objects that the library does not send.
    pub(super) fn headers(&self) -> Result<HeaderMap, BucketError> {
        let mut headers = HeaderMap::new();
        if self.kind == "SSE-KMS" && !self.kms_encryption_context.is_empty() {
            let unusable = |error: &dyn std::fmt::Display| {
                refuse("kms_encryption_context", &error.to_string())
            };
            let json = serde_json::to_string(&self.kms_encryption_context);
            let json = json.map_err(|error| unusable(&error))?;
            let value = BASE64_STANDARD.encode(json).parse();
            headers.insert(CONTEXT, value.map_err(|error| unusable(&error))?);
        }
        Ok(headers)
    }

    pub(super) fn apply(&self, builder: AmazonS3Builder) -> Result<AmazonS3Builder, BucketError> {
        Ok(match self.kind.as_str() {
            "SSE-S3" => match "aws_server_side_encryption".parse::<AmazonS3ConfigKey>() {
                Ok(key) => builder.with_config(key, "AES256"),
                Err(_) => builder,
            },
            "SSE-KMS" => builder.with_sse_kms_encryption(&self.kms_key_id),
            "SSE-C" => {
                let path = &self.encryption_key;
                let key = fs::read(path);
                let key =
                    key.map_err(|error| refuse("encryption_key", &format!("{path}: {error}")))?;
                if key.len() != KEY {
                    let found = key.len();
                    let reason = format!("{path}: expected {KEY} bytes, found {found}");
                    return Err(refuse("encryption_key", &reason));
                }
                builder.with_ssec_encryption(BASE64_STANDARD.encode(key))
            }
            _ => builder,
        })
    }
}

fn refuse(field: &str, reason: &str) -> BucketError {
    BucketError::config(format!("config.sse_config.{field}"), reason)
}
