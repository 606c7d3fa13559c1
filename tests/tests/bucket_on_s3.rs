//! The bucket on a server that speaks S3: all that every bucket must do, and what only a server can do to it.

use std::time::Duration;

use anyhow::Context as _;
use bucket::{Acquired, Bucket, BucketConfig, BucketError, Leases};
use model::Timestamp;
use tests::{Failure, Fault, Operation, Request, When, World};

fn count(log: &[Request], operation: Operation) -> usize {
    log.iter().filter(|r| r.operation == operation).count()
}

/// A bucket on a server, with nothing in it.
async fn world() -> anyhow::Result<(World, Bucket)> {
    let world = World::new().await?;
    std::fs::create_dir_all(world.scratch())?;
    let bucket = world.bucket()?;
    Ok((world, bucket))
}

#[tokio::test]
async fn a_bucket_on_s3_does_what_every_bucket_must() -> anyhow::Result<()> {
    let (world, bucket) = world().await?;
    let done = bucket::testing::conformance(&bucket, &world.scratch()).await;
    done.map_err(anyhow::Error::from_boxed)?;
    assert_eq!(world.s3.unfinished_uploads(), 0);
    Ok(())
}

#[tokio::test]
async fn a_big_object_goes_there_in_parts_and_back() -> anyhow::Result<()> {
    let (world, bucket) = world().await?;
    let (from, to) = (world.scratch().join("from"), world.scratch().join("to"));
    let content: Vec<u8> = (0..30_u32 << 20)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::fs::write(&from, &content)?;
    bucket.upload("big", &from).await?;
    let log = world.s3.take_log();
    assert_eq!(count(&log, Operation::CreateMultipart), 1);
    assert!(count(&log, Operation::UploadPart) > 1, "{log:?}");
    assert_eq!(count(&log, Operation::CompleteMultipart), 1);
    assert_eq!(count(&log, Operation::Put), 0);
    bucket.download("big", &to).await?;
    assert!(std::fs::read(&to)? == content);
    let middle = bucket.get_range("big", 12_345_678..12_445_678).await?;
    assert!(middle == content[12_345_678..12_445_678]);
    Ok(())
}

