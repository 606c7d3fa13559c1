//! Uploads that arrive as something else than was sent.

use bucket::{
    Bucket,
    testing::{FailingBucket, ReadFault},
};

use super::{failures, merged, world};

#[tokio::test]
async fn an_object_that_is_not_what_was_sent_is_named_and_not_committed() -> anyhow::Result<()> {
    let world = world().await?;
    let bucket = Bucket::in_memory();
    for key in world.s3.keys() {
        let bytes = world.s3.object(&key).unwrap_or_default();
        bucket.put(&key, bytes).await?;
    }
    let failing = FailingBucket::new(&bucket);
    for (file, fault, place) in [
        ("0.chunks.parquet", ReadFault::Flipped, "is not the one in "),
        ("0.labels.parquet", ReadFault::Flipped, "is not the one in "),
        ("0.chunks.parquet", ReadFault::Truncated, "bytes, found "),
    ] {
        failing.fail_reads(file, fault);
        world.clock.advance(3_600_000);
        let summary = world.compact_bucket(failing.bucket()).await?;
        let failures = failures(&summary);
        let is_named = |said: &String| said.contains(file) && said.contains(place);
        assert!(
            failures.len() == 1 && is_named(&failures[0]),
            "{failures:#?}"
        );
        failing.heal();
        for object in bucket.list("", None).await? {
            let key = &object.key;
            let is_made = key.starts_with("parquet/0");
            assert!(!is_made && !key.ends_with("-mark.json"), "{key}");
        }
    }
    let summary = world.compact_bucket(failing.bucket()).await?;
    assert_eq!(failures(&summary), Vec::<String>::new());
    assert_eq!(merged(&summary), 1, "{summary:?}");
    Ok(())
}
