//! The credentials of requests: the keys of the configuration; else those of the environment, of the shared file, or
//! of a service of AWS for a web identity, a container or an instance, in Thanos's order.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use object_store::{
    ClientOptions, CredentialProvider, RetryConfig, StaticCredentialProvider,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Connection, Secret, profile};
use crate::BucketError;

/// How long the contents of the shared file are used before it is read again.
const FILE_AGE: Duration = Duration::from_secs(30);
/// A local service that does not answer is not awaited for long.
const ATTEMPTS: usize = 3;

/// The environment variables that name a credentials service, and the library's names of them.
const SERVICES: [(&str, &str); 7] = [
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "aws_web_identity_token_file"),
    ("AWS_ROLE_ARN", "aws_role_arn"),
    ("AWS_ROLE_SESSION_NAME", "aws_role_session_name"),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "aws_container_credentials_relative_uri",
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "aws_container_credentials_full_uri",
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "aws_container_authorization_token_file",
    ),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "aws_metadata_endpoint"),
];

/// The source of credentials.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// These keys.
    Keys(Keys),
    /// The shared file if it has some, else the services.
    File(SharedFile, Services),
    /// A service.
    Services(Services),
}

#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) access_key: Secret,
    pub(super) secret_key: Secret,
    pub(super) session_token: Secret,
    /// Where the credentials were found.
    pub(super) place: &'static str,
}

/// The credentials file of AWS's tools, and the profile in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SharedFile {
    path: PathBuf,
    profile: String,
}

/// Variables that name services, under the library's names.
#[derive(Clone, Debug, Default)]
pub(super) struct Services(Vec<(&'static str, String)>);

/// Opens connections to a service.
pub(super) struct Reach<'a> {
    pub(super) connection: Connection,
    pub(super) options: ClientOptions,
    pub(super) retry: RetryConfig,
    pub(super) region: &'a str,
    pub(super) sts_endpoint: &'a str,
}

impl Source {
    /// The source of credentials of a configuration without keys. An empty variable counts as unset.
    ///
    /// # Errors
    /// [`BucketError::Config`] when variables belong together and one of them is missing.
    pub(super) fn of_environment(
        variable: &impl Fn(&str) -> Option<String>,
        order: Order,
    ) -> Result<Self, BucketError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let found = |name: &'static str| variable(name).map(|value| (value, name));
        let access_key = found("AWS_ACCESS_KEY_ID").or_else(|| found("AWS_ACCESS_KEY"));
        let secret_key = variable("AWS_SECRET_ACCESS_KEY").or_else(|| variable("AWS_SECRET_KEY"));
        if let (Some((access_key, place)), Some(secret_key)) = (access_key, secret_key) {
            let keys = Keys {
                access_key: Secret(access_key),
                secret_key: Secret(secret_key),
                session_token: Secret(variable("AWS_SESSION_TOKEN").unwrap_or_default()),
                place,
            };
            keys.check()?;
            return Ok(Self::Keys(keys));
        }
        let services = Services::of(&variable)?;
        let path = variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
        let path = path.or_else(|| {
            let home = variable("HOME").or_else(|| variable("USERPROFILE"))?;
            Some(PathBuf::from(home).join(".aws").join("credentials"))
        });
        let first = order == Order::Sdk && services.has("aws_web_identity_token_file");
        Ok(match path.filter(|_| !first) {
            Some(path) => {
                let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
                Self::File(SharedFile { path, profile }, services)
            }
            None => Self::Services(services),
        })
    }

    /// The provider of the credentials. No request is made yet.
    pub(super) fn provider(&self, reach: &Reach<'_>) -> Result<AwsCredentialProvider, BucketError> {
        match self {
            Self::Keys(keys) => Ok(Arc::new(StaticCredentialProvider::new(AwsCredential {
                key_id: keys.access_key.0.clone(),
                secret_key: keys.secret_key.0.clone(),
                token: Some(keys.session_token.0.clone()).filter(|token| !token.is_empty()),
            }))),
            Self::File(file, services) => Ok(Arc::new(FileOr {
                file: file.clone(),
                read: Mutex::default(),
                services: services.provider(reach)?,
            })),
            Self::Services(services) => services.provider(reach),
        }
    }
}

impl fmt::Display for Source {
    /// The description in errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(keys) => f.write_str(keys.place),
            Self::File(file, services) => {
                let (profile, path) = (&file.profile, file.path.display());
                write!(
                    f,
                    "profile {profile} of {path}, or else {}",
                    services.name()
                )
            }
            Self::Services(services) => f.write_str(services.name()),
        }
    }
}

/// The order in which the environment's sources are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Thanos's: keys, the shared file, a web identity, a container, the instance.
    Thanos,
    /// The AWS SDK's: keys, a web identity, the shared file, a container, the instance.
    Sdk,
}

