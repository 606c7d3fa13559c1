//! The conformance suite of buckets on all stores.

use std::{error::Error, path::Path};

use bytes::Bytes;
use futures::future::join_all;

use crate::{Bucket, BucketError, Uploaded};

/// Keys in the order of a listing, some of which need care in URLs and file names.
const KEYS: [&str; 7] = [
    "a/1",
    "a/2/deep/er",
    "a/with space+plus=and&ü",
    "ab/1",
    "b%20c/100%",
    "parquet/x",
    "z",
];

/// Tries all operations on an empty `bucket`, and leaves it empty. `scratch` is a folder for files.
///
/// # Errors
/// When an operation fails that must not.
///
/// # Panics
/// When an operation does not do what it must.
pub async fn conformance(
    bucket: &Bucket,
    scratch: &Path,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    missing_objects_are_not_found(bucket, scratch).await?;
    what_is_written_is_read(bucket).await?;
    an_object_is_created_once(bucket).await?;
    ranges_are_read(bucket).await?;
    listings_are_recursive_and_sorted(bucket).await?;
    files_go_there_and_back(bucket, scratch).await?;
    assert_eq!(bucket.list("", None).await?, []);
    Ok(())
}

async fn missing_objects_are_not_found(bucket: &Bucket, scratch: &Path) -> Result<(), BucketError> {
    let not_found = |error: Option<BucketError>| {
        let found = matches!(&error, Some(BucketError::NotFound { key, .. }) if key == "none/a");
        assert!(found, "expected not found of none/a, found {error:?}");
    };
    not_found(bucket.get("none/a").await.err());
    not_found(bucket.get_range("none/a", 0..1).await.err());
    not_found(bucket.head("none/a").await.err());
    let to = scratch.join("none");
    not_found(bucket.download("none/a", &to).await.err());
    not_found(bucket.download_linked("none/a", &to).await.err());
    not_found(bucket.hash("none/a", 1).await.err());
    assert!(!bucket.exists("none/a").await?);
    assert_eq!(bucket.list("none", None).await?, []);
    bucket.delete("none/a").await
}

async fn what_is_written_is_read(bucket: &Bucket) -> Result<(), BucketError> {
    for content in ["first", "", "another"] {
        bucket.put("o/object", content.into()).await?;
        assert_eq!(bucket.get("o/object").await?, content);
        assert!(bucket.exists("o/object").await?);
        let head = bucket.head("o/object").await?;
        assert_eq!(
            (head.key.as_str(), head.size),
            ("o/object", content.len() as u64)
        );
        let listed = bucket.list("o", None).await?;
        let listed: Vec<_> = listed.iter().map(|o| (o.key.as_str(), o.size)).collect();
        assert_eq!(listed, [("o/object", content.len() as u64)]);
    }
    let before = bucket.head("o/object").await?;
    bucket.put("o/object", "changed".into()).await?;
    let after = bucket.head("o/object").await?;
    assert_ne!(before, after, "a change of the same size must show");
    bucket.delete("o/object").await?;
    assert!(!bucket.exists("o/object").await?);
    bucket.delete("o/object").await
}

async fn an_object_is_created_once(bucket: &Bucket) -> Result<(), BucketError> {
    assert!(bucket.put_if_absent("c/d/once", "first".into()).await?);
    assert!(!bucket.put_if_absent("c/d/once", "second".into()).await?);
    assert_eq!(bucket.get("c/d/once").await?, "first");
    bucket.delete("c/d/once").await?;
    assert!(bucket.put_if_absent("c/d/once", "third".into()).await?);
    for round in 0..8 {
        let key = format!("c/race-{round}");
        let texts: Vec<String> = (0..16).map(|n| format!("racer {n}")).collect();
        let racers = texts
            .iter()
            .map(|text| bucket.put_if_absent(&key, text.clone().into()));
        let won: Vec<bool> = join_all(racers)
            .await
            .into_iter()
            .collect::<Result<_, _>>()?;
        let winners = texts.iter().zip(won).filter(|(_, won)| *won);
        let winners: Vec<&str> = winners.map(|(text, _)| text.as_str()).collect();
        assert_eq!(winners, [bucket.get(&key).await?], "of those who won");
        bucket.delete(&key).await?;
    }
    bucket.delete("c/d/once").await
}

