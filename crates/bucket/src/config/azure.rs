//! `type: AZURE`, Azure Blob Storage.

mod connection_string;
mod container;
mod identity;

use std::{sync::Arc, time::Duration};

use http::Uri;
use object_store::{
    ClientOptions,
    azure::{AzureCredentialProvider, MicrosoftAzureBuilder},
    client::{HttpClient, HttpConnector},
};
use parking_lot::Mutex;
use serde::{Deserialize, de::IgnoredAny};

use self::{connection_string::ConnectionString, container::Container, identity::Identity};
use super::{
    Retry, foreign,
    http::{Connection, Hedging, HttpConfig},
    refusals,
    values::{Secret, duration, or_default},
};
use crate::{Bucket, BucketError, bucket::Settings};

/// Where accounts are if nothing else is configured.
const ENDPOINT: &str = "blob.core.windows.net";

/// The section, as Thanos has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AzureConfig {
    #[serde(deserialize_with = "or_default")]
    storage_account: String,
    #[serde(deserialize_with = "or_default")]
    storage_account_key: Secret,
    #[serde(deserialize_with = "or_default")]
    storage_connection_string: Secret,
    storage_create_container: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    container: String,
    #[serde(deserialize_with = "or_default")]
    endpoint: String,
    #[serde(deserialize_with = "or_default")]
    az_tenant_id: String,
    #[serde(deserialize_with = "or_default")]
    client_id: String,
    #[serde(deserialize_with = "or_default")]
    client_secret: Secret,
    #[serde(deserialize_with = "or_default")]
    user_assigned_id: String,
    #[serde(deserialize_with = "or_default")]
    max_retries: usize,
    pipeline_config: Option<Pipeline>,
    http_config: Option<HttpConfig>,
    #[serde(rename = "reader_config")]
    _reader_config: Option<IgnoredAny>,
    #[serde(rename = "msi_resource")]
    _msi_resource: Option<IgnoredAny>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Pipeline {
    #[serde(deserialize_with = "or_default")]
    max_tries: usize,
    #[serde(deserialize_with = "duration")]
    try_timeout: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    retry_delay: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    max_retry_delay: Option<Duration>,
}

/// A checked container.
#[derive(Clone, Debug)]
pub(super) struct Azure {
    config: AzureConfig,
    /// Of the connection string, or configured.
    account: String,
    /// The account's URL.
    url: String,
    identity: Identity,
}

/// Makes clients of the container.
#[derive(Debug)]
struct Connector {
    connection: Connection,
    who: String,
    /// The container to create if it is missing.
    container: Option<Container>,
}