impl Keys {
    /// Refuses characters that no header can have, such as the line end in a secret's file.
    pub(super) fn check(&self) -> Result<(), BucketError> {
        let fits = |secret: &Secret| secret.0.bytes().all(|b| b.is_ascii_graphic());
        if fits(&self.access_key) && fits(&self.session_token) {
            return Ok(());
        }
        let reason = "expected a key and a token of visible ASCII characters, found another one";
        Err(BucketError::config(self.place, reason))
    }
}

impl Services {
    fn of(variable: &impl Fn(&str) -> Option<String>) -> Result<Self, BucketError> {
        let set = SERVICES.into_iter();
        let set = set.filter_map(|(name, key)| Some((key, variable(name)?)));
        let services = Self(set.collect());
        let refuse = |name: &str, reason: &str| Err(BucketError::config(name, reason));
        if services.has("aws_web_identity_token_file") && !services.has("aws_role_arn") {
            let reason = "expected AWS_ROLE_ARN beside it";
            return refuse("AWS_WEB_IDENTITY_TOKEN_FILE", reason);
        }
        let is_container = services.has("aws_container_credentials_full_uri")
            && !services.has("aws_container_credentials_relative_uri")
            && !services.has("aws_web_identity_token_file");
        if is_container && !services.has("aws_container_authorization_token_file") {
            let reason = "expected AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE beside it";
            return refuse("AWS_CONTAINER_CREDENTIALS_FULL_URI", reason);
        }
        Ok(services)
    }

    /// The service that the library chooses.
    fn name(&self) -> &'static str {
        if self.has("aws_web_identity_token_file") {
            "AWS_WEB_IDENTITY_TOKEN_FILE"
        } else if self.has("aws_container_credentials_relative_uri") {
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
        } else if self.has("aws_container_credentials_full_uri") {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI"
        } else {
            "the instance's metadata service"
        }
    }

    fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(of, _)| *of == key)
    }

    /// The client of the service. The library chooses: a web identity, a container, else the instance.
    fn provider(&self, reach: &Reach<'_>) -> Result<AwsCredentialProvider, BucketError> {
        let mut builder = AmazonS3Builder::new()
            // Only the credentials of this store are used.
            .with_bucket_name("credentials")
            .with_region(reach.region)
            .with_client_options(reach.options.clone())
            .with_http_connector(reach.connection.clone())
            .with_retry(RetryConfig {
                max_retries: reach.retry.max_retries.min(ATTEMPTS),
                ..reach.retry.clone()
            });
        for (name, value) in &self.0 {
            // The library knows these names.
            if let Ok(key) = name.parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        if !reach.sts_endpoint.is_empty() {
            builder = builder.with_config(AmazonS3ConfigKey::StsEndpoint, reach.sts_endpoint);
        }
        let store = builder.build();
        let store = store.map_err(|error| BucketError::config("config", error))?;
        Ok(Arc::clone(store.credentials()))
    }
}

/// Credentials of the shared file, or of a service while the file has none.
#[derive(Debug)]
struct FileOr {
    file: SharedFile,
    read: Mutex<Option<Read>>,
    services: AwsCredentialProvider,
}

/// The contents read last.
#[derive(Clone, Debug)]
struct Read {
    at: Instant,
    found: Result<Arc<AwsCredential>, String>,
}

impl FileOr {
    async fn of_file(&self) -> Result<Arc<AwsCredential>, String> {
        let fresh = self.read.lock().clone();
        if let Some(read) = fresh.filter(|read| read.at.elapsed() < FILE_AGE) {
            return read.found;
        }
        let at = Instant::now();
        let found = match tokio::fs::read_to_string(&self.file.path).await {
            Ok(text) => profile::credentials(&text, &self.file.profile).map(Arc::new),
            Err(error) => Err(error.to_string()),
        };
        let found = found.map_err(|error| format!("{}: {error}", self.file.path.display()));
        let before = self.read.lock().replace(Read {
            at,
            found: found.clone(),
        });
        match (before.map(|read| read.found), found) {
            // The file is being written, or is gone for a moment: its former contents are likelier right than an
            // instance's role.
            (Some(Ok(before)), Err(error)) => {
                tracing::warn!(%error, "credentials stay as they were read before");
                *self.read.lock() = Some(Read {
                    at,
                    found: Ok(Arc::clone(&before)),
                });
                Ok(before)
            }
            (_, found) => found,
        }
    }
}

#[async_trait]
impl CredentialProvider for FileOr {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let lacking = match self.of_file().await {
            Ok(found) => return Ok(found),
            Err(lacking) => lacking,
        };
        let given = self.services.get_credential().await;
        given.map_err(|error| object_store::Error::Generic {
            store: "S3",
            source: format!(
                "found no credentials: AWS_ACCESS_KEY_ID is not set; {lacking}; {error}"
            )
            .into(),
        })
    }
}

#[cfg(test)]
mod tests;
