//! The YAML of `--index-cache.config` and `--store.caching-bucket.config`. Thanos parses both strictly, so a field that
//! it does not know is an error here, too.

use std::time::Duration;

use serde_json::Value;
use service::{GrpcClientTls, ServiceError, Verification, YamlFields};

use crate::breaker::BreakerConfig;

/// As in Thanos.
const TTL: Duration = Duration::from_hours(24);

/// What a cache keeps, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    pub(crate) backend: Backend,
    /// What an index cache keeps (`enabled_items`).
    pub items: Items,
    /// How long it is kept (`ttl`, `chunk_subrange_ttl`).
    pub(crate) ttl: Duration,
    /// For the log.
    pub notices: Vec<String>,
}

/// The items of an index cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Items {
    /// Posting lists, and what a search of Parquet blocks reads.
    pub postings: bool,
    /// The labels of series.
    pub series: bool,
}

/// Where things are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    InMemory(InMemory),
    Memcached(MemcachedConfig),
    Redis(RedisConfig),
}

/// A cache in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InMemory {
    /// Bytes of all items (`max_size`).
    pub max_size: u64,
}

/// What all servers have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many requests to look up keys run at once.
    pub(crate) lookups: usize,
    /// The keys of one request; 0 is no limit.
    pub(crate) lookup_keys: usize,
    /// How many requests to keep items run at once.
    pub(crate) writes: usize,
    /// Items that wait to be kept.
    pub(crate) queue: usize,
    /// The largest item in bytes; 0 is no limit.
    pub(crate) max_item: u64,
    pub(crate) breaker: BreakerConfig,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemcachedConfig {
    pub(crate) addresses: Vec<String>,
    pub(crate) timeout: Duration,
    pub(crate) idle_connections: usize,
    pub(crate) dns_interval: Duration,
    pub(crate) tls: Option<GrpcClientTls>,
    pub(crate) limits: Limits,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RedisConfig {
    /// Of the server, or of sentinels.
    pub(crate) addresses: Vec<String>,
    /// The name under which sentinels know the server.
    pub(crate) master_name: Option<String>,
    pub(crate) prefix: String,
    pub(crate) username: Option<String>,
    /// Never shown.
    pub(crate) password: Option<String>,
    pub(crate) db: i64,
    pub(crate) dial_timeout: Duration,
    pub(crate) read_timeout: Duration,
    pub(crate) write_timeout: Duration,
    /// Items in one request to keep them.
    pub(crate) write_keys: usize,
    pub(crate) tls: Option<GrpcClientTls>,
    pub(crate) limits: Limits,
}

/// The type, its fields, and what else stands in the document.
struct Parts {
    document: Value,
    place: &'static str,
    notices: Vec<String>,
}

impl CacheConfig {
    /// That of an index cache.
    ///
    /// # Errors
    /// When it cannot be used. The text shows no value, as any may be a secret in the wrong place.
    pub fn index_cache(yaml: &str) -> Result<Self, ServiceError> {
        let parts = Parts::parse("index cache config: ", yaml)?;
        let fields = parts.fields()?;
        fields.only(&["type", "config", "enabled_items", "ttl"])?;
        let enabled = fields.list("enabled_items")?;
        let known = ["Postings", "Series", "ExpandedPostings"];
        if let Some(i) = enabled
            .iter()
            .position(|item| !known.contains(&item.as_str()))
        {
            let expected = "expected Postings, Series or ExpandedPostings";
            return Err(fields.wrong(&format!("enabled_items[{i}]"), expected));
        }
        let has = |item: &str| enabled.is_empty() || enabled.iter().any(|one| one == item);
        let items = Items {
            postings: has("Postings"),
            series: has("Series"),
        };
        let ttl = fields.duration("ttl")?.unwrap_or(TTL);
        parts.finish(items, ttl)
    }

    /// That of a caching bucket.
    ///
    /// # Errors
    /// As [`Self::index_cache`].
    pub fn caching_bucket(yaml: &str) -> Result<Self, ServiceError> {
        const WITHOUT_EFFECT: [&str; 8] = [
            "chunk_subrange_size",
            "max_chunks_get_range_requests",
            "chunk_object_attrs_ttl",
            "blocks_iter_ttl",
            "metafile_exists_ttl",
            "metafile_doesnt_exist_ttl",
            "metafile_content_ttl",
            "metafile_max_size",
        ];
        let mut parts = Parts::parse("caching bucket config: ", yaml)?;
        let fields = parts.fields()?;
        let known = ["type", "config", "chunk_subrange_ttl"];
        fields.only(&[&known[..], &WITHOUT_EFFECT].concat())?;
        let ttl = fields.duration("chunk_subrange_ttl")?.unwrap_or(TTL);
        let mut ignored: Vec<_> = fields
            .names()
            .filter(|name| WITHOUT_EFFECT.contains(name))
            .collect();
        ignored.sort_unstable();
        let place = parts.place;
        let notices = ignored.into_iter().map(|name| {
            format!("{place}{name} has no effect: ranges are kept as they are read, and listings and metadata in the data folder")
        });
        let notices: Vec<_> = notices.collect();
        parts.notices = notices;
        let items = Items {
            postings: false,
            series: false,
        };
        parts.finish(items, ttl)
    }

    /// The cache in this process, if it is one.
    #[must_use]
    pub const fn in_memory(&self) -> Option<InMemory> {
        match &self.backend {
            Backend::InMemory(config) => Some(*config),
            Backend::Memcached(_) | Backend::Redis(_) => None,
        }
    }
}

impl Parts {
    fn parse(place: &'static str, yaml: &str) -> Result<Self, ServiceError> {
        let options = serde_saphyr::options! { with_snippet: false };
        // The parser's own text may show a secret.
        let parsed: Result<Value, _> = serde_saphyr::from_str_with_options(yaml, options);
        let Ok(document) = parsed else {
            let fields = YamlFields::new(place, None)?;
            return Err(fields.wrong("", "expected YAML with the fields type and config"));
        };
        Ok(Self {
            document,
            place,
            notices: Vec::new(),
        })
    }

    fn fields(&self) -> Result<YamlFields<'_>, ServiceError> {
        YamlFields::new(self.place, Some(&self.document))
    }

    fn finish(mut self, items: Items, ttl: Duration) -> Result<CacheConfig, ServiceError> {
        let mut notices = std::mem::take(&mut self.notices);
        let fields = self.fields()?;
        let kind = fields.text("type")?.to_uppercase();
        let place = format!("{}config.", self.place);
        let config = fields.below("config", &place)?;
        let backend = match kind.as_str() {
            "IN-MEMORY" => Backend::InMemory(in_memory(config, &mut notices)?),
            "MEMCACHED" => Backend::Memcached(memcached(config, &place)?),
            "REDIS" => Backend::Redis(redis(config, &place, &mut notices)?),
            "GROUPCACHE" => {
                let text = "GROUPCACHE is not supported, as its peers speak a protocol of their own: use MEMCACHED or REDIS";
                return Err(fields.wrong("type", text));
            }
            _ => return Err(fields.wrong("type", "expected IN-MEMORY, MEMCACHED or REDIS")),
        };
        Ok(CacheConfig {
            backend,
            items,
            ttl,
            notices,
        })
    }
}

