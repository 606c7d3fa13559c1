use prometheus_client::registry::Registry;

use super::*;
use crate::{
    BucketConfig, MetaFetcher, SyncMetrics,
    testing::{FailingBucket, ReadFault, WriteFault},
};

/// The name of a block.
fn id(n: usize) -> String {
    format!("01HF8B9V80XM795QY4ZC{n:06}")
}

/// The place of a block: every third is a Parquet block.
fn root(n: usize) -> String {
    let folder = if n.is_multiple_of(3) { "parquet/" } else { "" };
    format!("{folder}{}", id(n))
}

async fn put_meta(bucket: &Bucket, n: usize, max_time: usize) {
    let id = id(n);
    let json =
        format!(r#"{{"ulid":"{id}","minTime":0,"maxTime":{max_time},"version":1,"x":1.50}}"#);
    let key = format!("{}/meta.json", root(n));
    bucket.put(&key, json.into()).await.unwrap();
}

/// A bucket of so many blocks; the first is marked in every way.
async fn filled(bucket: Bucket, blocks: usize) -> FailingBucket {
    for n in 0..blocks {
        put_meta(&bucket, n, n).await;
    }
    for (mark, time, more) in [
        ("deletion", "deletion_time", ""),
        ("no-compact", "no_compact_time", r#","reason":"manual""#),
        (
            "no-downsample",
            "no_downsample_time",
            r#","reason":"manual""#,
        ),
    ] {
        let json = format!(r#"{{"id":"{}","version":1,"{time}":5{more}}}"#, id(0));
        let key = format!("{}/{mark}-mark.json", root(0));
        bucket.put(&key, json.into()).await.unwrap();
    }
    FailingBucket::new(&bucket)
}

/// A program that has nothing on its disk.
fn fetcher(bucket: &FailingBucket) -> MetaFetcher {
    let metrics = SyncMetrics::register(&mut Registry::default());
    MetaFetcher::new(bucket.bucket(), None, 8, metrics)
}

/// What such a program finds, and the requests that it makes.
async fn cold_start(bucket: &FailingBucket) -> (Snapshot, Vec<String>) {
    bucket.clear_log();
    let snapshot = fetcher(bucket).fetch().await.unwrap();
    (snapshot, bucket.log())
}

#[tokio::test]
async fn a_thousand_blocks_cost_one_listing_and_one_read() {
    let bucket = filled(Bucket::in_memory(), 1000).await;
    let (without, log) = cold_start(&bucket).await;
    // Each meta.json, and three marks.
    assert_eq!((without.blocks.len(), log.len()), (1000, 1004));
    let marked = |view: &BlockView| view.deletion_mark.is_some();
    assert_eq!(without.blocks.iter().filter(|view| marked(view)).count(), 1);
    assert!(write_catalog(&bucket.bucket(), &without).await.unwrap());
    let (with, log) = cold_start(&bucket).await;
    assert!(with == without);
    assert_eq!(log, ["list ", "get parquet/catalog"]);
}

#[tokio::test]
async fn it_serves_a_folder_too() {
    let dir = tempfile::tempdir().unwrap();
    let folder = BucketConfig::filesystem(dir.path()).open().unwrap();
    let bucket = filled(folder, 20).await;
    let (without, _) = cold_start(&bucket).await;
    assert!(write_catalog(&bucket.bucket(), &without).await.unwrap());
    let (with, log) = cold_start(&bucket).await;
    assert!(with == without);
    // Folders may be empty, so they are listed too.
    let expected = ["list ", "list ", "list parquet", "get parquet/catalog"];
    assert_eq!(log, expected);
}

#[tokio::test]
async fn it_is_written_when_there_is_something_new_and_deleted_blocks_leave_it() {
    let bucket = filled(Bucket::in_memory(), 20).await;
    let mut fetcher = fetcher(&bucket);
    let snapshot = fetcher.fetch().await.unwrap();
    let write =
        async |snapshot: &Snapshot| write_catalog(&bucket.bucket(), snapshot).await.unwrap();
    assert!(write(&snapshot).await);
    let before = bucket.bucket().get(CATALOG).await.unwrap();
    bucket.clear_log();
    assert!(!write(&snapshot).await);
    assert_eq!(bucket.log(), ["get parquet/catalog"]);

    let deleted = format!("{}/meta.json", root(7));
    bucket.bucket().delete(&deleted).await.unwrap();
    put_meta(&bucket.bucket(), 8, 99).await;
    let snapshot = fetcher.fetch().await.unwrap();
    assert!(write(&snapshot).await);
    let after = bucket.bucket().get(CATALOG).await.unwrap();
    let keys = |catalog: &[u8]| {
        let mut keys = Vec::new();
        decode(catalog, |object, _| keys.push(object.key.clone())).unwrap();
        keys
    };
    let (mut left, now) = (keys(&before), keys(&after));
    assert_eq!(left.len(), 23);
    left.retain(|key| *key != deleted);
    assert_eq!(now, left);

    let empty = Bucket::in_memory();
    assert!(!write_catalog(&empty, &Snapshot::default()).await.unwrap());
    assert_eq!(empty.list("", None).await.unwrap(), []);
}

#[tokio::test]
async fn a_stale_foreign_or_damaged_catalog_does_not_change_the_snapshot() {
    let bucket = filled(Bucket::in_memory(), 30).await;
    let put = async |catalog: Vec<u8>| {
        bucket.bucket().put(CATALOG, catalog.into()).await.unwrap();
    };
    let (snapshot, _) = cold_start(&bucket).await;
    write_catalog(&bucket.bucket(), &snapshot).await.unwrap();
    let current = bucket.bucket().get(CATALOG).await.unwrap().to_vec();
    // Other blocks under the same names.
    let other = filled(Bucket::in_memory(), 40).await;
    put_meta(&other.bucket(), 5, 77).await;
    let (of_other, _) = cold_start(&other).await;
    write_catalog(&other.bucket(), &of_other).await.unwrap();
    let foreign = other.bucket().get(CATALOG).await.unwrap().to_vec();

    // Stale: since it was written, one has changed, one has gone, one has come.
    put_meta(&bucket.bucket(), 4, 1234).await;
    let gone = format!("{}/meta.json", root(9));
    bucket.bucket().delete(&gone).await.unwrap();
    put_meta(&bucket.bucket(), 50, 1).await;
    bucket.bucket().delete(CATALOG).await.unwrap();
    let (truth, without) = cold_start(&bucket).await;

    put(current.clone()).await;
    let (found, log) = cold_start(&bucket).await;
    assert!(found == truth);
    assert_eq!(log.len(), 4, "{log:?}");

    put(foreign).await;
    assert!(cold_start(&bucket).await.0 == truth);

    for len in [0, 5, 28, 29, current.len() / 2, current.len() - 1] {
        put(current[..len].to_vec()).await;
        let (found, log) = cold_start(&bucket).await;
        assert!(found == truth, "cut at {len}");
        assert_eq!(log.len(), without.len() + 1, "cut at {len}");
    }
    for at in 0..current.len() {
        let mut flipped = current.clone();
        flipped[at] ^= 0x10;
        put(flipped).await;
        assert!(cold_start(&bucket).await.0 == truth, "flipped at {at}");
    }
    put(current).await;
    bucket.fail_reads(CATALOG, ReadFault::Refused);
    assert!(cold_start(&bucket).await.0 == truth);
}

#[tokio::test]
async fn an_unusable_entry_of_the_current_version_is_read_from_the_bucket() {
    let bucket = filled(Bucket::in_memory(), 20).await;
    let (truth, _) = cold_start(&bucket).await;
    let objects: Vec<Object> = bucket.bucket().list("", None).await.unwrap();
    for json in ["", "{", r#"{"version":7}"#] {
        let lies = encode(objects.iter().map(|object| (object, json.into())));
        bucket.bucket().put(CATALOG, lies.into()).await.unwrap();
        assert!(cold_start(&bucket).await.0 == truth, "{json}");
    }
}

#[tokio::test]
async fn an_unread_new_version_does_not_enter_the_catalog() {
    let bucket = filled(Bucket::in_memory(), 20).await;
    let mut fetcher = fetcher(&bucket);
    fetcher.fetch().await.unwrap();
    put_meta(&bucket.bucket(), 4, 1234).await;
    bucket.fail_reads(&format!("{}/meta.json", root(4)), ReadFault::Refused);
    let as_before = fetcher.fetch().await.unwrap();
    write_catalog(&bucket.bucket(), &as_before).await.unwrap();
    bucket.heal();
    let (found, log) = cold_start(&bucket).await;
    assert_eq!(log.len(), 3, "{log:?}");
    let changed = found
        .blocks
        .iter()
        .find(|view| *view.objects.root == root(4));
    assert_eq!(changed.unwrap().meta.max_time.0, 1234);
}

#[tokio::test]
async fn a_few_blocks_and_those_known_from_the_disk_are_read_without_it() {
    let bucket = filled(Bucket::in_memory(), 10).await;
    let (snapshot, _) = cold_start(&bucket).await;
    write_catalog(&bucket.bucket(), &snapshot).await.unwrap();
    let (_, log) = cold_start(&bucket).await;
    assert!(!log.contains(&format!("get {CATALOG}")), "{log:?}");

    let dir = tempfile::tempdir().unwrap();
    let warm = async |bucket: &FailingBucket| {
        bucket.clear_log();
        let metrics = SyncMetrics::register(&mut Registry::default());
        let dir = Some(dir.path().to_owned());
        let mut fetcher = MetaFetcher::new(bucket.bucket(), dir, 8, metrics);
        let snapshot = fetcher.fetch().await.unwrap();
        (snapshot, bucket.log())
    };
    let bucket = filled(Bucket::in_memory(), 40).await;
    let (snapshot, _) = warm(&bucket).await;
    write_catalog(&bucket.bucket(), &snapshot).await.unwrap();
    let (again, log) = warm(&bucket).await;
    assert!(again == snapshot);
    assert_eq!(log, ["list "]);
}

#[tokio::test]
async fn a_catalog_that_cannot_be_written_is_an_error_and_no_harm() {
    let bucket = filled(Bucket::in_memory(), 20).await;
    let (truth, _) = cold_start(&bucket).await;
    for fault in [WriteFault::Refused, WriteFault::Cut] {
        bucket.fail_write(0, fault);
        write_catalog(&bucket.bucket(), &truth).await.unwrap_err();
        assert!(cold_start(&bucket).await.0 == truth, "{fault:?}");
    }
}

#[tokio::test]
async fn the_catalog_and_the_leases_are_not_taken_for_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = BucketConfig::filesystem(dir.path()).open().unwrap();
    let lease = format!("parquet/leases/{}/00000000000000000001", id(1));
    for key in [CATALOG, &lease] {
        bucket.put(key, "x".into()).await.unwrap();
    }
    let (found, _) = cold_start(&FailingBucket::new(&bucket)).await;
    assert_eq!(found, Snapshot::default());
}