async fn ranges_are_read(bucket: &Bucket) -> Result<(), BucketError> {
    let content: Bytes = (0..=255).collect::<Vec<u8>>().into();
    bucket.put("r", content.clone()).await?;
    let ranges = [0..256, 0..1, 255..256, 100..100, 7..99, 3..5];
    let read = bucket.get_ranges("r", None, &ranges).await?;
    let expected = [
        content.slice(..),
        content.slice(0..1),
        content.slice(255..),
        Bytes::new(),
        content.slice(7..99),
        content.slice(3..5),
    ];
    assert_eq!(read, expected);
    assert_eq!(bucket.get_range("r", 250..300).await?, content.slice(250..));
    assert!(bucket.get_range("r", 300..301).await.is_err());
    bucket.delete("r").await
}

async fn listings_are_recursive_and_sorted(bucket: &Bucket) -> Result<(), BucketError> {
    for key in KEYS.iter().rev() {
        bucket.put(key, (*key).into()).await?;
    }
    let keys = async |prefix: &str, after: Option<&str>| {
        let objects = bucket.list(prefix, after).await?;
        Ok::<_, BucketError>(objects.into_iter().map(|o| o.key).collect::<Vec<_>>())
    };
    assert_eq!(keys("", None).await?, KEYS);
    let of_a: Vec<&str> = KEYS
        .into_iter()
        .filter(|key| key.starts_with("a/"))
        .collect();
    assert_eq!(keys("a", None).await?, of_a);
    assert_eq!(keys("a/", None).await?, of_a);
    assert_eq!(keys("a/2", None).await?, ["a/2/deep/er"]);
    let after: Vec<&str> = KEYS.into_iter().filter(|key| *key > "ab/1").collect();
    assert_eq!(keys("", Some("ab/1")).await?, after);
    assert_eq!(
        keys("a", Some("a/1")).await?,
        of_a.get(1..).unwrap_or_default()
    );
    for key in KEYS {
        assert_eq!(bucket.get(key).await?, key);
        bucket.delete(key).await?;
    }
    Ok(())
}

async fn files_go_there_and_back(
    bucket: &Bucket,
    scratch: &Path,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (from, to) = (scratch.join("from"), scratch.join("to"));
    // Empty, small, one part and a bit, several parts.
    for size in [0_usize, 10, (8 << 20) + 1, 20 << 20] {
        let content: Vec<u8> = (0..size)
            .map(|n| u8::try_from(n % 251).unwrap_or(0))
            .collect();
        tokio::fs::write(&from, &content).await?;
        bucket.upload("f/file", &from).await?;
        assert_eq!(bucket.head("f/file").await?.size, size as u64);
        assert!(!bucket.is_file("f/file", &from).await?);
        bucket.download("f/file", &to).await?;
        assert!(tokio::fs::read(&to).await? == content, "{size} differ");
        // Twice, over an object that the file may be.
        for _ in 0..2 {
            let uploaded = bucket.upload_linked("f/linked", &from).await?;
            let hash = bucket.hash("f/linked", size as u64).await?;
            match uploaded {
                Uploaded::Linked => assert!(bucket.is_file("f/linked", &from).await?),
                Uploaded::Copied { hash: sent } => assert_eq!(sent, hash),
            }
            assert_eq!(bucket.hash("f/file", size as u64).await?, hash);
            bucket.download_linked("f/linked", &to).await?;
            assert!(tokio::fs::read(&to).await? == content, "{size} differ");
        }
        // A file that may be the object is not written to.
        bucket.put("f/other", "other".into()).await?;
        bucket.download("f/other", &to).await?;
        bucket.download_linked("f/other", &to).await?;
        assert_eq!(tokio::fs::read(&to).await?, b"other");
        assert_eq!(bucket.get("f/linked").await?, content);
        bucket.delete("f/other").await?;
    }
    bucket.delete("f/linked").await?;
    assert_eq!(tokio::fs::metadata(&from).await?.len(), 20 << 20);
    let missing = scratch.join("missing");
    let error = bucket.upload("f/other", &missing).await.err();
    assert!(
        matches!(&error, Some(BucketError::File { .. })),
        "{error:?}"
    );
    assert!(!bucket.exists("f/other").await?);
    bucket.delete("f/file").await?;
    Ok(())
}
