use std::fs;

use super::*;
use crate::{
    MetaFetcher, Snapshot, SyncMetrics,
    testing::{FailingBucket, WriteFault},
};

const ID: &str = "01HF8J5JG0RAVB4GMS32W7ZJ2B";
const FAULTS: [WriteFault; 3] = [WriteFault::Refused, WriteFault::Cut, WriteFault::AnswerLost];

fn id() -> BlockId {
    ID.parse().unwrap()
}

/// A folder with a block, and the names of its files.
fn block() -> (tempfile::TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("chunks")).unwrap();
    let meta = format!(r#"{{"ulid":"{ID}","minTime":0,"maxTime":1,"version":1}}"#);
    // As listed in the meta.json itself, sorted.
    let files = [
        ("chunks/000001", "cc"),
        ("index", "ii"),
        ("meta.json", &meta),
    ];
    let files = files.map(|(name, content)| {
        fs::write(dir.path().join(name), content).unwrap();
        name.to_owned()
    });
    (dir, files.into())
}

/// What a fresh reader sees, as the program does that starts next.
async fn seen(bucket: &Bucket) -> Snapshot {
    let metrics = SyncMetrics::register(&mut Default::default());
    let mut fetcher = MetaFetcher::new(bucket.clone(), None, 4, metrics);
    fetcher.fetch().await.unwrap()
}

async fn uploaded() -> FailingBucket {
    let failing = FailingBucket::new(&Bucket::in_memory());
    let (dir, files) = block();
    upload_block(&failing.bucket(), dir.path(), ID, &files, NonZeroUsize::MIN)
        .await
        .unwrap();
    failing
}

#[tokio::test]
async fn meta_json_is_uploaded_last_wherever_it_is_listed() {
    let failing = FailingBucket::new(&Bucket::in_memory());
    let (dir, mut files) = block();
    files.reverse();
    upload_block(&failing.bucket(), dir.path(), ID, &files, NonZeroUsize::MIN)
        .await
        .unwrap();
    let puts = ["index", "chunks/000001", "meta.json"].map(|file| format!("put {ID}/{file}"));
    assert_eq!(failing.log(), puts);
}

/// A block of ten segments.
fn large_block() -> (tempfile::TempDir, Vec<String>) {
    let (dir, mut files) = block();
    for number in 2..=10 {
        let name = format!("chunks/{number:06}");
        fs::write(dir.path().join(&name), "cc").unwrap();
        files.insert(0, name);
    }
    (dir, files)
}

#[tokio::test]
async fn as_many_files_as_allowed_are_uploaded_at_once_and_meta_json_alone() {
    let failing = FailingBucket::new(&Bucket::in_memory());
    let held = failing.hold_puts();
    let (dir, files) = large_block();
    let bucket = failing.bucket();
    let upload = tokio::spawn(async move {
        let at_once = NonZeroUsize::new(4).unwrap();
        upload_block(&bucket, dir.path(), ID, &files, at_once).await
    });
    held.begun(4).await;
    for released in 1..=11 {
        held.release(1);
        held.begun((released + 4).min(11)).await;
    }
    // The last of eleven is through, so meta.json may begin.
    held.begun(12).await;
    assert_eq!(failing.log().len(), 11);
    held.release(1);
    upload.await.unwrap().unwrap();
    assert_eq!(held.most_held(), 4);
    assert_eq!(failing.log()[11], format!("put {ID}/meta.json"));
}

#[tokio::test]
async fn a_file_that_fails_lets_those_under_way_end_and_no_other_begin() {
    let failing = FailingBucket::new(&Bucket::in_memory());
    let (dir, files) = large_block();
    failing.fail_write(2, WriteFault::Refused);
    let held = failing.hold_puts();
    let bucket = failing.bucket();
    let upload = tokio::spawn(async move {
        let at_once = NonZeroUsize::new(3).unwrap();
        upload_block(&bucket, dir.path(), ID, &files, at_once).await
    });
    held.begun(3).await;
    held.release(3);
    held.release(100);
    upload.await.unwrap().unwrap_err();
    let log = failing.log();
    assert!(log.len() < 11, "{log:?}");
    assert!(log.iter().all(|put| !put.ends_with("meta.json")), "{log:?}");
}

#[tokio::test]
async fn an_upload_killed_at_any_write_shows_no_partial_block_and_is_completed_by_the_next() {
    for number in 0..3 {
        for fault in FAULTS {
            let bucket = Bucket::in_memory();
            let failing = FailingBucket::new(&bucket);
            let (dir, files) = block();
            failing.die_at_write(number, fault);
            upload_block(&failing.bucket(), dir.path(), ID, &files, NonZeroUsize::MIN)
                .await
                .unwrap_err();
            let snapshot = seen(&bucket).await;
            let whole = number == 2 && fault == WriteFault::AnswerLost;
            assert_eq!(
                snapshot.blocks.len(),
                usize::from(whole),
                "write {number}, {fault:?}"
            );
            failing.heal();
            upload_block(&failing.bucket(), dir.path(), ID, &files, NonZeroUsize::MIN)
                .await
                .unwrap();
            let snapshot = seen(&bucket).await;
            assert_eq!((snapshot.blocks.len(), snapshot.partial.len()), (1, 0));
            assert_eq!(bucket.get(&format!("{ID}/index")).await.unwrap(), "ii");
        }
    }
}