#[tokio::test]
async fn an_upload_in_parts_that_fails_leaves_neither_object_nor_parts() -> anyhow::Result<()> {
    let (world, bucket) = world().await?;
    let from = world.scratch().join("from");
    std::fs::write(&from, vec![7; 30 << 20])?;
    for fails in [Operation::UploadPart, Operation::CompleteMultipart] {
        world.s3.inject(Fault {
            when: When::Next(fails, 1),
            failure: Failure::Refused,
        });
        let error = bucket
            .upload("big", &from)
            .await
            .err()
            .context("the upload is refused")?;
        assert!(error.to_string().starts_with("upload big: "), "{error}");
        assert_eq!(world.s3.heal(), 1);
        assert!(world.s3.keys().is_empty());
        assert_eq!(world.s3.unfinished_uploads(), 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_listing_of_more_than_one_page_is_whole() -> anyhow::Result<()> {
    let (world, bucket) = world().await?;
    let keys: Vec<String> = (0..2345).map(|n| format!("folder/{n:05}")).collect();
    for key in &keys {
        world.s3.put(key, key.clone());
    }
    let listed = async |after| {
        let objects = bucket.list("folder", after).await?;
        Ok::<_, BucketError>(objects.into_iter().map(|o| o.key).collect::<Vec<_>>())
    };
    assert_eq!(listed(None).await?, keys);
    assert_eq!(count(&world.s3.take_log(), Operation::List), 3);
    assert_eq!(listed(Some("folder/01499")).await?, keys[1500..]);
    assert_eq!(count(&world.s3.take_log(), Operation::List), 1);
    Ok(())
}

#[tokio::test]
async fn keys_that_are_no_objects_are_passed_over_on_every_page() -> anyhow::Result<()> {
    let (world, bucket) = world().await?;
    let keys: Vec<String> = (0..2345).map(|n| format!("folder/{n:05}")).collect();
    for (n, key) in keys.iter().enumerate() {
        world.s3.put(key, "");
        if n % 10 == 0 {
            world.s3.put(&format!("{key}//x.csv"), "");
        }
    }
    for foreign in [
        "/leading",
        "a//b",
        "folder/./x",
        "folder/../x",
        "folder/new\nline",
        "folder/tab\t",
        "folder/",
        "01HF8J5JG0RAVB4GMS32W7ZJ2B/",
        "01HF8J5JG0RAVB4GMS32W7ZJ2B/chunks/",
        "parquet/01HF8J5JG0RAVB4GMS32W7ZJ2B/",
    ] {
        world.s3.put(foreign, "");
    }
    let listed = bucket.list("", None).await?;
    let listed: Vec<String> = listed.into_iter().map(|o| o.key).collect();
    assert_eq!(listed, keys);
    Ok(())
}

#[tokio::test]
async fn the_folder_objects_of_a_block_go_with_it() -> anyhow::Result<()> {
    let (world, bucket) = world().await?;
    let (block, other) = ("01HF8J5JG0RAVB4GMS32W7ZJ2B", "01HF8J5JG0RAVB4GMS32W7ZJ2C");
    for root in [block, other] {
        for key in ["", "chunks/", "meta.json", "chunks/000001", "index"] {
            world.s3.put(&format!("{root}/{key}"), "");
        }
    }
    let listed = bucket.list(block, None).await?;
    assert_eq!(listed.len(), 3);
    let below = format!("{block}/");
    let files = listed.iter().map(|object| {
        let name = object.key.trim_start_matches(&below);
        (name.into(), bucket::FileVersion::of(object))
    });
    let objects = bucket::BlockObjects {
        id: block.parse()?,
        root: block.into(),
        files: files.collect(),
    };
    bucket::delete_block(&bucket, &objects).await?;
    let left = world.s3.keys();
    assert!(left.iter().all(|key| key.starts_with(other)), "{left:?}");
    assert_eq!(left.len(), 5, "{left:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again() -> anyhow::Result<()> {
    let (world, bucket) = world().await?;
    for operation in [Operation::Put, Operation::List, Operation::Get] {
        world.s3.inject(Fault {
            when: When::Next(operation, 2),
            failure: Failure::Unavailable,
        });
    }
    bucket.put("a/b", "text".into()).await?;
    assert_eq!(bucket.list("", None).await?.len(), 1);
    assert_eq!(bucket.get("a/b").await?, "text");
    assert_eq!(world.s3.heal(), 6);
    Ok(())
}

#[tokio::test]
async fn an_object_that_stays_unreadable_is_an_error_that_names_it() -> anyhow::Result<()> {
    let (world, bucket) = world().await?;
    world.s3.put("a/b", "text");
    for failure in [Failure::Unavailable, Failure::Refused, Failure::CutOff(0)] {
        world.s3.inject(Fault {
            when: When::Reads("a/b".to_owned()),
            failure,
        });
        let error = bucket
            .get("a/b")
            .await
            .err()
            .with_context(|| format!("{failure:?}"))?;
        assert!(error.to_string().starts_with("get a/b: "), "{error}");
        let to = world.scratch().join("to");
        let error = bucket
            .download("a/b", &to)
            .await
            .err()
            .with_context(|| format!("{failure:?}"))?;
        assert!(error.to_string().contains("a/b"), "{error}");
        assert_ne!(world.s3.heal(), 0);
    }
    assert_eq!(bucket.get("a/b").await?, "text");
    Ok(())
}

#[tokio::test]
async fn a_body_that_was_cut_off_once_is_fetched_again() -> anyhow::Result<()> {
    let (world, bucket) = world().await?;
    world.s3.put("a/b", "0123456789");
    world.s3.inject(Fault {
        when: When::Next(Operation::Get, 1),
        failure: Failure::CutOff(4),
    });
    assert_eq!(bucket.get("a/b").await?, "0123456789");
    assert_eq!(world.s3.heal(), 1);
    Ok(())
}

#[tokio::test]
async fn a_wrong_secret_is_refused_at_once() -> anyhow::Result<()> {
    let (world, _) = world().await?;
    let yaml = world.s3.objstore_yaml_with_secret("wrong");
    let bucket = BucketConfig::from_yaml(&yaml, |_| None)?.open()?;
    let error = bucket
        .list("", None)
        .await
        .err()
        .context("the secret is refused")?;
    let text = error.to_string();
    assert!(
        text.contains("SignatureDoesNotMatch") && !text.contains("wrong"),
        "{text}"
    );
    assert!(world.s3.take_log().is_empty());
    Ok(())
}

/// Leases for one who has a bucket of its own.
fn leases(world: &World, holder: &str) -> anyhow::Result<Leases> {
    let duration = Duration::from_mins(5);
    Ok(Leases::new(world.bucket()?, holder.to_owned(), duration))
}

#[tokio::test]
async fn of_many_who_want_a_lease_at_once_one_gets_it() -> anyhow::Result<()> {
    let (world, _) = world().await?;
    leases(&world, "tester")?.self_test().await?;
    assert!(world.s3.keys().is_empty());
    let name = "0@17241709254077376921";
    for round in 0..10 {
        // A minute after the last one's deadline.
        let now = Timestamp(round * 360_000);
        let mut asking = tokio::task::JoinSet::new();
        for n in 0..16 {
            let leases = leases(&world, &format!("holder {n}"))?;
            asking.spawn(async move { leases.acquire(name, now).await });
        }
        let mut got = 0;
        while let Some(answer) = asking.join_next().await {
            got += usize::from(matches!(answer??, Acquired::Lease(_)));
        }
        assert_eq!(got, 1, "in round {round}");
    }
    assert_eq!(world.s3.keys().len(), 2, "{:?}", world.s3.keys());
    Ok(())
}

#[tokio::test]
async fn a_lease_whose_answer_was_lost_on_the_way_is_had() -> anyhow::Result<()> {
    let (world, _) = world().await?;
    world.s3.inject(Fault {
        when: When::Next(Operation::Put, 1),
        failure: Failure::AnswerLost,
    });
    let now = Timestamp(0);
    let acquired = leases(&world, "a")?.acquire("x", now).await?;
    assert_eq!(world.s3.heal(), 1);
    let Acquired::Lease(lease) = acquired else {
        anyhow::bail!("expected a lease, found {acquired:?}");
    };
    lease.release(now).await?;
    let again = leases(&world, "b")?.acquire("x", now).await?;
    assert!(matches!(again, Acquired::Lease(_)), "{again:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_ignores_conditions_is_found_out() -> anyhow::Result<()> {
    let (world, bucket) = world().await?;
    world.s3.ignore_preconditions();
    assert!(bucket.put_if_absent("a", "1".into()).await?);
    assert!(bucket.put_if_absent("a", "2".into()).await?);
    bucket.delete("a").await?;
    let error = leases(&world, "a")?.self_test().await.err();
    let error = error.context("the self-test passes")?;
    assert!(matches!(error, BucketError::NotExclusive { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "bucket varve-test: it ignores the condition of conditional puts (If-None-Match), so compactors cannot share it"
    );
    assert!(world.s3.keys().is_empty());
    Ok(())
}
