//! Opened blocks are kept, within a bound; so are pages that were decoded.

use std::sync::Arc;

use bytes::Bytes;

use super::fixture::{FLOATS, FLOATS_RANGE, Fixture, ask, query, samples, source_with};
use crate::block::{BlockCache, BlockReader};

#[tokio::test]
async fn a_block_is_opened_once_however_many_ask_for_it() {
    let fixture = Fixture::new();
    let block = Arc::new(fixture.tsdb(FLOATS[0]).await);
    let cache = BlockCache::new(fixture.source.clone(), 1 << 20);
    let opened = futures::try_join!(cache.get(&block), cache.get(&block), cache.get(&block));
    assert!(opened.is_ok());
    cache.get(&block).await.unwrap();
    assert_eq!(fixture.gets(), 1);
}

#[tokio::test]
async fn a_block_that_cannot_be_opened_is_tried_again() {
    let fixture = Fixture::new();
    let block = Arc::new(fixture.tsdb(FLOATS[0]).await);
    let cache = BlockCache::new(fixture.source.clone(), 1 << 20);
    let key = block.key("index");
    let index = fixture.bucket.get(&key).await.unwrap();
    fixture
        .bucket
        .put(&key, Bytes::from_static(b"none"))
        .await
        .unwrap();
    let both = futures::join!(cache.get(&block), cache.get(&block));
    assert!(both.0.is_err() && both.1.is_err());
    fixture.bucket.put(&key, index).await.unwrap();
    assert!(cache.get(&block).await.is_ok());
}

#[tokio::test]
async fn the_blocks_used_again_and_last_stay_when_there_is_no_room_for_three() {
    let fixture = Fixture::new();
    let mut blocks = Vec::new();
    for name in FLOATS {
        blocks.push(Arc::new(fixture.tsdb(name).await));
    }
    let [a, b, c, ..] = &blocks[..] else {
        panic!("three blocks");
    };
    let mut largest = 0;
    for block in [a, b, c] {
        let opened = BlockReader::open(Arc::clone(block), fixture.source.clone());
        largest = opened.await.unwrap().memory_size().max(largest);
    }
    let cache = BlockCache::new(fixture.source.clone(), (largest as u64 + 1024) * 5 / 2);
    let mut opened = Vec::new();
    for block in [a, a, b, c, c, a, b] {
        let before = fixture.gets();
        cache.get(block).await.unwrap();
        opened.push(fixture.gets() - before);
    }
    assert_eq!(opened, [1, 0, 1, 1, 0, 0, 1]);
}

#[tokio::test]
async fn pages_that_are_read_again_are_kept_decoded_beside_their_bytes() {
    let fixture = Fixture::new();
    let block = Arc::new(fixture.parquet("floats").await);
    // Ranges of a file, and a file that is kept whole.
    for small in [0, 1 << 20] {
        let source = source_with(fixture.bucket.clone(), None, small);
        let reader = BlockReader::open(Arc::clone(&block), source.clone()).await;
        let reader = reader.unwrap();
        let read = async || {
            let series = ask(&reader, query(&["__name__=~.+"], FLOATS_RANGE)).await;
            let found = samples(series.unwrap(), FLOATS_RANGE);
            let (pages, decoded, _) = source.pages.kept();
            (found, pages, decoded)
        };
        let first = read().await;
        let second = read().await;
        let third = read().await;
        assert!(!first.0.is_empty() && first.0 == second.0 && second.0 == third.0);
        assert!(first.2 <= second.2 && (1..=second.1).contains(&second.2));
        assert_eq!((second.1, second.2), (third.1, third.2));
        let fetcher = &source.fetcher;
        for object in ["0.labels.parquet", "0.chunks.parquet"] {
            fetcher.forget(&block.object(object));
        }
        assert_eq!(source.pages.kept(), (0, 0, 0));
        assert_eq!(read().await.0, first.0);
    }
}
