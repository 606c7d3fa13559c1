//! Both clients against servers of the tests on the loopback.

use std::time::Duration;

use bytes::Bytes;
use service::{Exposition, Metrics};
use tokio::net::TcpListener;

use crate::{
    CacheConfig, Lookup, RemoteCache,
    testing::{Manner, Server},
};

fn cache_of(addresses: &[&str]) -> (RemoteCache, Metrics) {
    let yaml = format!(
        "type: MEMCACHED\nconfig: {{ addresses: {addresses:?}, max_get_multi_batch_size: 2 }}"
    );
    let (config, metrics) = (CacheConfig::index_cache(&yaml).unwrap(), Metrics::new());
    let cache = RemoteCache::open(&config, "test", &metrics)
        .unwrap()
        .unwrap();
    (cache, metrics)
}

fn lookups(count: u64) -> Vec<Lookup> {
    let lookups = (0..count).map(|i| Lookup::new("object", &(i * 10..i * 10 + 4)));
    lookups.collect::<Option<_>>().unwrap()
}

fn values(count: u8) -> Vec<Bytes> {
    (0..count).map(|i| Bytes::from(vec![i; 4])).collect()
}

/// What the cache gives, once its servers have been found.
async fn get(cache: &RemoteCache, wanted: &[Lookup]) -> Vec<Option<Bytes>> {
    tokio::task::yield_now().await;
    cache.get(wanted).await
}

/// The value of a metric.
fn metric(metrics: &Metrics, name: &str) -> u64 {
    let text = metrics.encode(Exposition::Prometheus);
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit_once(' '));
    value.map_or(0, |(_, value)| value.parse().unwrap())
}

#[tokio::test]
async fn what_one_process_keeps_another_one_finds() {
    let servers = [
        Server::start(Manner::Good).await,
        Server::start(Manner::Good).await,
    ];
    let addresses = [&*servers[0].address, &*servers[1].address];
    let (first, _) = cache_of(&addresses);
    let wanted = lookups(20);
    assert_eq!(get(&first, &wanted).await, vec![None; 20]);
    for (lookup, bytes) in wanted.iter().zip(values(20)).step_by(2) {
        first.set(lookup, &bytes);
    }
    let kept = || async {
        let both = servers.iter().map(|server| server.kept());
        both.sum::<usize>()
    };
    while kept().await < 10 {
        tokio::task::yield_now().await;
    }
    let (second, metrics) = cache_of(&addresses);
    let expected = values(20).into_iter().enumerate();
    let expected: Vec<_> = expected
        .map(|(i, bytes)| (i % 2 == 0).then_some(bytes))
        .collect();
    assert_eq!(get(&second, &wanted).await, expected);
    // Keys are spread over the servers.
    assert!(servers.iter().all(|server| !server.values().is_empty()));
    let name = "thanos_memcached_operations_total{name=\"test\",operation=\"getmulti\"}";
    assert!(metric(&metrics, name) >= 10);
}

#[tokio::test]
async fn a_value_that_is_not_the_one_that_was_kept_is_not_given() {
    let server = Server::start(Manner::Good).await;
    let (cache, _) = cache_of(&[&server.address]);
    let wanted = lookups(2);
    for (lookup, bytes) in wanted.iter().zip(values(2)) {
        get(&cache, &[]).await;
        cache.set(lookup, &bytes);
    }
    server.keeps(2).await;
    {
        let mut values = server.values();
        let value = values.values_mut().next().unwrap();
        *value.last_mut().unwrap() ^= 1;
    }
    let found = get(&cache, &wanted).await;
    assert_eq!(found.iter().flatten().count(), 1);
    // Under the key of another range.
    {
        let mut values = server.values();
        let all: Vec<_> = values.values().cloned().collect();
        for value in values.values_mut() {
            *value = all.iter().find(|one| *one != value).unwrap().clone();
        }
    }
    assert_eq!(get(&cache, &wanted).await, [None, None]);
}

