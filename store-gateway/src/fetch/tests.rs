//! Ranges of an object that is the alphabet.

use crate::config::Limits;

use super::*;

async fn alphabet() -> (Fetcher, Bucket, ListedObject) {
    let bucket = Bucket::in_memory();
    let bytes = Bytes::from_static(b"abcdefghijklmnopqrstuvwxyz");
    bucket.put("block/file", bytes).await.unwrap();
    let object = ListedObject::new("block/file", None, 0, 26);
    let fetcher = Fetcher::new(bucket.clone(), Arc::new(PageCache::new(1 << 20)), 0);
    (fetcher, bucket, object)
}

fn wanted<'a>(object: &'a ListedObject, ranges: &'a [Range<u64>], gap: u64) -> Wanted<'a> {
    Wanted {
        object,
        ranges,
        gap,
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
    let pages = PageCache::new(1 << 20);
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
        RequestBudget::new(Limits {
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
    let fetcher = Fetcher::new(bucket.clone(), Arc::new(PageCache::new(1 << 20)), 26);
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
    let fetcher = Fetcher::new(bucket, Arc::new(PageCache::new(1 << 20)), 26);
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
