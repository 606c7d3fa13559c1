use super::*;

fn error(parsed: Result<CacheConfig, ServiceError>) -> String {
    parsed.unwrap_err().to_string()
}

#[test]
fn a_memcached_of_thanos_s_documentation_has_its_defaults() {
    let yaml = "type: MEMCACHED\nconfig:\n  addresses: [dnssrv+_client._tcp.cache]\n";
    let config = CacheConfig::index_cache(yaml).unwrap();
    assert_eq!(config.ttl, Duration::from_hours(24));
    assert!(config.items.postings && config.items.series && config.notices.is_empty());
    let Backend::Memcached(memcached) = config.backend else {
        panic!("{:?}", config.backend);
    };
    assert_eq!(memcached.timeout, Duration::from_millis(500));
    assert_eq!(memcached.idle_connections, 100);
    assert_eq!(memcached.dns_interval, Duration::from_secs(10));
    let limits = memcached.limits;
    assert_eq!((limits.lookups, limits.lookup_keys), (100, 0));
    assert_eq!((limits.writes, limits.queue), (20, 10_000));
    assert_eq!(limits.max_item, 1 << 20);
    assert_eq!(limits.breaker, BreakerConfig::default());
}

#[test]
fn each_field_of_memcached_is_taken() {
    let yaml = "
type: memcached
config:
  addresses: ['a:1', 'dns+b:2']
  timeout: 1s
  max_idle_connections: 3
  max_async_concurrency: 4
  max_async_buffer_size: 5
  max_get_multi_concurrency: 6
  max_item_size: 2MiB
  max_get_multi_batch_size: 7
  dns_provider_update_interval: 8s
  auto_discovery: false
  set_async_circuit_breaker_config:
    enabled: true
    half_open_max_requests: 9
    open_duration: 10s
    min_requests: 11
    consecutive_failures: 12
    failure_percent: 0.5
  tls_enabled: true
  tls_config: { ca_file: ca, cert_file: cert, key_file: key, server_name: name, insecure_skip_verify: true }
enabled_items: [Series]
ttl: 1h
";
    let config = CacheConfig::index_cache(yaml).unwrap();
    assert_eq!(config.ttl, Duration::from_hours(1));
    assert!(!config.items.postings && config.items.series);
    let tls = GrpcClientTls {
        identity: Some(("cert".into(), "key".into())),
        ca_file: Some("ca".into()),
        server_name: Some("name".to_owned()),
        verification: Verification::Off,
    };
    let expected = MemcachedConfig {
        addresses: vec!["a:1".to_owned(), "dns+b:2".to_owned()],
        timeout: Duration::from_secs(1),
        idle_connections: 3,
        dns_interval: Duration::from_secs(8),
        tls: Some(tls),
        limits: Limits {
            lookups: 6,
            lookup_keys: 7,
            writes: 4,
            queue: 5,
            max_item: 2 << 20,
            breaker: BreakerConfig {
                probes: 9,
                open_for: Duration::from_secs(10),
                min_requests: 11,
                consecutive: 12,
                failure_ratio: 0.5f64.to_bits(),
            },
        },
    };
    assert_eq!(config.backend, Backend::Memcached(expected));
}

