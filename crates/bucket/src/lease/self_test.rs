//! Tests whether the store does what leases need: some accept a conditional put and ignore its condition.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, future::BoxFuture, stream};

use super::{
    Leases,
    record::{self, ROOT},
};
use crate::{Bucket, BucketError};

/// Concurrent attempts to create one object.
const RACERS: usize = 8;
/// Attempts to create an object that does not exist.
const TRIES: usize = 5;
/// The folder of the tests' objects.
const FOLDER: &str = "self-test";
/// Objects of this age belong to a test that was killed.
const LEFT: Duration = Duration::from_hours(1);

impl Leases {
    /// Tests that the bucket creates an object only once, for attempts one after the other and for concurrent ones.
    ///
    /// # Errors
    /// [`BucketError::NotExclusive`] if it does not: then a lease excludes nobody. Or the store's error, such as for
    /// an unknown conditional put.
    pub fn self_test(&self) -> BoxFuture<'_, Result<(), BucketError>> {
        Box::pin(async move {
            let bucket = &self.0.bucket;
            let folder = format!("{ROOT}/{FOLDER}/{}", record::token(FOLDER)?);
            let (one, many) = (format!("{folder}/one"), format!("{folder}/many"));
            let tested = async {
                created_twice(bucket, &one).await?;
                created_at_once(bucket, &many).await
            };
            let tested = tested.await;
            if let Err(error) = remove_left(bucket, &one).await {
                tracing::warn!(%error, "objects of self-tests that were killed stay in the bucket");
            }
            for key in [one, many] {
                if let Err(error) = bucket.delete(&key).await {
                    tracing::warn!(%error, "an object of the self-test stays in the bucket");
                }
            }
            tested
        })
    }
}

/// Removes the objects of killed tests, which are much older than `own` by the clock of the store.
async fn remove_left(bucket: &Bucket, own: &str) -> Result<(), BucketError> {
    let objects = bucket.list(&format!("{ROOT}/{FOLDER}"), None).await?;
    let own = objects.iter().find(|object| object.key == own);
    let Some(now) = own.map(|own| own.last_modified) else {
        return Ok(());
    };
    for object in &objects {
        if record::after(object.last_modified, LEFT) < now {
            bucket.delete(&object.key).await?;
        }
    }
    Ok(())
}

async fn created_twice(bucket: &Bucket, key: &str) -> Result<(), BucketError> {
    let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
    for _ in 0..TRIES {
        // A refusal may result from a lost answer, or from a conflicting operation (status 409).
        let created = bucket.put_if_absent(key, first.clone()).await?;
        let again = bucket.put_if_absent(key, second.clone()).await?;
        let found = bucket.get(key).await?;
        if !again && found == first {
            return Ok(());
        }
        if created {
            return Err(not_exclusive(
                bucket,
                "it ignores the condition of conditional puts (If-None-Match)",
            ));
        }
        // The object did not exist at the second put, so nothing is known.
        bucket.delete(key).await?;
    }
    Err(not_exclusive(
        bucket,
        "it refuses conditional puts (If-None-Match) of objects that do not exist",
    ))
}

async fn created_at_once(bucket: &Bucket, key: &str) -> Result<(), BucketError> {
    let racer = |n: usize| bucket.put_if_absent(key, n.to_string().into());
    let answers: Vec<_> = stream::iter(0..RACERS)
        .map(racer)
        .buffer_unordered(RACERS)
        .collect()
        .await;
    let mut winners = 0;
    for answer in answers {
        winners += usize::from(answer?);
    }
    if winners > 1 {
        return Err(not_exclusive(
            bucket,
            "it accepts several conditional puts (If-None-Match) of one object",
        ));
    }
    Ok(())
}

fn not_exclusive(bucket: &Bucket, found: &'static str) -> BucketError {
    BucketError::NotExclusive {
        bucket: bucket.name().to_owned(),
        found,
    }
}
