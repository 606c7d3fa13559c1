//! The arguments of a gateway's caches.

use std::path::PathBuf;

use cache::{CacheConfig, RemoteCache};
use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser as _},
};
use service::Metrics;
use store_gateway::Caches;
use tracing::warn;

use super::parsed;
use crate::values;

/// Caches besides the memory of the process.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// Memory for postings, series and the like, as part of --store.memory-budget [default: an eighth of it].
    #[arg(long = "index-cache-size", value_name = "BYTES", value_parser = values::bytes)]
    index_cache_size: Option<u64>,
    /// YAML file that says where postings and series are cached, as for Thanos; $(VAR) is taken from the environment.
    // An empty path is none, as for Thanos.
    #[arg(
        long = "index-cache.config-file",
        conflicts_with = "index_cache_config",
        value_name = "PATH",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    index_cache_config_file: Option<PathBuf>,
    /// The content of that file.
    #[arg(
        long = "index-cache.config",
        value_name = "YAML",
        allow_hyphen_values = true
    )]
    index_cache_config: Option<String>,
    /// YAML file that says where chunks and footers are cached, as for Thanos; $(VAR) is taken from the environment.
    #[arg(
        long = "store.caching-bucket.config-file",
        conflicts_with = "caching_bucket_config",
        value_name = "PATH",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    caching_bucket_config_file: Option<PathBuf>,
    /// The content of that file.
    #[arg(
        long = "store.caching-bucket.config",
        value_name = "YAML",
        allow_hyphen_values = true
    )]
    caching_bucket_config: Option<String>,
}

/// What the arguments say.
#[derive(Debug, Default)]
pub(crate) struct CacheConfigs {
    index: Option<CacheConfig>,
    bucket: Option<CacheConfig>,
    size: Option<u64>,
}

impl CacheArgs {
    /// # Errors
    /// When a file cannot be read, or one of its values cannot be used.
    pub(crate) fn configs(&self) -> anyhow::Result<CacheConfigs> {
        let Self {
            index_cache_config_file: index_file,
            index_cache_config: index,
            caching_bucket_config_file: bucket_file,
            caching_bucket_config: bucket,
            index_cache_size,
        } = self;
        let configs = CacheConfigs {
            index: parsed(
                index_file.as_deref(),
                index.as_deref(),
                CacheConfig::index_cache,
            )?,
            bucket: parsed(
                bucket_file.as_deref(),
                bucket.as_deref(),
                CacheConfig::caching_bucket,
            )?,
            size: *index_cache_size,
        };
        let all = configs.index.iter().chain(&configs.bucket);
        for notice in all.flat_map(|config| &config.notices) {
            warn!("{notice}");
        }
        Ok(configs)
    }
}

impl CacheConfigs {
    /// The bytes of caches in this process, if they are told: a configuration comes before --index-cache-size, as for
    /// Thanos.
    pub(crate) fn page_bytes(&self) -> Option<u64> {
        let in_memory = |config: &Option<CacheConfig>| config.as_ref()?.in_memory();
        let index = match &self.index {
            Some(_) => in_memory(&self.index).map(|cache| cache.max_size),
            None => self.size,
        };
        let bucket = in_memory(&self.bucket).map(|cache| cache.max_size);
        match (index, bucket) {
            (None, None) => None,
            (index, bucket) => Some(index.unwrap_or(0).saturating_add(bucket.unwrap_or(0))),
        }
    }

    /// The caches that other processes share.
    ///
    /// # Errors
    /// When a file of TLS cannot be used.
    pub(crate) fn open(&self, metrics: &Metrics) -> anyhow::Result<Caches> {
        let open = |config: &Option<CacheConfig>, name| match config {
            Some(config) => anyhow::Ok(RemoteCache::open(config, name, metrics)?),
            None => Ok(None),
        };
        let items = self.index.as_ref().map(|config| config.items);
        let index = open(&self.index, "index-cache")?;
        Ok(Caches::new(
            index.zip(items),
            open(&self.bucket, "caching-bucket")?,
        ))
    }
}