impl Azure {
    pub(super) fn new(
        config: AzureConfig,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BucketError> {
        config.check()?;
        if !config.storage_connection_string.is_empty() {
            let string = ConnectionString::parse(&config.storage_connection_string.0)?;
            return Self {
                account: string.account,
                url: string.url,
                identity: string.identity,
                config,
            }
            .checked();
        }
        let account = config.storage_account.clone();
        let endpoint = match config.endpoint.as_str() {
            "" => ENDPOINT,
            other => other,
        };
        Self {
            url: format!("https://{account}.{endpoint}"),
            identity: Identity::find(&config, variable)?,
            account,
            config,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, BucketError> {
        let container_url = format!("{}/{}", self.url, self.config.container);
        match container_url.parse::<Uri>() {
            Ok(uri) if uri.authority().is_some() => Ok(self),
            _ => {
                let reason = "expected a host without scheme or path, found other text";
                Err(BucketError::config("config.endpoint", reason))
            }
        }
    }

    /// Applies what is configured to the handling of transient errors.
    pub(super) fn adapt(&self, retry: &mut Retry) {
        let pipeline = self.config.pipeline_config.clone().unwrap_or_default();
        let attempts = [pipeline.max_tries, self.config.max_retries];
        if let Some(attempts) = attempts.into_iter().find(|attempts| *attempts > 0) {
            retry.attempts = attempts;
        }
        let set = |pause: Option<Duration>| pause.filter(|pause| !pause.is_zero());
        if let Some(pause) = set(pipeline.retry_delay) {
            retry.pause = pause;
        }
        retry.longest_pause = set(pipeline.max_retry_delay).or(retry.longest_pause);
    }

    pub(super) fn open(
        &self,
        prefix: String,
        retry: Retry,
        hedging: Option<Hedging>,
    ) -> Result<Bucket, BucketError> {
        let config = &self.config;
        let mut http = config.http_config.clone().unwrap_or_default();
        let pipeline = config.pipeline_config.clone().unwrap_or_default();
        http.wait_at_most(pipeline.try_timeout.unwrap_or_default());
        let connection = Connection::new(http, hedging);
        let options = connection.options()?;
        let is_plain = self.url.starts_with("http://");
        let options = options.with_allow_http(is_plain || self.identity.is_by_http());
        let builder = || {
            MicrosoftAzureBuilder::new()
                .with_account(&self.account)
                .with_endpoint(self.url.clone())
                .with_container_name(&config.container)
                .with_client_options(options.clone())
                .with_retry(retry.into())
        };
        let unusable = |error| BucketError::config("config", error);
        // The library chooses its source of credentials when it makes a store. That one also signs the request that
        // creates the container.
        let store = self
            .identity
            .apply(builder())
            .with_http_connector(connection.clone());
        let store = store.build().map_err(unusable)?;
        let credentials: AzureCredentialProvider = Arc::clone(store.credentials());
        let container = config.storage_create_container.unwrap_or(true);
        let container = container.then(|| Container {
            url: format!("{}/{}?restype=container", self.url, config.container),
            account: self.account.clone(),
            credentials: Arc::clone(&credentials),
            was_created: Arc::new(Mutex::default()),
        });
        let store = builder()
            .with_credentials(credentials)
            .with_http_connector(Connector {
                connection,
                who: format!(
                    "container {} with the credentials of {}",
                    config.container, self.identity
                ),
                container,
            })
            .build()
            .map_err(unusable)?;
        let settings = Settings {
            prefix,
            ..Settings::new(&config.container)
        };
        Ok(Bucket::new(Arc::new(store), settings))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut client = self.connection.connect(options)?;
        if let Some(container) = &self.container {
            client = container::created(client, container.clone());
        }
        let client = refusals::named(client, self.who.clone());
        Ok(foreign::sifted(client))
    }
}

impl AzureConfig {
    /// Refuses what is missing or contradictory, as Thanos does.
    fn check(&self) -> Result<(), BucketError> {
        let refuse =
            |field: &str, reason: &str| Err(BucketError::config(format!("config.{field}"), reason));
        let is_name = |name: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_$".contains(&b);
            !name.is_empty() && name.bytes().all(fits)
        };
        if !is_name(&self.storage_account) {
            let reason = format!("expected a name, found {:?}", self.storage_account);
            return refuse("storage_account", &reason);
        }
        if !is_name(&self.container) {
            let reason = format!("expected a name, found {:?}", self.container);
            return refuse("container", &reason);
        }
        let has_key = !self.storage_account_key.is_empty();
        let has_string = !self.storage_connection_string.is_empty();
        if has_key && has_string {
            return refuse(
                "storage_account_key",
                "expected no storage_connection_string beside it",
            );
        }
        if !self.user_assigned_id.is_empty() {
            for (other, is_set) in [
                ("storage_account_key", has_key),
                ("storage_connection_string", has_string),
                ("client_id", !self.client_id.is_empty()),
            ] {
                if is_set {
                    let reason = format!("expected no {other} beside it");
                    return refuse("user_assigned_id", &reason);
                }
            }
        }
        let of_client = [
            ("az_tenant_id", self.az_tenant_id.is_empty()),
            ("client_id", self.client_id.is_empty()),
            ("client_secret", self.client_secret.is_empty()),
        ];
        let missing = of_client.iter().find(|(_, is_empty)| *is_empty);
        let is_any_set = of_client.iter().any(|(_, is_empty)| !is_empty);
        if let Some((missing, _)) = missing.filter(|_| is_any_set) {
            return refuse(
                missing,
                "expected az_tenant_id, client_id and client_secret together, found none",
            );
        }
        if has_key {
            identity::check_key("config.storage_account_key", &self.storage_account_key.0)?;
        }
        self.http_config.as_ref().map_or(Ok(()), HttpConfig::check)
    }
}

#[cfg(test)]
mod tests;