fn in_memory(fields: YamlFields<'_>, notices: &mut Vec<String>) -> Result<InMemory, ServiceError> {
    fields.only(&["max_size", "max_item_size"])?;
    if fields.bytes("max_item_size")?.is_some() {
        let text = "max_item_size has no effect: an item is at most an eighth of all";
        notices.push(text.to_owned());
    }
    let max_size = fields.bytes("max_size")?.unwrap_or(250 << 20);
    Ok(InMemory { max_size })
}

fn memcached(fields: YamlFields<'_>, place: &str) -> Result<MemcachedConfig, ServiceError> {
    fields.only(&[
        "addresses",
        "timeout",
        "max_idle_connections",
        "max_async_concurrency",
        "max_async_buffer_size",
        "max_get_multi_concurrency",
        "max_item_size",
        "max_get_multi_batch_size",
        "dns_provider_update_interval",
        "auto_discovery",
        "set_async_circuit_breaker_config",
        "tls_enabled",
        "tls_config",
    ])?;
    let addresses = fields.list("addresses")?;
    if addresses.is_empty() {
        return Err(fields.wrong("addresses", "expected one or more, found none"));
    }
    for (i, address) in addresses.iter().enumerate() {
        check_address(fields, &format!("addresses[{i}]"), address)?;
    }
    if fields.is_true("auto_discovery")? {
        let text =
            "it is not supported: use dns+ with the name that has the addresses of all nodes";
        return Err(fields.wrong("auto_discovery", text));
    }
    let limits = limits(fields, place, "max_get_multi_batch_size", 0, 1 << 20)?;
    Ok(MemcachedConfig {
        addresses,
        timeout: fields
            .duration("timeout")?
            .unwrap_or(Duration::from_millis(500)),
        idle_connections: fields.count("max_idle_connections")?.unwrap_or(100),
        dns_interval: fields
            .duration("dns_provider_update_interval")?
            .unwrap_or(Duration::from_secs(10)),
        tls: tls(fields, place)?,
        limits,
    })
}