#[tokio::test]
async fn a_block_is_deleted_from_meta_json_to_its_mark() {
    let failing = uploaded().await;
    let bucket = failing.bucket();
    let (mark, now) = (Mark::Deletion, Timestamp(7_999));
    let marked = mark_block(&bucket, ID, id(), mark, "outdated block", now).await;
    assert!(marked.unwrap());
    let snapshot = seen(&bucket).await;
    failing.clear_log();
    delete_block(&bucket, &snapshot.blocks[0].objects)
        .await
        .unwrap();
    let log = failing.log();
    assert_eq!(log.first(), Some(&format!("delete {ID}/meta.json")));
    assert_eq!(log[3], format!("delete {ID}/deletion-mark.json"));
    // What may stand for its folders.
    let folders = [format!("delete {ID}/chunks/"), format!("delete {ID}/")];
    assert_eq!(log[4..], folders);
    assert_eq!(bucket.list("", None).await.unwrap(), []);
}

#[tokio::test]
async fn a_deletion_killed_at_any_write_shows_no_block_without_files_and_is_completed_by_the_next()
{
    for number in 0..4 {
        for fault in FAULTS {
            let failing = uploaded().await;
            let bucket = failing.bucket();
            mark_block(&bucket, ID, id(), Mark::Deletion, "", Timestamp(0))
                .await
                .unwrap();
            let objects = seen(&bucket).await.blocks.remove(0).objects;
            failing.die_at_write(number, fault);
            delete_block(&bucket, &objects).await.unwrap_err();
            failing.heal();
            let snapshot = seen(&bucket).await;
            for block in &snapshot.blocks {
                assert_eq!(block.objects, objects, "write {number}, {fault:?}");
            }
            // As long as anything is left it is still known as a deletion.
            for partial in &snapshot.partial {
                assert!(
                    partial.objects.files.contains(DeletionMark::FILE),
                    "{partial:?}"
                );
            }
            let left = snapshot.blocks.into_iter().map(|block| block.objects);
            for objects in left.chain(snapshot.partial.into_iter().map(|p| p.objects)) {
                delete_block(&bucket, &objects).await.unwrap();
            }
            assert_eq!(bucket.list("", None).await.unwrap(), []);
        }
    }
}

#[tokio::test]
async fn a_meta_json_that_came_after_the_listing_goes_first_too() {
    let bucket = Bucket::in_memory();
    bucket.put(&format!("{ID}/index"), "".into()).await.unwrap();
    let partial = seen(&bucket).await.partial.remove(0);
    bucket
        .put(&format!("{ID}/meta.json"), "".into())
        .await
        .unwrap();
    delete_block(&bucket, &partial.objects).await.unwrap();
    assert_eq!(bucket.list("", None).await.unwrap(), []);
}

#[tokio::test]
async fn marks_are_written_as_thanos_writes_them_and_only_once() {
    let bucket = Bucket::in_memory();
    let marked = async |root: &str, mark, details, now| {
        let now = Timestamp(now);
        let is_new = mark_block(&bucket, root, id(), mark, details, now);
        let is_new = is_new.await.unwrap();
        let json = bucket.get(&format!("{root}/{}", mark.file())).await;
        (is_new, String::from_utf8(json.unwrap().to_vec()).unwrap())
    };
    let deletion = Mark::Deletion;
    let expected = format!(
        r#"{{"id":"{ID}","version":1,"details":"outdated block","deletion_time":1690000000}}"#
    );
    let first = marked(ID, deletion, "outdated block", 1_690_000_000_999).await;
    assert_eq!(first, (true, expected.clone()));
    let again = marked(ID, deletion, "another reason", 1_790_000_000_000).await;
    assert_eq!(again, (false, expected));
    let root = format!("parquet/{ID}");
    let found = marked(&root, Mark::NoCompact("manual"), "", 2_000).await;
    let expected = format!(r#"{{"id":"{ID}","version":1,"no_compact_time":2,"reason":"manual"}}"#);
    assert_eq!(found, (true, expected));
    let mark: NoCompactMark = serde_json::from_str(&found.1).unwrap();
    assert_eq!(mark.reason, NoCompactReason::Manual);
    let found = marked(ID, Mark::NoDownsample("no-samples"), "none left", 3_000).await;
    let expected = format!(
        r#"{{"id":"{ID}","version":1,"details":"none left","no_downsample_time":3,"reason":"no-samples"}}"#
    );
    assert_eq!(found, (true, expected));
}
