//! Tests on an object that holds the alphabet.

use bucket::testing::FailingBucket;
use cache::{
    CacheConfig, RemoteCache,
    testing::{Manner, Server},
};
use service::Metrics;

use crate::config::Limits;

use super::*;

fn reads() -> ReadMetrics {
    ReadMetrics::new(&Metrics::new())
}

fn page_cache() -> PageCache {
    PageCache::new(1 << 20, reads().cache)
}

async fn alphabet() -> (Fetcher, Bucket, ListedObject) {
    let bucket = Bucket::in_memory();
    let bytes = Bytes::from_static(b"abcdefghijklmnopqrstuvwxyz");
    bucket.put("block/file", bytes).await.unwrap();
    let object = ListedObject::new("block/file", None, 0, 26);
    let fetcher = Fetcher::new(
        bucket.clone(),
        Arc::new(page_cache()),
        Caches::default(),
        0,
        reads(),
    );
    (fetcher, bucket, object)
}

fn wanted<'a>(object: &'a ListedObject, ranges: &'a [Range<u64>], gap: u64) -> Wanted<'a> {
    Wanted {
        object,
        ranges,
        gap,
        kind: DataKind::Chunks,
        budget: None,
    }
}

#[tokio::test]
async fn ranges_come_back_in_their_order_whatever_is_joined() {
    let (fetcher, _, key) = alphabet().await;
    let ranges = [0..3, 2..4, 6..6, 8..9, 20..26];
    for gap in [0, 4, 100] {
        let found = fetcher.fetch(wanted(&key, &ranges, gap)).await.unwrap();
        assert_eq!(found, ["abc", "cd", "", "i", "uvwxyz"]);
    }
    assert!(
        fetcher
            .fetch(wanted(&key, &[], 0))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_in_memory_is_not_fetched_again() {
    let (fetcher, bucket, key) = alphabet().await;
    let pages = page_cache();
    let first = [4..6, 9..12];
    fetcher
        .fetch_through(&pages, wanted(&key, &first, 0))
        .await
        .unwrap();
    let more = [0..2, 4..6, 9..12, 12..13];
    let found = fetcher
        .fetch_through(&pages, wanted(&key, &more, 0))
        .await
        .unwrap();
    assert_eq!(found, ["ab", "ef", "jkl", "m"]);
    bucket.delete("block/file").await.unwrap();
    let found = fetcher
        .fetch_through(&pages, wanted(&key, &more, 0))
        .await
        .unwrap();
    assert_eq!(found, ["ab", "ef", "jkl", "m"]);
    // A part of a page is another page.
    let part = std::slice::from_ref(&(9..11));
    let error = fetcher
        .fetch_through(&pages, wanted(&key, part, 0))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("block/file"), "{error}");
}

#[tokio::test]
async fn bytes_between_ranges_count_against_the_budget() {
    let (fetcher, _, key) = alphabet().await;
    let limited = |downloaded_bytes| {
        RequestBudget::of_test(Limits {
            downloaded_bytes,
            ..Limits::default()
        })
    };
    for (limit, gap, fits) in [(5, 3, true), (4, 3, false), (4, 0, true), (1, 0, false)] {
        let budget = limited(limit);
        let ranges = [0..1, 4..5];
        let wanted = Wanted {
            budget: Some(&budget),
            ..wanted(&key, &ranges, gap)
        };
        assert_eq!(fetcher.fetch(wanted).await.is_ok(), fits, "{limit} {gap}");
    }
}

#[tokio::test]
async fn a_range_that_no_block_has_is_not_fetched() {
    let (fetcher, _, key) = alphabet().await;
    let range = std::slice::from_ref(&(0..MAX_RANGE + 1));
    let error = fetcher.fetch(wanted(&key, range, 0)).await.unwrap_err();
    assert!(
        matches!(
            error,
            BlockError::TooLarge {
                limit: MAX_RANGE,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_small_object_is_fetched_once_and_whole() {
    let bucket = Bucket::in_memory();
    let bytes = Bytes::from_static(b"abcdefghijklmnopqrstuvwxyz");
    bucket.put("block/file", bytes).await.unwrap();
    let fetcher = Fetcher::new(
        bucket.clone(),
        Arc::new(page_cache()),
        Caches::default(),
        26,
        reads(),
    );
    let key = ListedObject::new("block/file", None, 0, 26);
    let ranges = [2..4, 20..26];
    let found = fetcher.fetch(wanted(&key, &ranges, 0)).await.unwrap();
    assert_eq!(found, ["cd", "uvwxyz"]);
    bucket.delete("block/file").await.unwrap();
    let other = [0..1, 5..5, 25..26];
    let found = fetcher.fetch(wanted(&key, &other, 9)).await.unwrap();
    assert_eq!(found, ["a", "", "z"]);
}

#[tokio::test]
async fn a_small_object_that_is_shorter_than_listed_is_an_error_and_not_kept() {
    let bucket = Bucket::in_memory();
    bucket.put("block/file", "abc".into()).await.unwrap();
    let fetcher = Fetcher::new(
        bucket,
        Arc::new(page_cache()),
        Caches::default(),
        26,
        reads(),
    );
    let key = ListedObject::new("block/file", None, 0, 26);
    for _ in 0..2 {
        let range = std::slice::from_ref(&(0..2));
        let error = fetcher.fetch(wanted(&key, range, 0)).await.unwrap_err();
        assert!(
            matches!(
                error,
                BlockError::Cut {
                    expected: 26,
                    found: 3,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn runs_that_were_fetched_together_are_kept_together() {
    let (fetcher, bucket, key) = alphabet().await;
    let ranges = [0..1, 3..5, 20..22];
    let asked = || wanted(&key, &ranges, 4);
    let first = fetcher.fetch_kept(asked()).await.unwrap();
    assert_eq!(first, ["a", "de", "uv"]);
    bucket.delete("block/file").await.unwrap();
    assert_eq!(fetcher.fetch_kept(asked()).await.unwrap(), first);
}

#[tokio::test]
async fn who_wants_what_is_being_fetched_waits_for_it() {
    let memory = Bucket::in_memory();
    let bytes = Bytes::from_static(b"abcdefghijklmnopqrstuvwxyz");
    memory.put("block/file", bytes).await.unwrap();
    let key = ListedObject::new("block/file", None, 0, 26);
    for small in [0, 26] {
        let failing = FailingBucket::new(&memory);
        let held = failing.hold_reads("block/file");
        let pages = Arc::new(page_cache());
        let fetcher = Fetcher::new(
            failing.bucket(),
            Arc::clone(&pages),
            Caches::default(),
            small,
            reads(),
        );
        let (some, others) = ([0..2, 4..6], [4..6, 9..10]);
        let fetch = async |ranges| fetcher.fetch_through(&pages, wanted(&key, ranges, 0)).await;
        let release = async {
            held.begun(if small == 0 { 3 } else { 1 }).await;
            held.release(100);
        };
        let (first, second, ()) = futures::join!(fetch(&some), fetch(&others), release);
        assert_eq!(first.unwrap(), ["ab", "ef"]);
        assert_eq!(second.unwrap(), ["ef", "j"]);
        let mut read = failing.ranges_read("block/file");
        read.sort_by_key(|range| range.start);
        match small {
            0 => assert_eq!(read, [0..2, 4..6, 9..10]),
            _ => assert_eq!(read, vec![0..26]),
        }
    }
}

#[tokio::test]
async fn who_waits_for_a_fetch_that_is_given_up_fetches_itself() {
    let memory = Bucket::in_memory();
    memory.put("block/file", "abcdef".into()).await.unwrap();
    let key = ListedObject::new("block/file", None, 0, 6);
    let failing = FailingBucket::new(&memory);
    let held = failing.hold_reads("block/file");
    let pages = Arc::new(page_cache());
    let fetcher = Fetcher::new(
        failing.bucket(),
        Arc::clone(&pages),
        Caches::default(),
        0,
        reads(),
    );
    let range = std::slice::from_ref(&(2..4));
    let mut first = Box::pin(fetcher.fetch_through(&pages, wanted(&key, range, 0)));
    let second = fetcher.fetch_through(&pages, wanted(&key, range, 0));
    assert!(futures::poll!(&mut first).is_pending());
    let give_up = async {
        tokio::task::yield_now().await;
        drop(first);
        held.begun(2).await;
        held.release(2);
    };
    let (found, ()) = futures::join!(second, give_up);
    assert_eq!(found.unwrap(), ["cd"]);
}

#[tokio::test]
async fn what_is_forgotten_of_an_object_is_all_that_was_kept_of_it() {
    let (fetcher, bucket, key) = alphabet().await;
    let ranges = [0..1, 20..22];
    fetcher.fetch_kept(wanted(&key, &ranges, 0)).await.unwrap();
    bucket
        .put("block/file", "ABCDEFGHIJKLMNOPQRSTUVWXYZ".into())
        .await
        .unwrap();
    fetcher.forget(&key);
    let found = fetcher.fetch_kept(wanted(&key, &ranges, 0)).await.unwrap();
    assert_eq!(found, ["A", "UV"]);
}

#[tokio::test]
async fn what_is_in_a_piece_is_kept_as_if_it_had_been_fetched() {
    let (fetcher, bucket, key) = alphabet().await;
    let piece = Piece {
        start: 2,
        bytes: Bytes::from_static(b"cdefg"),
    };
    let ranges = [3..4, 5..6, 20..22];
    fetcher.keep(wanted(&key, &ranges, 2), &piece);
    bucket
        .put("block/file", "-------------------------".into())
        .await
        .unwrap();
    let found = fetcher.fetch_kept(wanted(&key, &ranges, 2)).await.unwrap();
    assert_eq!(found, ["d", "f", "--"]);
}

#[tokio::test]
async fn bytes_on_suspicion_are_bounded_over_all() {
    let (fetcher, ..) = alphabet().await;
    let room = fetcher.eager(20 << 20).unwrap();
    assert!(fetcher.eager(13 << 20).is_none() && fetcher.clone().eager(12 << 20).is_some());
    drop(room);
    assert!(fetcher.eager(32 << 20).is_some() && fetcher.eager(33 << 20).is_none());
}

/// A fetcher of its own on a bucket, and on the cache of a server.
fn sharing(bucket: Bucket, server: &Server) -> Fetcher {
    let yaml = format!(
        "type: MEMCACHED\nconfig: {{ addresses: [{:?}] }}",
        server.address
    );
    let config = CacheConfig::caching_bucket(&yaml).unwrap();
    let cache = RemoteCache::open(&config, "test", &Metrics::new()).unwrap();
    let caches = Caches::new(None, cache);
    Fetcher::new(bucket, Arc::new(page_cache()), caches, 0, reads())
}

#[tokio::test]
async fn what_one_gateway_has_fetched_another_one_finds_in_a_shared_cache() {
    let (_, memory, key) = alphabet().await;
    let server = Server::start(Manner::Good).await;
    let failing = FailingBucket::new(&memory);
    let first = sharing(failing.bucket(), &server);
    tokio::task::yield_now().await;
    let found = first.fetch(wanted(&key, &[0..3, 20..22], 0)).await.unwrap();
    assert_eq!(found, ["abc", "uv"]);
    server.keeps(2).await;
    let second = sharing(failing.bucket(), &server);
    tokio::task::yield_now().await;
    let ranges = [0..3, 4..5, 20..22];
    let found = second.fetch(wanted(&key, &ranges, 0)).await.unwrap();
    assert_eq!(found, ["abc", "e", "uv"]);
    let mut read = failing.ranges_read("block/file");
    read.sort_by_key(|range| range.start);
    assert_eq!(read, [0..3, 4..5, 20..22]);
    // Nothing of an index is kept there.
    let of_index = Wanted {
        kind: DataKind::Postings,
        ..wanted(&key, &ranges, 0)
    };
    second.fetch(of_index).await.unwrap();
    assert_eq!(failing.ranges_read("block/file").len(), 6);
}

#[tokio::test]
async fn what_a_shared_cache_has_of_a_damaged_object_is_replaced() {
    let (_, memory, key) = alphabet().await;
    let server = Server::start(Manner::Good).await;
    let fetcher = sharing(memory.clone(), &server);
    tokio::task::yield_now().await;
    // As if a bit had been flipped on the way.
    memory
        .put("block/file", "Xbcdefghijklmnopqrstuvwxyz".into())
        .await
        .unwrap();
    let range = std::slice::from_ref(&(0..3));
    let fetch = async || fetcher.fetch(wanted(&key, range, 0)).await.unwrap();
    assert_eq!(fetch().await, ["Xbc"]);
    server.keeps(1).await;
    memory
        .put("block/file", "abcdefghijklmnopqrstuvwxyz".into())
        .await
        .unwrap();
    assert_eq!(fetch().await, ["Xbc"]);
    fetcher.forget(&key);
    assert_eq!(fetch().await, ["abc"]);
    server.keeps(2).await;
    let other = sharing(memory, &server);
    tokio::task::yield_now().await;
    assert_eq!(other.fetch(wanted(&key, range, 0)).await.unwrap(), ["abc"]);
}