fn redis(
    fields: YamlFields<'_>,
    place: &str,
    notices: &mut Vec<String>,
) -> Result<RedisConfig, ServiceError> {
    fields.only(&[
        "addr",
        "prefix",
        "username",
        "password",
        "db",
        "dial_timeout",
        "read_timeout",
        "write_timeout",
        "max_get_multi_concurrency",
        "get_multi_batch_size",
        "max_set_multi_concurrency",
        "set_multi_batch_size",
        "tls_enabled",
        "tls_config",
        "cache_size",
        "master_name",
        "max_async_buffer_size",
        "max_async_concurrency",
        "set_async_circuit_breaker_config",
    ])?;
    let address = fields.text("addr")?;
    let addresses: Vec<_> = address
        .split(',')
        .map(|one| one.trim().to_owned())
        .collect();
    for address in &addresses {
        check_address(fields, "addr", address)?;
    }
    let master_name = fields.some_text("master_name")?;
    if addresses.len() > 1 && master_name.is_none() {
        let text = "several addresses are those of sentinels, and need master_name; a Redis Cluster is not supported";
        return Err(fields.wrong("addr", text));
    }
    if fields.bytes("cache_size")?.is_some_and(|size| size > 0) {
        let text = "cache_size has no effect: what is read often stays in --store.memory-budget";
        notices.push(format!("{place}{text}"));
    }
    if fields.count("max_set_multi_concurrency")?.is_some() {
        let text = "max_set_multi_concurrency has no effect: max_async_concurrency bounds it";
        notices.push(format!("{place}{text}"));
    }
    // It is no negative number, and 0 is the default.
    let db = fields.count("db")?.unwrap_or(0);
    let seconds = |name, default| {
        Ok::<_, ServiceError>(
            fields
                .duration(name)?
                .unwrap_or(Duration::from_secs(default)),
        )
    };
    Ok(RedisConfig {
        addresses,
        master_name,
        prefix: fields.text("prefix")?,
        username: fields.some_text("username")?,
        password: fields.some_text("password")?,
        db: i64::try_from(db).unwrap_or(i64::MAX),
        dial_timeout: seconds("dial_timeout", 5)?,
        read_timeout: seconds("read_timeout", 3)?,
        write_timeout: seconds("write_timeout", 3)?,
        write_keys: fields.count("set_multi_batch_size")?.unwrap_or(100),
        tls: tls(fields, place)?,
        limits: limits(fields, place, "get_multi_batch_size", 100, 0)?,
    })
}

fn limits(
    fields: YamlFields<'_>,
    place: &str,
    lookup_keys: &str,
    keys: usize,
    max_item: u64,
) -> Result<Limits, ServiceError> {
    let name = "set_async_circuit_breaker_config";
    let place = format!("{place}{name}.");
    let breaker = fields.below(name, &place)?;
    breaker.only(&[
        "enabled",
        "half_open_max_requests",
        "open_duration",
        "min_requests",
        "consecutive_failures",
        "failure_percent",
    ])?;
    let default = BreakerConfig::default();
    // It guards lookups, too, so it is always on; `enabled` gives it other numbers.
    let breaker = if breaker.is_true("enabled")? {
        let percent = breaker.number("failure_percent")?;
        BreakerConfig {
            probes: breaker
                .count("half_open_max_requests")?
                .unwrap_or(default.probes),
            open_for: breaker
                .duration("open_duration")?
                .unwrap_or(default.open_for),
            min_requests: breaker
                .count("min_requests")?
                .unwrap_or(default.min_requests),
            consecutive: breaker
                .count("consecutive_failures")?
                .unwrap_or(default.consecutive),
            failure_ratio: if percent > 0.0 {
                percent.to_bits()
            } else {
                default.failure_ratio
            },
        }
    } else {
        default
    };
    Ok(Limits {
        lookups: fields.count("max_get_multi_concurrency")?.unwrap_or(100),
        lookup_keys: fields.count(lookup_keys)?.unwrap_or(keys),
        writes: fields.count("max_async_concurrency")?.unwrap_or(20),
        queue: fields.count("max_async_buffer_size")?.unwrap_or(10_000),
        max_item: match max_item {
            0 => 0,
            default => fields.bytes("max_item_size")?.unwrap_or(default),
        },
        breaker,
    })
}

/// The settings of TLS, if it is on.
fn tls(fields: YamlFields<'_>, place: &str) -> Result<Option<GrpcClientTls>, ServiceError> {
    let place = format!("{place}tls_config.");
    let tls = fields.below("tls_config", &place)?;
    tls.only(&[
        "ca_file",
        "cert_file",
        "key_file",
        "server_name",
        "insecure_skip_verify",
    ])?;
    let identity = match (tls.some_text("cert_file")?, tls.some_text("key_file")?) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        (Some(_), None) => {
            return Err(tls.wrong("key_file", "expected the key of cert_file, found none"));
        }
        (None, Some(_)) => {
            return Err(tls.wrong(
                "cert_file",
                "expected the certificate of key_file, found none",
            ));
        }
    };
    let config = GrpcClientTls {
        identity,
        ca_file: tls.some_text("ca_file")?.map(Into::into),
        server_name: tls.some_text("server_name")?,
        verification: match tls.is_true("insecure_skip_verify")? {
            true => Verification::Off,
            false => Verification::On,
        },
    };
    Ok(fields.is_true("tls_enabled")?.then_some(config))
}

fn check_address(fields: YamlFields<'_>, name: &str, address: &str) -> Result<(), ServiceError> {
    if crate::connect::Address::parse(address).is_some() {
        Ok(())
    } else {
        let text = "expected HOST:PORT, dns+HOST:PORT or dnssrv+NAME";
        Err(fields.wrong(name, text))
    }
}

impl std::fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisConfig")
            .field("addresses", &self.addresses)
            .field("db", &self.db)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
