//! `type: GCS`, Google Cloud Storage.
//!
//! Requests are of the XML API, as the library makes them; those to an emulator are translated to the JSON API, which
//! emulators know better.

mod emulator;
mod identity;
mod tokens;

use std::sync::Arc;

use http::Uri;
use object_store::{
    ClientOptions, RetryConfig, StaticCredentialProvider,
    client::{HttpClient, HttpConnector},
    gcp::{GcpCredential, GcpCredentialProvider, GoogleCloudStorageBuilder},
};
use serde::{Deserialize, de::IgnoredAny};

use self::identity::Identity;
use super::{
    Retry, foreign,
    http::{Connection, Hedging, HttpConfig},
    refusals,
    values::{Secret, or_default},
};
use crate::{Bucket, BucketError, bucket::Settings};

/// The smallest part that the store accepts.
const MIN_PART: u64 = 5 << 20;

/// The section, as Thanos has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GcsConfig {
    #[serde(deserialize_with = "or_default")]
    bucket: String,
    #[serde(deserialize_with = "or_default")]
    service_account: Secret,
    #[serde(deserialize_with = "or_default")]
    chunk_size_bytes: u64,
    #[serde(deserialize_with = "or_default")]
    max_retries: usize,
    http_config: Option<HttpConfig>,
    #[serde(rename = "use_grpc")]
    _use_grpc: Option<IgnoredAny>,
    #[serde(rename = "grpc_conn_pool_size")]
    _grpc_conn_pool_size: Option<IgnoredAny>,
}

/// A checked bucket on GCS.
#[derive(Clone, Debug)]
pub(super) struct Gcs {
    config: GcsConfig,
    server: Server,
}

#[derive(Clone, Debug)]
enum Server {
    /// Google's, or in tests one with this URL.
    Google {
        url: Option<String>,
        identity: Box<Identity>,
    },
    /// An emulator, which asks for no credentials.
    Emulator { url: String },
}

/// Makes clients of the store.
#[derive(Debug)]
struct Connector {
    connection: Connection,
    who: String,
    is_emulator: bool,
}

impl Gcs {
    pub(super) fn new(
        config: GcsConfig,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BucketError> {
        if config.bucket.is_empty() || config.bucket.contains('/') {
            let reason = format!("expected a name, found {:?}", config.bucket);
            return Err(BucketError::config("config.bucket", reason));
        }
        config
            .http_config
            .as_ref()
            .map_or(Ok(()), HttpConfig::check)?;
        let emulator = variable("STORAGE_EMULATOR_HOST").filter(|host| !host.is_empty());
        let server = match emulator {
            Some(host) => Server::Emulator {
                url: emulator_url(&host)?,
            },
            None => Server::Google {
                url: None,
                identity: Box::new(Identity::find(&config.service_account, variable)?),
            },
        };
        Ok(Self { config, server })
    }

    /// Applies what is configured to the handling of transient errors.
    pub(super) fn adapt(&self, retry: &mut Retry) {
        // Here the first attempt counts, as with Thanos.
        if let Some(attempts) = self.config.max_retries.checked_sub(1) {
            retry.attempts = attempts;
        }
    }

    pub(super) fn open(
        &self,
        prefix: String,
        retry: Retry,
        hedging: Option<Hedging>,
    ) -> Result<Bucket, BucketError> {
        let config = &self.config;
        let connection = Connection::new(config.http_config.clone().unwrap_or_default(), hedging);
        let options = connection.options()?;
        let retries: RetryConfig = retry.into();
        let unusable = |error| BucketError::config("config", error);
        let (url, credentials, who): (_, GcpCredentialProvider, _) = match &self.server {
            Server::Google { url, identity } => {
                let client = connection.connect(&options.clone().with_allow_http(true));
                let client = client.map_err(unusable)?;
                let credentials = identity.provider(&client, retry)?;
                (url.clone(), credentials, identity.to_string())
            }
            Server::Emulator { url } => {
                let bearer = "emulator".to_owned();
                let credential = StaticCredentialProvider::new(GcpCredential { bearer });
                let who = "STORAGE_EMULATOR_HOST".to_owned();
                (Some(url.clone()), Arc::new(credential), who)
            }
        };
        let is_emulator = matches!(self.server, Server::Emulator { .. });
        let is_plain = url.as_ref().is_some_and(|url| url.starts_with("http://"));
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&config.bucket)
            .with_client_options(options.with_allow_http(is_plain))
            .with_credentials(credentials)
            .with_http_connector(Connector {
                connection,
                who: format!("bucket {} with the credentials of {who}", config.bucket),
                is_emulator,
            })
            .with_retry(retries);
        if let Some(url) = url {
            builder = builder.with_base_url(&url);
        }
        let store = builder.build().map_err(unusable)?;
        let mut settings = Settings {
            prefix,
            ..Settings::new(&config.bucket)
        };
        if config.chunk_size_bytes > 0 {
            settings.part_size = config.chunk_size_bytes.max(MIN_PART);
            settings.single_put = settings.part_size;
        }
        if is_emulator {
            // The JSON API has no parts.
            settings.single_put = u64::MAX;
        }
        Ok(Bucket::new(Arc::new(store), settings))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut client = self.connection.connect(options)?;
        if self.is_emulator {
            client = emulator::translated(client);
        }
        let client = refusals::named(client, self.who.clone());
        Ok(foreign::sifted(client))
    }
}

/// The URL of an emulator, from a variable that has it as a host or as a URL with or without a path.
fn emulator_url(host: &str) -> Result<String, BucketError> {
    let url = match host.contains("://") {
        true => host.to_owned(),
        false => format!("http://{host}"),
    };
    let uri: Result<Uri, _> = url.parse();
    let parts = uri.ok().and_then(|uri| {
        let (scheme, host) = (uri.scheme_str()?, uri.authority()?);
        Some(format!("{scheme}://{host}"))
    });
    parts.ok_or_else(|| {
        let reason = format!("expected a host or a URL, found {host:?}");
        BucketError::config("STORAGE_EMULATOR_HOST", reason)
    })
}

#[cfg(test)]
mod tests;
