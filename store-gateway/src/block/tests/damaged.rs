//! Damaged blocks give errors that name the object and the place.

use std::sync::Arc;

use bytes::Bytes;
use model::TimeRange;

use super::fixture::{FLOATS, Fixture, ask, query};
use crate::{
    block::{BlockError, BlockReader},
    catalog::CatalogBlock,
    testing::sized,
};

/// Changes an object; the listing that the block was made from has not seen it unless it is told.
async fn change(fixture: &Fixture, key: &str, change: impl FnOnce(&mut Vec<u8>)) -> u64 {
    let mut bytes = fixture.bucket.get(key).await.unwrap().to_vec();
    change(&mut bytes);
    let size = bytes.len() as u64;
    fixture.bucket.put(key, Bytes::from(bytes)).await.unwrap();
    size
}

async fn read_all(reader: &BlockReader) -> Result<usize, BlockError> {
    Ok(ask(reader, query(&[], TimeRange::ALL)).await?.len())
}

/// The error of opening the block, or of reading it all.
async fn failure(fixture: &Fixture, block: CatalogBlock) -> String {
    let error = match fixture.open(block).await {
        Err(error) => error,
        Ok(reader) => read_all(&reader).await.unwrap_err(),
    };
    error.to_string()
}

#[tokio::test]
async fn a_truncated_index_is_named() {
    let fixture = Fixture::new();
    let mut block = fixture.tsdb(FLOATS[0]).await;
    let key = block.key("index");
    let size = change(&fixture, &key, |bytes| bytes.truncate(20_000)).await;
    block.files_mut().insert("index", sized(size));
    let text = failure(&fixture, block).await;
    assert!(text.starts_with(&format!("{key} at byte 199")), "{text}");
    assert!(text.contains("checksum"), "{text}");
}

#[tokio::test]
async fn an_index_shorter_than_listed_is_named() {
    let fixture = Fixture::new();
    let mut block = fixture.tsdb(FLOATS[0]).await;
    let key = block.key("index");
    block.files_mut().insert("index", sized(23_100));
    let text = failure(&fixture, block).await;
    assert_eq!(
        text,
        format!("{key} at byte 0: expected 23100 bytes, found 23096")
    );
}

#[tokio::test]
async fn a_flipped_bit_in_any_part_of_an_index_is_found() {
    for at in [2, 30, 5000, 12_000, 22_000, 23_060] {
        let fixture = Fixture::new();
        let block = fixture.tsdb(FLOATS[0]).await;
        let key = block.key("index");
        change(&fixture, &key, |bytes| bytes[at] ^= 1).await;
        let text = failure(&fixture, block).await;
        assert!(text.starts_with(&key), "{at}: {text}");
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_chunk_is_found_and_other_chunks_are_read() {
    let fixture = Fixture::new();
    let block = fixture.tsdb(FLOATS[0]).await;
    let key = block.key("chunks/000001");
    change(&fixture, &key, |bytes| bytes[100] ^= 1).await;
    let reader = fixture.open(block).await.unwrap();
    let text = read_all(&reader).await.unwrap_err().to_string();
    assert!(text.starts_with(&format!("{key} at byte ")), "{text}");
    assert!(text.contains("checksum"), "{text}");
    let mut answered = 0;
    for name in reader
        .label_values(
            "__name__",
            Arc::new([]),
            TimeRange::ALL,
            super::fixture::free(),
        )
        .await
        .unwrap()
    {
        let name = format!("__name__={}", model::shown(&name));
        answered += usize::from(ask(&reader, query(&[&name], TimeRange::ALL)).await.is_ok());
    }
    assert!(answered > 0);
}

#[tokio::test]
async fn a_truncated_segment_is_named_with_the_place_of_the_chunk() {
    let fixture = Fixture::new();
    let mut block = fixture.tsdb(FLOATS[0]).await;
    let key = block.key("chunks/000001");
    let size = change(&fixture, &key, |bytes| bytes.truncate(30_000)).await;
    block.files_mut().insert("chunks/000001", sized(size));
    let text = failure(&fixture, block).await;
    assert!(text.starts_with(&format!("{key} at byte ")), "{text}");
    assert!(
        text.ends_with("found the end of the data at byte 30000"),
        "{text}"
    );
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let fixture = Fixture::new();
    let mut block = fixture.tsdb(FLOATS[0]).await;
    block.files_mut().remove("chunks/000001");
    let expected = format!(
        "{}: expected an object, found none",
        block.key("chunks/000001")
    );
    assert_eq!(failure(&fixture, block).await, expected);

    let mut block = fixture.parquet("floats").await;
    block.files_mut().remove("0.labels.parquet");
    let expected = format!(
        "{}: expected an object, found none",
        block.key("0.labels.parquet")
    );
    assert_eq!(failure(&fixture, block).await, expected);
}

#[tokio::test]
async fn a_flipped_bit_in_a_parquet_file_is_found() {
    for (file, at) in [
        ("0.chunks.parquet", 100_000),
        ("0.chunks.parquet", 234_350),
        ("0.labels.parquet", 100),
        ("0.labels.parquet", 6169),
    ] {
        let fixture = Fixture::new();
        let block = fixture.parquet("floats").await;
        let key = block.key(file);
        change(&fixture, &key, |bytes| bytes[at] ^= 1).await;
        let text = failure(&fixture, block).await;
        assert!(text.starts_with(&format!("{key} at byte ")), "{at}: {text}");
    }
}

#[tokio::test]
async fn a_truncated_parquet_file_is_named() {
    let fixture = Fixture::new();
    let mut block = fixture.parquet("floats").await;
    let key = block.key("0.chunks.parquet");
    let size = change(&fixture, &key, |bytes| bytes.truncate(200_000)).await;
    block.files_mut().insert("0.chunks.parquet", sized(size));
    let text = failure(&fixture, block).await;
    assert!(text.starts_with(&format!("{key} at byte 199996")), "{text}");
}
