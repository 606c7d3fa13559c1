//! `type: S3`, any server with the protocol of S3.

mod credentials;
mod encryption;
mod fields;
mod listing;
mod metadata;
mod profile;
mod region;
mod service;

use std::sync::Arc;

use http::Uri;
use object_store::{
    RetryConfig,
    aws::{AmazonS3Builder, S3ConditionalPut},
};
use reqwest::Url;

pub(super) use self::fields::{Compatible, S3Config};
use self::{
    credentials::{Keys, Order, Reach, Source},
    fields::LookupType,
    region::Region,
    service::{Connector, Rules},
};
use super::{
    Retry,
    http::{Connection, Hedging},
    values::Secret,
};
use crate::{Bucket, BucketError, bucket::Settings};

/// AWS's name that belongs to no region.
const GLOBAL: &str = "s3.amazonaws.com";
/// The largest object that is uploaded without parts.
const MAX_SINGLE_PUT: u64 = 5 << 30;

/// A checked bucket on S3.
#[derive(Clone, Debug)]
pub(super) struct S3 {
    config: S3Config,
    region: Region,
    credentials: Source,
}

impl S3 {
    pub(super) fn new(
        mut config: S3Config,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BucketError> {
        // As Thanos reads it.
        if let Some(host) = config.endpoint.strip_suffix('/') {
            config.endpoint = host.to_owned();
        }
        config.check()?;
        let credentials = if config.access_key.is_empty() {
            let order = match config.aws_sdk_auth {
                true => Order::Sdk,
                false => Order::Thanos,
            };
            Source::of_environment(variable, order)?
        } else {
            let keys = Keys {
                access_key: config.access_key.clone(),
                secret_key: config.secret_key.clone(),
                session_token: config.session_token.clone(),
                place: config.place.unwrap_or("config.access_key"),
            };
            keys.check()?;
            Source::Keys(keys)
        };
        let s3 = Self {
            region: region_of(&config, variable),
            credentials,
            config,
        };
        s3.check_url()?;
        Ok(s3)
    }

    /// Applies what is configured to the handling of transient errors.
    pub(super) fn adapt(&self, retry: &mut Retry) {
        if self.config.max_retries > 0 {
            retry.attempts = self.config.max_retries;
        }
    }

    /// The server, the region and the source of the credentials.
    #[cfg(test)]
    pub(super) fn shown(&self) -> String {
        format!("{} {} {}", self.endpoint(), self.region, self.credentials)
    }

    pub(super) fn open(
        &self,
        prefix: String,
        retry: RetryConfig,
        hedging: Option<Hedging>,
    ) -> Result<Bucket, BucketError> {
        let config = &self.config;
        let http = config.http_config.clone().unwrap_or_default();
        let connection = Connection::new(http, hedging).traced(config.is_traced());
        let options = connection.options()?;
        let credentials = self.credentials.provider(&Reach {
            connection: connection.clone(),
            options: options.clone(),
            retry: retry.clone(),
            region: self.region.name(),
            sts_endpoint: &config.sts_endpoint,
        })?;
        let mut headers = metadata::headers(&config.put_user_metadata)?;
        if let Some(sse) = &config.sse_config {
            headers.extend(sse.headers()?);
        }
        let rules = Rules {
            credentials: Arc::clone(&credentials),
            region: self.region.clone(),
            bucket: self.bucket_url(),
            region_in_host: config.endpoint == GLOBAL,
            who: format!(
                "bucket {} with the credentials of {}",
                config.bucket, self.credentials
            ),
            headers,
            lists_v1: config.list_objects_version == "v1",
            learnt: Arc::default(),
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(self.region.name())
            .with_endpoint(self.endpoint())
            .with_virtual_hosted_style_request(self.names_bucket_in_host())
            .with_client_options(options)
            .with_allow_http(config.insecure)
            .with_credentials(credentials)
            .with_http_connector(Connector(rules, connection))
            // One request for each object, so that an error belongs to its object.
            .with_disable_bulk_delete(true)
            // `If-None-Match: *`, whatever the environment says.
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(retry);
        if let Some(sse) = &config.sse_config {
            builder = sse.apply(builder)?;
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
            attributes: metadata::attributes(&config.put_user_metadata),
            ..Settings::new(&config.bucket)
        };
        if config.part_size > 0 {
            let part_size = config.part_size;
            settings.part_size = part_size;
            settings.single_put = part_size;
        }
        if config.disable_multipart {
            settings.single_put = MAX_SINGLE_PUT;
        }
        settings
    }

    /// The server's URL, with the bucket if it is named in the host.
    fn endpoint(&self) -> String {
        let config = &self.config;
        let scheme = if config.insecure { "http" } else { "https" };
        let host = self.host();
        if self.names_bucket_in_host() {
            format!("{scheme}://{}.{host}", config.bucket)
        } else {
            format!("{scheme}://{host}")
        }
    }

    /// The server's name. On AWS it is that of both IP families unless configured otherwise, as with Thanos.
    fn host(&self) -> String {
        let config = &self.config;
        let (region, domain) = match region::of_plain_host(&config.endpoint) {
            // The global name serves one region only.
            _ if config.endpoint == GLOBAL => (self.region.name(), "amazonaws.com"),
            Some(named) => named,
            None => return config.endpoint.clone(),
        };
        match config.disable_dualstack {
            true if config.endpoint != GLOBAL => config.endpoint.clone(),
            true => format!("s3.{region}.{domain}"),
            false => format!("s3.dualstack.{region}.{domain}"),
        }
    }

    fn bucket_url(&self) -> String {
        if self.names_bucket_in_host() {
            format!("{}/", self.endpoint())
        } else {
            format!("{}/{}", self.endpoint(), self.config.bucket)
        }
    }

    /// Refuses names that make no URL.
    fn check_url(&self) -> Result<(), BucketError> {
        let config = &self.config;
        let server: Result<Url, _> = format!("http://{}", config.endpoint).parse();
        let unusable = |error: &dyn std::fmt::Display| {
            let reason = format!("expected host:port, found {:?}: {error}", config.endpoint);
            BucketError::config("config.endpoint", reason)
        };
        server.map_err(|error| unusable(&error))?;
        if region::is_address(&config.endpoint) && self.names_bucket_in_host() {
            let reason = format!(
                "virtual-hosted needs a host name to put the bucket before, found the address {:?}; expected path or auto",
                config.endpoint
            );
            return Err(BucketError::config("config.bucket_lookup_type", reason));
        }
        let url = self.bucket_url();
        let parsed = url.parse::<Uri>().map_err(|error| error.to_string());
        let parsed = parsed.and(url.parse::<Url>().map_err(|error| error.to_string()));
        match parsed {
            Ok(_) => Ok(()),
            Err(error) => {
                let reason = format!("expected a name that fits a URL, found {url:?}: {error}");
                Err(BucketError::config("config.bucket", reason))
            }
        }
    }

    fn names_bucket_in_host(&self) -> bool {
        match self.config.bucket_lookup_type {
            LookupType::VirtualHosted => true,
            LookupType::Path => false,
            // A dot in the name would not match the certificate of AWS.
            LookupType::Auto => {
                region::is_aws(&self.config.endpoint) && !self.config.bucket.contains('.')
            }
        }
    }
}

/// The configured region, or that of the server's name; else the first one to try.
fn region_of(config: &S3Config, variable: &impl Fn(&str) -> Option<String>) -> Region {
    let configured = Some(config.region.clone()).filter(|region| !region.is_empty());
    if let Some(region) = configured.or_else(|| region::of_host(&config.endpoint)) {
        return Region::Fixed(region);
    }
    let of_environment = variable("AWS_REGION").filter(|region| region::is_name(region));
    Region::Assumed(of_environment.unwrap_or_else(|| region::DEFAULT.to_owned()))
}

#[cfg(test)]
mod tests;
