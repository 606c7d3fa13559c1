//! Thanos's objstore YAML, and the bucket that it means.
//!
//! ```yaml
//! type: S3              # or another of `fields::TABLES`
//! config: {…}           # $(VAR) is taken from the environment
//! prefix: a/folder      # all keys lie below it
//! hedging_config: {…}   # reads that are asked twice
//! ```
//! Strict: a field that is not known, and a value that cannot be honoured, is an error. What would change nothing here
//! is taken, with a warning: `fields.rs` has a table for each type.

mod azure;
mod compatible;
mod document;
mod fields;
mod foreign;
mod gcs;
mod http;
mod lengths;
mod refusals;
mod retry;
mod s3;
#[cfg(test)]
mod testing;
mod values;

use std::{fmt, fs, path::Path};

use object_store::local::LocalFileSystem;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

pub use self::retry::Retry;
use self::{
    azure::Azure,
    compatible::{AliyunOss, Bos, Cos, Obs},
    document::{Document, config_of, parse},
    fields::{Notice, TABLES, Table},
    gcs::Gcs,
    http::Hedging,
    s3::S3,
};
use crate::{Bucket, BucketError, bucket::Settings};

/// The place of a bucket.
#[derive(Clone, Debug)]
pub struct BucketConfig {
    /// The handling of transient errors.
    pub retry: Retry,
    provider: Provider,
    prefix: String,
    hedging: Option<Hedging>,
    /// Fields that change nothing.
    notices: Vec<Notice>,
}

#[derive(Clone, Debug)]
enum Provider {
    Filesystem(Filesystem),
    S3(Box<S3>),
    Gcs(Box<Gcs>),
    Azure(Box<Azure>),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Filesystem {
    directory: String,
}

impl BucketConfig {
    /// Reads the YAML; `variable` gives the value of an environment variable.
    ///
    /// # Errors
    /// [`BucketError::Config`] for a variable that is not set, an unknown field, or a value that cannot be used.
    pub fn from_yaml(
        yaml: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BucketError> {
        Self::read(yaml, &variable)
    }

    fn read(yaml: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, BucketError> {
        let yaml = model::expand_variables(yaml, variable).map_err(|unset| {
            BucketError::config(
                format!("$({})", unset.name),
                "no such environment variable is set",
            )
        })?;
        let document: Document<IgnoredAny> = parse(&yaml)?;
        let kind = document.kind.to_uppercase();
        let Some(table) = Table::of(&kind) else {
            let kinds = TABLES.map(|table| table.kind).join(", ");
            let reason = format!("expected one of {kinds}, found {:?}", document.kind);
            return Err(BucketError::config("type", reason));
        };
        let mut retry = Retry::default();
        let of_s3 = |config| S3::new(config, &variable);
        let provider = match table.kind {
            "S3" => Some(Provider::s3(of_s3(config_of(&yaml)?)?)),
            "GCS" => Some(Provider::Gcs(Box::new(Gcs::new(
                config_of(&yaml)?,
                &variable,
            )?))),
            "AZURE" => Some(Provider::Azure(Box::new(Azure::new(
                config_of(&yaml)?,
                &variable,
            )?))),
            "FILESYSTEM" => Some(Provider::Filesystem(filesystem(config_of(&yaml)?)?)),
            "COS" => Some(Provider::s3(of_s3(config_of::<Cos>(&yaml)?.as_s3()?)?)),
            "ALIYUNOSS" => {
                let config: AliyunOss = config_of(&yaml)?;
                Some(Provider::s3(of_s3(config.as_s3()?)?))
            }
            "OBS" => Some(Provider::s3(of_s3(config_of::<Obs>(&yaml)?.as_s3()?)?)),
            "BOS" => Some(Provider::s3(of_s3(config_of::<Bos>(&yaml)?.as_s3()?)?)),
            _ => None,
        };
        let notices = table.check(&config_of::<Value>(&yaml)?)?;
        // The table refuses the others.
        let Some(provider) = provider else {
            return Err(BucketError::config("type", "not supported"));
        };
        match &provider {
            Provider::Filesystem(_) => {}
            Provider::S3(s3) => s3.adapt(&mut retry),
            Provider::Gcs(gcs) => gcs.adapt(&mut retry),
            Provider::Azure(azure) => azure.adapt(&mut retry),
        }
        if let Some(hedging) = &document.hedging {
            hedging.check()?;
        }
        let prefix = document.prefix.unwrap_or_default();
        Ok(Self {
            retry,
            provider,
            prefix: prefix.trim_matches('/').to_owned(),
            hedging: document.hedging,
            notices,
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
            hedging: None,
            notices: Vec::new(),
        }
    }

    /// Opens the bucket. No request is made yet. A missing folder is created. Fields that have no effect are logged.
    ///
    /// # Errors
    /// [`BucketError::Config`] when the folder, a certificate or a credential cannot be used.
    pub fn open(&self) -> Result<Bucket, BucketError> {
        for Notice { field, why } in &self.notices {
            tracing::warn!(field, why, "a field of the objstore config has no effect");
        }
        let (prefix, hedging) = (self.prefix.clone(), self.hedging.clone());
        if !matches!(self.provider, Provider::Filesystem(_)) {
            install_crypto_provider();
        }
        match &self.provider {
            Provider::Filesystem(config) => {
                let made = fs::create_dir_all(&config.directory);
                made.map_err(unusable(&config.directory))?;
                open_directory(&config.directory, &self.prefix)
            }
            Provider::S3(config) => config.open(prefix, self.retry.into(), hedging),
            Provider::Gcs(config) => config.open(prefix, self.retry, hedging),
            Provider::Azure(config) => config.open(prefix, self.retry, hedging),
        }
    }

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

impl Provider {
    fn s3(config: S3) -> Self {
        Self::S3(Box::new(config))
    }

    #[cfg(test)]
    fn shown(&self) -> String {
        match self {
            Self::S3(config) => config.shown(),
            other => format!("{other:?}"),
        }
    }
}

/// Installs the process-wide provider of cryptography for TLS, unless one is installed.
fn install_crypto_provider() {
    // An error means that one is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn filesystem(config: Filesystem) -> Result<Filesystem, BucketError> {
    if config.directory.is_empty() {
        let reason = "expected a folder, found none";
        return Err(BucketError::config("config.directory", reason));
    }
    Ok(config)
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

#[cfg(test)]
mod tests;