#[test]
fn each_field_of_redis_is_taken_and_its_password_is_not_shown() {
    let yaml = "
type: REDIS
config:
  addr: 's1:26379,s2:26379'
  master_name: main
  prefix: p/
  username: user
  password: hidden-password
  db: 2
  dial_timeout: 1s
  read_timeout: 2s
  write_timeout: 4s
  max_get_multi_concurrency: 5
  get_multi_batch_size: 6
  max_set_multi_concurrency: 7
  set_multi_batch_size: 8
  cache_size: 1MB
  max_async_buffer_size: 9
  max_async_concurrency: 10
  tls_enabled: false
chunk_subrange_ttl: 2h
chunk_subrange_size: 16000
";
    let config = CacheConfig::caching_bucket(yaml).unwrap();
    assert_eq!(config.ttl, Duration::from_hours(2));
    assert!(!config.items.postings && !config.items.series);
    assert!(!format!("{config:?}").contains("hidden"));
    let said = config.notices.join("\n");
    for name in [
        "chunk_subrange_size",
        "cache_size",
        "max_set_multi_concurrency",
    ] {
        assert!(said.contains(name), "{said}");
    }
    let Backend::Redis(redis) = config.backend else {
        panic!("{:?}", config.backend);
    };
    assert_eq!(redis.addresses, ["s1:26379", "s2:26379"]);
    assert_eq!(redis.master_name.as_deref(), Some("main"));
    assert_eq!(redis.username.as_deref(), Some("user"));
    assert_eq!(redis.password.as_deref(), Some("hidden-password"));
    assert_eq!(
        (redis.prefix.as_str(), redis.db, redis.write_keys),
        ("p/", 2, 8)
    );
    let times = [redis.dial_timeout, redis.read_timeout, redis.write_timeout];
    assert_eq!(times.map(|time| time.as_secs()), [1, 2, 4]);
    assert_eq!((redis.limits.lookups, redis.limits.lookup_keys), (5, 6));
    assert_eq!((redis.limits.writes, redis.limits.queue), (10, 9));
    assert_eq!((redis.limits.max_item, redis.tls), (0, None));
}

#[test]
fn a_cache_in_memory_has_a_size() {
    let config = CacheConfig::index_cache("type: IN-MEMORY\nconfig: { max_size: 100MB }").unwrap();
    let expected = InMemory {
        max_size: 100 << 20,
    };
    assert_eq!(config.in_memory(), Some(expected));
    let config = CacheConfig::caching_bucket("type: in-memory").unwrap();
    let expected = InMemory {
        max_size: 250 << 20,
    };
    assert_eq!(config.in_memory(), Some(expected));
}

#[test]
fn what_cannot_be_used_is_named_and_no_value_is_shown() {
    let memcached = |fields: &str| format!("type: MEMCACHED\nconfig: {{ {fields} }}");
    let redis = |fields: &str| format!("type: REDIS\nconfig: {{ {fields} }}");
    for (yaml, said) in [
        (
            "type: [".to_owned(),
            "expected YAML with the fields type and config",
        ),
        ("type: GROUPCACHE".to_owned(), "use MEMCACHED or REDIS"),
        (
            "type: hidden".to_owned(),
            "expected IN-MEMORY, MEMCACHED or REDIS",
        ),
        (
            "type: IN-MEMORY\nhidden_: 1".to_owned(),
            "index cache config: hidden_",
        ),
        (
            "type: IN-MEMORY\nenabled_items: [Postings, hidden]".to_owned(),
            "enabled_items[1]",
        ),
        (
            memcached("addresses: []"),
            "index cache config: config.addresses",
        ),
        (memcached("addresses: [hidden]"), "config.addresses[0]"),
        (
            memcached("addresses: ['a:1'], timeout: hidden"),
            "config.timeout",
        ),
        (
            memcached("addresses: ['a:1'], auto_discovery: true"),
            "use dns+",
        ),
        (
            memcached("addresses: ['a:1'], adresses: []"),
            "config.adresses",
        ),
        (
            memcached("addresses: ['a:1'], tls_config: { cert_file: hidden }"),
            "config.tls_config.key_file",
        ),
        (
            memcached("addresses: ['a:1'], set_async_circuit_breaker_config: { enable: true }"),
            "config.set_async_circuit_breaker_config.enable",
        ),
        (redis("addr: hidden"), "config.addr"),
        (redis("addr: 'a:1,b:1'"), "need master_name"),
        (redis("addr: 'a:1', password: [hidden]"), "config.password"),
    ] {
        let error = error(CacheConfig::index_cache(&yaml));
        assert!(error.contains(said), "{error}");
        assert!(!error.replace("hidden_", "").contains("hidden"), "{error}");
    }
}
