//! `type: S3`, any server that speaks S3's protocol.

mod fields;

use std::{collections::BTreeMap, sync::Arc};

use object_store::{
    Attribute, Attributes, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut},
};

use self::fields::LookupType;
pub(super) use self::fields::S3Config;
use super::{Secret, lengths::LengthsConnector};
use crate::{Bucket, BucketError, bucket::Settings};

/// The region that is signed for where none is told.
const DEFAULT_REGION: &str = "us-east-1";
/// What may be uploaded without parts.
const MAX_SINGLE_PUT: u64 = 5 << 30;

/// The environment variables that tell credentials where the configuration does not, as the AWS SDKs read them.
const CREDENTIALS: [&str; 9] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// A bucket on S3, checked.
#[derive(Clone, Debug)]
pub(super) struct S3 {
    config: S3Config,
    region: String,
    /// Credentials of the environment, by the variables' names.
    environment: Vec<(&'static str, Secret)>,
}

impl S3 {
    pub(super) fn new(
        config: S3Config,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BucketError> {
        config.check()?;
        let environment = CREDENTIALS.into_iter();
        let environment = environment.filter_map(|name| Some((name, Secret(variable(name)?))));
        let region = Some(config.region.clone())
            .filter(|region| !region.is_empty())
            .or_else(|| region_of(&config.endpoint))
            .or_else(|| variable("AWS_REGION"))
            .unwrap_or_else(|| DEFAULT_REGION.to_owned());
        Ok(Self {
            environment: environment.collect(),
            region,
            config,
        })
    }

    /// Attempts after the first, where configured.
    pub(super) fn max_retries(&self) -> Option<usize> {
        Some(self.config.max_retries).filter(|attempts| *attempts > 0)
    }

    pub(super) fn open(&self, prefix: String, retry: RetryConfig) -> Result<Bucket, BucketError> {
        let config = &self.config;
        let http = config.http_config.clone().unwrap_or_default();
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&self.region)
            .with_endpoint(self.endpoint())
            .with_virtual_hosted_style_request(self.names_bucket_in_host())
            .with_client_options(http.options()?)
            .with_http_connector(LengthsConnector::default())
            .with_allow_http(config.insecure)
            // One request an object: what a server lacks or answers wrongly is known of that object.
            .with_disable_bulk_delete(true)
            // `If-None-Match: *`, whatever the environment says.
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(retry);
        if config.access_key.is_empty() {
            for (name, value) in &self.environment {
                // The library knows these names in lower case.
                if let Ok(key) = name.to_lowercase().parse::<AmazonS3ConfigKey>() {
                    builder = builder.with_config(key, &value.0);
                }
            }
        } else {
            builder = builder
                .with_access_key_id(&config.access_key.0)
                .with_secret_access_key(&config.secret_key.0);
        }
        if !config.session_token.is_empty() {
            builder = builder.with_token(&config.session_token.0);
        }
        if !config.sts_endpoint.is_empty() {
            builder = builder.with_config(AmazonS3ConfigKey::StsEndpoint, &config.sts_endpoint);
        }
        if let Some(sse) = &config.sse_config {
            builder = sse.apply(builder);
        }
        let store = builder
            .build()
            .map_err(|error| BucketError::config("config", error))?;
        Ok(Bucket::new(Arc::new(store), self.settings(prefix)))
    }

    fn settings(&self, prefix: String) -> Settings {
        let config = &self.config;
        let mut settings = Settings {
            prefix,
            attributes: attributes(&config.put_user_metadata),
            ..Settings::new(&config.bucket)
        };
        if let Some(part_size) = config.part_size {
            settings.part_size = part_size;
            settings.single_put = part_size;
        }
        if config.disable_multipart {
            settings.single_put = MAX_SINGLE_PUT;
        }
        settings
    }

    /// The server's URL, with the bucket in it where it is named in the host.
    fn endpoint(&self) -> String {
        let config = &self.config;
        let scheme = if config.insecure { "http" } else { "https" };
        let host = match config.endpoint.as_str() {
            // The global name answers for one region only.
            "s3.amazonaws.com" => format!("s3.{}.amazonaws.com", self.region),
            other => other.to_owned(),
        };
        if self.names_bucket_in_host() {
            format!("{scheme}://{}.{host}", config.bucket)
        } else {
            format!("{scheme}://{host}")
        }
    }

    fn names_bucket_in_host(&self) -> bool {
        match self.config.bucket_lookup_type {
            LookupType::VirtualHosted => true,
            LookupType::Path => false,
            // A dot in the name would not match the certificate of AWS.
            LookupType::Auto => is_aws(&self.config.endpoint) && !self.config.bucket.contains('.'),
        }
    }
}

/// What each object is written with: a header of S3's own, or metadata.
fn attributes(metadata: &BTreeMap<String, String>) -> Attributes {
    let attribute = |(name, value): (&String, &String)| {
        let attribute = match name.to_ascii_lowercase().as_str() {
            "x-amz-storage-class" => Attribute::StorageClass,
            "content-type" => Attribute::ContentType,
            "content-encoding" => Attribute::ContentEncoding,
            "content-disposition" => Attribute::ContentDisposition,
            "content-language" => Attribute::ContentLanguage,
            "cache-control" => Attribute::CacheControl,
            lower => Attribute::Metadata(lower.trim_start_matches("x-amz-meta-").to_owned().into()),
        };
        (attribute, value.clone())
    };
    metadata.iter().map(attribute).collect()
}

fn is_aws(endpoint: &str) -> bool {
    endpoint.ends_with(".amazonaws.com") || endpoint.ends_with(".amazonaws.com.cn")
}

/// The region in the name of an AWS server: `s3.REGION.amazonaws.com` and the like.
fn region_of(endpoint: &str) -> Option<String> {
    let host = endpoint
        .strip_suffix(".amazonaws.com")
        .or_else(|| endpoint.strip_suffix(".amazonaws.com.cn"))?;
    let region = host.strip_prefix("s3.dualstack.").or_else(|| {
        let rest = host.strip_prefix("s3")?;
        rest.strip_prefix('.').or_else(|| rest.strip_prefix('-'))
    })?;
    Some(region.to_owned()).filter(|region| !region.is_empty() && !region.contains('.'))
}

#[cfg(test)]
mod tests;
