//! Thanos's objstore YAML, and the bucket that it means.
//!
//! ```yaml
//! type: S3              # or FILESYSTEM
//! config: {…}           # $(VAR) is taken from the environment
//! prefix: a/folder      # all keys lie below it
//! ```
//! Strict: a field that is not known, and a value that cannot be honoured, is an error. What would change nothing here
//! is taken and has no effect.

mod http;
mod lengths;
mod s3;
mod variables;

use std::{fmt, fs, path::Path, time::Duration};

use object_store::{BackoffConfig, RetryConfig, local::LocalFileSystem};
use serde::{Deserialize, de::DeserializeOwned, de::IgnoredAny};

use self::s3::S3;
use crate::{Bucket, BucketError, bucket::Settings};

/// The place of a bucket.
#[derive(Clone, Debug)]
pub struct BucketConfig {
    /// The handling of transient errors.
    pub retry: Retry,
    provider: Provider,
    prefix: String,
}

/// How often and how long an operation is retried after a transient error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts after the first.
    pub attempts: usize,
    /// Time after which no attempt is made any more.
    pub timeout: Duration,
    /// The first pause; later ones are longer.
    pub pause: Duration,
}

#[derive(Clone, Debug)]
enum Provider {
    Filesystem(Filesystem),
    S3(Box<S3>),
}

/// The whole file; `config` is read once the type is known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<T> {
    #[serde(rename = "type")]
    kind: String,
    config: Option<T>,
    #[serde(default)]
    prefix: Option<String>,
    /// Thanos's store documents it. Requests are not hedged here.
    #[serde(default, rename = "hedging_config")]
    _hedging: Option<IgnoredAny>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filesystem {
    directory: String,
}

/// A value that is not shown.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
struct Secret(String);

impl BucketConfig {
    /// Reads the YAML; `variable` gives the value of an environment variable.
    ///
    /// # Errors
    /// [`BucketError::Config`] for a variable that is not set, an unknown field, or a value that cannot be used.
    pub fn from_yaml(
        yaml: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BucketError> {
        let yaml = variables::expand(yaml, &variable)?;
        let document: Document<IgnoredAny> = parse(&yaml)?;
        let mut retry = Retry::default();
        let provider = match document.kind.to_uppercase().as_str() {
            "FILESYSTEM" => {
                let config: Filesystem = config_of(&yaml)?;
                if config.directory.is_empty() {
                    return Err(BucketError::config(
                        "config.directory",
                        "expected a folder, found none",
                    ));
                }
                Provider::Filesystem(config)
            }
            "S3" => {
                let config = S3::new(config_of(&yaml)?, &variable)?;
                if let Some(attempts) = config.max_retries() {
                    retry.attempts = attempts;
                }
                Provider::S3(Box::new(config))
            }
            _ => {
                let found = document.kind;
                let reason = format!("expected FILESYSTEM or S3, found {found:?}");
                return Err(BucketError::config("type", reason));
            }
        };
        let prefix = document.prefix.unwrap_or_default();
        Ok(Self {
            retry,
            provider,
            prefix: prefix.trim_matches('/').to_owned(),
        })
    }

    /// The folder `directory`.
    #[must_use]
    pub fn filesystem(directory: &Path) -> Self {
        Self {
            retry: Retry::default(),
            provider: Provider::Filesystem(Filesystem {
                directory: directory.display().to_string(),
            }),
            prefix: String::new(),
        }
    }

    /// Opens the bucket. No request is made yet. A missing folder is created.
    ///
    /// # Errors
    /// [`BucketError::Config`] when the folder or a certificate cannot be used.
    pub fn open(&self) -> Result<Bucket, BucketError> {
        match &self.provider {
            Provider::Filesystem(config) => {
                let made = fs::create_dir_all(&config.directory);
                made.map_err(unusable(&config.directory))?;
                open_directory(&config.directory, &self.prefix)
            }
            Provider::S3(config) => {
                install_crypto_provider();
                config.open(self.prefix.clone(), self.retry.into())
            }
        }
    }
}

impl BucketConfig {
    /// As [`Self::open`], but a missing folder is an error, as it holds nothing to read.
    ///
    /// # Errors
    /// As [`Self::open`]; when the folder does not exist.
    pub fn open_existing(&self) -> Result<Bucket, BucketError> {
        if let Provider::Filesystem(Filesystem { directory }) = &self.provider {
            let found = fs::metadata(directory).map_err(unusable(directory))?;
            if !found.is_dir() {
                return Err(unusable(directory)("expected a folder, found a file"));
            }
        }
        self.open()
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 10,
            timeout: Duration::from_secs(180),
            pause: Duration::from_millis(100),
        }
    }
}

impl From<Retry> for RetryConfig {
    fn from(retry: Retry) -> Self {
        let backoff = BackoffConfig {
            init_backoff: retry.pause,
            max_backoff: (retry.pause * 150).max(Duration::from_millis(1)),
            base: 2.0,
        };
        Self {
            backoff,
            max_retries: retry.attempts,
            retry_timeout: retry.timeout,
        }
    }
}

impl Secret {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { "***" })
    }
}

/// Installs the process-wide provider of cryptography for TLS, unless one is installed.
pub fn install_crypto_provider() {
    // An error means that one is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn unusable<E: fmt::Display>(directory: &str) -> impl Fn(E) -> BucketError {
    move |error| BucketError::config("config.directory", format!("{directory}: {error}"))
}

fn open_directory(directory: &str, prefix: &str) -> Result<Bucket, BucketError> {
    let store = LocalFileSystem::new_with_prefix(directory).map_err(unusable(directory))?;
    // Folders mean nothing in a bucket, so empty ones are removed. Writes are durable when they return.
    let store = store.with_automatic_cleanup(true).with_fsync(true);
    let settings = Settings {
        prefix: prefix.to_owned(),
        has_folders: true,
        ..Settings::new(format!("fs: {directory}"))
    };
    Ok(Bucket::in_folder(store, settings))
}

fn config_of<T: DeserializeOwned + Default>(yaml: &str) -> Result<T, BucketError> {
    let document: Document<T> = parse(yaml)?;
    Ok(document.config.unwrap_or_default())
}

fn parse<T: DeserializeOwned>(yaml: &str) -> Result<T, BucketError> {
    // The lines around an error may hold secrets, so only the position is given.
    let options = serde_saphyr::options! { with_snippet: false };
    let parsed = serde_saphyr::from_str_with_options(yaml, options);
    parsed.map_err(|error| BucketError::config("yaml", error))
}

#[cfg(test)]
mod tests;
