use std::sync::atomic::{AtomicI64, Ordering};

use prometheus_client::encoding::prometheus_text;

use super::*;
use crate::{
    BucketConfig,
    testing::{FailingBucket, ReadFault, WriteFault, conformance},
};

/// The same bucket with all keys below a prefix.
fn below(bucket: &Bucket, prefix: &str) -> Bucket {
    let settings = Settings {
        prefix: prefix.to_owned(),
        ..Settings::clone(&bucket.settings)
    };
    Bucket::new(Arc::clone(&bucket.store), settings)
}

#[tokio::test]
async fn a_bucket_in_memory_does_what_every_bucket_does() {
    let scratch = tempfile::tempdir().unwrap();
    let bucket = Bucket::in_memory();
    conformance(&bucket, scratch.path()).await.unwrap();
    bucket.put("prefixed/not", "".into()).await.unwrap();
    conformance(&below(&bucket, "prefix"), scratch.path())
        .await
        .unwrap();
    assert_eq!(keys(&bucket).await, ["prefixed/not"]);
}

#[tokio::test]
async fn a_folder_does_what_every_bucket_does() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("new/bucket");
    let bucket = BucketConfig::filesystem(&dir).open().unwrap();
    conformance(&bucket, scratch.path()).await.unwrap();
    conformance(&below(&bucket, "a/prefix"), scratch.path())
        .await
        .unwrap();
    let left: Vec<_> = std::fs::read_dir(&dir).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_bucket_that_does_not_fail_yet_does_what_every_bucket_does() {
    let scratch = tempfile::tempdir().unwrap();
    let bucket = FailingBucket::new(&Bucket::in_memory()).bucket();
    conformance(&bucket, scratch.path()).await.unwrap();
}

async fn keys(bucket: &Bucket) -> Vec<String> {
    let objects = bucket.list("", None).await.unwrap();
    objects.into_iter().map(|o| o.key).collect()
}

#[tokio::test]
async fn empty_folders_and_foreign_files_do_not_disturb() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = BucketConfig::filesystem(dir.path()).open().unwrap();
    std::fs::create_dir_all(dir.path().join("01HF8J5JG0RAVB4GMS32W7ZJ2B/chunks")).unwrap();
    std::fs::create_dir(dir.path().join("lost+found")).unwrap();
    std::fs::write(dir.path().join("Über {1}~.txt"), "x").unwrap();
    // What an upload that was cut off leaves.
    std::fs::write(dir.path().join("object#1"), "x").unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("broken")).unwrap();
    bucket
        .put("01HF8J5JG0RAVB4GMS32W7ZJ2B/index", "x".into())
        .await
        .unwrap();
    let found = keys(&bucket).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.contains(&"01HF8J5JG0RAVB4GMS32W7ZJ2B/index".to_owned()),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_prefix_is_a_folder_and_not_the_start_of_a_name() {
    let bucket = Bucket::in_memory();
    bucket.put("pre/a", "1".into()).await.unwrap();
    bucket.put("prefix/a", "2".into()).await.unwrap();
    let below = below(&bucket, "pre");
    assert_eq!(keys(&below).await, ["a"]);
    assert_eq!(below.get("a").await.unwrap(), "1");
    let objects = bucket.list("pre", None).await.unwrap();
    assert_eq!(objects.len(), 1);
}

#[tokio::test]
async fn errors_name_the_operation_the_key_and_the_cause() {
    let failing = FailingBucket::new(&Bucket::in_memory());
    let bucket = failing.bucket();
    failing.fail_reads("a/b", ReadFault::Refused);
    failing.fail_write(0, WriteFault::Refused);
    let errors = [
        bucket.get("a/b").await.unwrap_err(),
        bucket.put("a/b", "".into()).await.unwrap_err(),
        bucket.get("a/../b").await.unwrap_err(),
        bucket.get("c").await.unwrap_err(),
    ];
    assert_eq!(
        errors.map(|error| error.to_string()),
        [
            "get a/b: injected fault",
            "upload a/b: injected fault",
            r#"get a/../b: Error parsing Path "a/../b": Encountered illegal character sequence ".." whilst parsing path segment "..""#,
            "get c: not found",
        ]
    );
}

#[tokio::test]
async fn a_download_that_is_cut_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let failing = FailingBucket::new(&Bucket::in_memory());
    let bucket = failing.bucket();
    bucket.put("a", "0123456789".into()).await.unwrap();
    failing.fail_reads("a", ReadFault::Truncated);
    let error = bucket
        .download("a", &dir.path().join("a"))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "get a: expected 10 bytes, found 5");
    failing.heal();
    failing.fail_reads("a", ReadFault::Flipped);
    assert_eq!(bucket.get("a").await.unwrap(), "0123446789");
}

#[tokio::test]
async fn an_upload_in_parts_that_fails_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("big");
    std::fs::write(&file, vec![7; 20 << 20]).unwrap();
    let folder = BucketConfig::filesystem(&dir.path().join("bucket"));
    for bucket in [Bucket::in_memory(), folder.open().unwrap()] {
        bucket.put("big", "before".into()).await.unwrap();
        let failing = FailingBucket::new(&bucket);
        for fault in [WriteFault::Refused, WriteFault::Cut] {
            failing.fail_write(0, fault);
            failing.bucket().upload("big", &file).await.unwrap_err();
            assert_eq!(bucket.get("big").await.unwrap(), "before");
        }
        assert_eq!(failing.log(), ["upload big", "upload big"]);
        failing.fail_write(0, WriteFault::AnswerLost);
        failing.bucket().upload("big", &file).await.unwrap_err();
        assert_eq!(bucket.head("big").await.unwrap().size, 20 << 20);
    }
}

