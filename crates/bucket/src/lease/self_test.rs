//! Whether the store does what leases need: some take a conditional put, and do it whatever is there.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};

use super::{
    Leases,
    record::{self, ROOT},
};
use crate::{Bucket, BucketError};

/// How many try to create one object at once.
const RACERS: usize = 8;
/// How often it is tried to create an object that is not there.
const TRIES: usize = 5;
/// Where the objects of tests are.
const FOLDER: &str = "self-test";
/// The age of objects whose test was killed, and not only slow.
const LEFT: Duration = Duration::from_hours(1);

impl Leases {
    /// Finds out whether the bucket creates an object once only, asked one after the other and asked at once.
    ///
    /// # Errors
    /// [`BucketError::NotExclusive`] if it does not: then a lease keeps nobody off. Or as the store says, which may be
    /// that it knows no conditional put.
    pub async fn self_test(&self) -> Result<(), BucketError> {
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
    }
}

/// Removes what tests left that were killed, long before `own` was written by the clock of the store.
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
        // It may say no where an answer was lost, or where another's operation was in the way (status 409).
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
        // Nothing was there when the second was put, so nothing is known.
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