#[tokio::test]
async fn a_server_that_was_started_again_is_asked_again() {
    let server = Server::start(Manner::Good).await;
    let (cache, metrics) = cache_of(&[&server.address]);
    let wanted = lookups(1);
    get(&cache, &wanted).await;
    let address = server.address.clone();
    drop(server);
    let server = loop {
        // The connections of the one before end when its tasks are dropped.
        tokio::task::yield_now().await;
        if TcpListener::bind(&address).await.is_ok() {
            break Server::start_at(&address, Manner::Good).await;
        }
    };
    cache.set(&wanted[0], b"abcd");
    server.keeps(1).await;
    assert_eq!(
        get(&cache, &wanted).await,
        [Some(Bytes::from_static(b"abcd"))]
    );
    assert_eq!(
        metric(&metrics, "thanos_memcached_operation_failures_total"),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_costs_its_timeout_a_few_times_and_then_nothing() {
    let server = Server::start(Manner::Silent).await;
    let (cache, metrics) = cache_of(&[&server.address]);
    for _ in 0..20 {
        assert_eq!(get(&cache, &lookups(1)).await, [None]);
    }
    assert!(
        (1..=5).contains(&server.connections()),
        "{}",
        server.connections()
    );
    let failures = "thanos_memcached_operation_failures_total{name=\"test\",operation=\"getmulti\",reason=\"timeout\"}";
    assert_eq!(metric(&metrics, failures), 5);
    let skipped = "thanos_memcached_operation_skipped_total{name=\"test\",operation=\"getmulti\",reason=\"circuit-breaker-open\"}";
    assert!(metric(&metrics, skipped) >= 14);
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_no_harm() {
    let server = Server::start(Manner::Garbled).await;
    let (cache, metrics) = cache_of(&[&server.address]);
    for _ in 0..20 {
        assert_eq!(get(&cache, &lookups(1)).await, [None]);
    }
    let failures = "thanos_memcached_operation_failures_total{name=\"test\",operation=\"getmulti\",reason=\"malformed-response\"}";
    assert!(metric(&metrics, failures) > 0);
}

#[tokio::test]
async fn what_is_too_large_is_neither_kept_nor_asked_for() {
    let server = Server::start(Manner::Good).await;
    let (cache, metrics) = cache_of(&[&server.address]);
    let large = Lookup::new("object", &(0..1 << 20)).unwrap();
    cache.set(&large, &vec![0; 1 << 20]);
    assert_eq!(get(&cache, &[large]).await, [None]);
    assert_eq!(server.connections(), 0);
    let skipped = "thanos_memcached_operation_skipped_total{name=\"test\",operation=\"set\",reason=\"max-item-size\"}";
    assert_eq!(metric(&metrics, skipped), 1);
}

#[tokio::test]
async fn a_redis_that_is_gone_costs_nothing_but_its_hits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let yaml = format!("type: REDIS\nconfig: {{ addr: '{address}' }}");
    let (config, metrics) = (CacheConfig::caching_bucket(&yaml).unwrap(), Metrics::new());
    let cache = RemoteCache::open(&config, "test", &metrics)
        .unwrap()
        .unwrap();
    for _ in 0..20 {
        assert_eq!(cache.get(&lookups(3)).await, vec![None; 3]);
    }
    let failures = "thanos_redis_operation_failures_total{name=\"test\",operation=\"getmulti\",reason=\"server-error\"}";
    assert_eq!(metric(&metrics, failures), 5);
}

#[tokio::test(start_paused = true)]
async fn a_redis_that_says_nothing_is_connected_to_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let yaml = format!(
        "type: REDIS\nconfig: {{ addr: '{}' }}",
        listener.local_addr().unwrap()
    );
    let config = CacheConfig::caching_bucket(&yaml).unwrap();
    let opened = RemoteCache::open(&config, "test", &Metrics::new()).unwrap();
    let cache = opened.unwrap();
    let (wanted, mut connections) = (lookups(1), Vec::new());
    for _ in 0..2 {
        let accept = tokio::time::timeout(Duration::from_mins(1), listener.accept());
        let (found, accepted) = tokio::join!(cache.get(&wanted), accept);
        assert_eq!(found, [None]);
        // It stays open.
        connections.push(accepted.expect("a new connection").unwrap());
    }
}

#[tokio::test]
async fn a_cache_in_this_process_has_no_server() {
    let config = CacheConfig::index_cache("type: IN-MEMORY").unwrap();
    assert!(
        RemoteCache::open(&config, "test", &Metrics::new())
            .unwrap()
            .is_none()
    );
}