#[tokio::test]
async fn in_a_folder_the_file_is_the_object_and_replacing_one_keeps_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let folder = dir.path().join("bucket");
    let bucket = BucketConfig::filesystem(&folder).open().unwrap();
    std::fs::write(&from, "first").unwrap();
    for _ in 0..2 {
        let uploaded = bucket.upload_linked("a/object", &from).await.unwrap();
        assert_eq!(uploaded, Uploaded::Linked);
        let names: Vec<_> = std::fs::read_dir(folder.join("a")).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }
    bucket.download_linked("a/object", &to).await.unwrap();
    for path in [&from, &to] {
        assert!(bucket.is_file("a/object", path).await.unwrap());
    }
    // Replaced, the files are what the object was.
    bucket.put("a/object", "second".into()).await.unwrap();
    for path in [&from, &to] {
        assert!(!bucket.is_file("a/object", path).await.unwrap());
        assert_eq!(std::fs::read_to_string(path).unwrap(), "first");
    }
    // Fetched again, whichever way, and cut off: the object is whole.
    let failing = FailingBucket::new(&bucket);
    failing.fail_reads("a/object", ReadFault::Truncated);
    for number in 0..2 {
        bucket.download_linked("a/object", &to).await.unwrap();
        assert!(bucket.is_file("a/object", &to).await.unwrap());
        let again = match number {
            0 => failing.bucket().download("a/object", &to).await,
            _ => failing.bucket().download_linked("a/object", &to).await,
        };
        again.unwrap_err();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "sec");
        assert_eq!(bucket.get("a/object").await.unwrap(), "second");
    }
    bucket.upload_linked("a/object", &from).await.unwrap();
    bucket.delete("a/object").await.unwrap();
    assert_eq!(std::fs::read_to_string(&from).unwrap(), "first");
}

#[tokio::test]
async fn an_object_that_is_a_symbolic_link_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let (elsewhere, to) = (dir.path().join("elsewhere"), dir.path().join("to"));
    let folder = dir.path().join("bucket");
    let bucket = BucketConfig::filesystem(&folder).open().unwrap();
    std::fs::write(&elsewhere, "content").unwrap();
    std::os::unix::fs::symlink("../elsewhere", folder.join("object")).unwrap();
    bucket.download_linked("object", &to).await.unwrap();
    assert!(std::fs::symlink_metadata(&to).unwrap().is_file());
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "content");
}

#[tokio::test]
async fn operations_on_files_of_a_folder_fail_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    std::fs::write(&from, "0123456789").unwrap();
    let bucket = BucketConfig::filesystem(&dir.path().join("bucket"));
    let failing = FailingBucket::new(&bucket.open().unwrap());
    let bucket = failing.bucket();
    for fault in [WriteFault::Refused, WriteFault::Cut] {
        failing.fail_write(0, fault);
        let error = bucket.upload_linked("a/b", &from).await.unwrap_err();
        assert_eq!(error.to_string(), "upload a/b: injected fault");
        assert!(!bucket.exists("a/b").await.unwrap());
    }
    assert!(dir.path().join("bucket/a/b#1").try_exists().unwrap());
    failing.fail_write(0, WriteFault::AnswerLost);
    bucket.upload_linked("a/b", &from).await.unwrap_err();
    assert!(bucket.is_file("a/b", &from).await.unwrap());
    failing.fail_reads("a/b", ReadFault::Flipped);
    bucket.download_linked("a/b", &to).await.unwrap();
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "0123446789");
    failing.fail_reads("a/b", ReadFault::Refused);
    bucket.download_linked("a/b", &to).await.unwrap_err();
}

#[tokio::test]
async fn operations_are_counted_under_the_names_of_thanos() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::default();
    let failing = FailingBucket::new(&Bucket::in_memory());
    let clock = Arc::new(AtomicI64::new(1_500));
    let time = Arc::clone(&clock);
    let now = move || Timestamp(time.load(Ordering::SeqCst));
    let bucket = failing.bucket().metered(&mut registry, now);
    bucket.put("a", "0123456789".into()).await.unwrap();
    bucket.get("a").await.unwrap();
    bucket.get("none").await.unwrap_err();
    bucket.get_range("a", 2..5).await.unwrap();
    bucket.download("a", &dir.path().join("a")).await.unwrap();
    failing.fail_reads("a", ReadFault::Refused);
    bucket.get("a").await.unwrap_err();
    // A failed upload does not move the time of the last one.
    clock.store(9_000, Ordering::SeqCst);
    failing.fail_write(0, WriteFault::Refused);
    bucket.put("a", "".into()).await.unwrap_err();
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).unwrap();
    for line in [
        r#"thanos_objstore_bucket_operations_total{bucket="memory",operation="get"} 4"#,
        r#"thanos_objstore_bucket_operations_total{bucket="memory",operation="iter"} 0"#,
        r#"thanos_objstore_bucket_operation_failures_total{bucket="memory",operation="get"} 1"#,
        r#"thanos_objstore_bucket_operation_failures_total{bucket="memory",operation="upload"} 1"#,
        r#"thanos_objstore_bucket_operation_fetched_bytes_total{bucket="memory",operation="get"} 20"#,
        r#"thanos_objstore_bucket_operation_fetched_bytes_total{bucket="memory",operation="get_range"} 3"#,
        r#"thanos_objstore_bucket_operation_duration_seconds_count{bucket="memory",operation="upload"} 1"#,
        r#"thanos_objstore_bucket_last_successful_upload_time{bucket="memory"} 1.5"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}
