use std::path::Path;

use prometheus_client::{encoding::prometheus_text, registry::Registry};

mod doubt;

use super::*;
use crate::{
    UnreadBlock, UnusableMark,
    testing::{FailingBucket, ListingOrder, ReadFault, WriteFault},
};

const A: &str = "01HF8B9V80XM795QY4ZC4QZX6R";
const B: &str = "01HF8J5JG0RAVB4GMS32W7ZJ2B";
const C: &str = "01HF8S19R0DEWB2R91W75R7BAS";

/// A bucket, and who looks at it.
struct World {
    failing: FailingBucket,
    bucket: Bucket,
    registry: Registry,
    fetcher: MetaFetcher,
}

impl World {
    fn new(cache: Option<&Path>) -> Self {
        Self::on(FailingBucket::new(&Bucket::in_memory()), cache)
    }

    fn on(failing: FailingBucket, cache: Option<&Path>) -> Self {
        let bucket = failing.bucket();
        let mut registry = Registry::default();
        let metrics = SyncMetrics::register(&mut registry);
        Self {
            fetcher: MetaFetcher::new(bucket.clone(), cache.map(Path::to_owned), 4, metrics),
            failing,
            bucket,
            registry,
        }
    }

    /// The program starts anew, with what it has on disk.
    fn restarted(self, cache: Option<&Path>) -> Self {
        Self::on(self.failing, cache)
    }

    async fn put(&self, key: &str, content: &str) {
        self.bucket
            .put(key, content.to_owned().into())
            .await
            .unwrap();
    }

    async fn put_block(&self, root: &str) {
        let id = root.trim_start_matches("parquet/");
        self.put(&format!("{root}/index"), "i").await;
        self.put(&format!("{root}/meta.json"), &meta(id, 1)).await;
    }

    /// What is seen, and the objects that were read for it.
    async fn look(&mut self) -> (Snapshot, Vec<String>) {
        self.failing.clear_log();
        let snapshot = self.fetcher.fetch().await.unwrap();
        let mut log = self.failing.log();
        assert_eq!(log.remove(0), "list ", "one listing, and before all else");
        let reads = log
            .iter()
            .map(|entry| entry.strip_prefix("get ").unwrap().to_owned());
        let mut reads: Vec<String> = reads.collect();
        reads.sort();
        (snapshot, reads)
    }

    fn metric(&self, name: &str) -> String {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap().to_owned()
    }
}

fn meta(id: &str, max_time: i64) -> String {
    format!(r#"{{"ulid":"{id}","minTime":0,"maxTime":{max_time},"version":1}}"#)
}

fn roots(snapshot: &Snapshot) -> Vec<&str> {
    snapshot
        .blocks
        .iter()
        .map(|block| &*block.objects.root)
        .collect()
}

fn reasons(snapshot: &Snapshot) -> Vec<&str> {
    snapshot
        .partial
        .iter()
        .map(|partial| partial.reason.as_str())
        .collect()
}

#[tokio::test]
async fn one_listing_tells_the_blocks_of_both_kinds_and_what_is_known_is_not_read_again() {
    let mut world = World::new(None);
    // B is there twice, in both kinds.
    for root in [A, B, &format!("parquet/{B}")] {
        world.put_block(root).await;
    }
    world.put("debug/metas/x", "").await;
    let metas = [A, B, &format!("parquet/{B}")].map(|root| format!("{root}/meta.json"));
    let (first, reads) = world.look().await;
    assert_eq!(roots(&first), [A, B, &format!("parquet/{B}")]);
    assert_eq!(reads, metas);
    let files = &first.blocks[0].objects.files;
    let names = files.iter().map(|(name, _)| &**name);
    assert_eq!(names.collect::<Vec<_>>(), ["index", "meta.json"]);
    assert_eq!(files.get("index").unwrap().size, 1);
    let (second, reads) = world.look().await;
    assert_eq!(second, first);
    // What has not changed is held once.
    let pairs = first.blocks.iter().zip(&second.blocks);
    let mut pairs = pairs.map(|(a, b)| (&a.objects, &b.objects));
    assert!(pairs.all(|(before, now)| Arc::ptr_eq(before, now)));
    assert_eq!(reads, [""; 0]);
    assert_eq!(world.metric("thanos_blocks_meta_syncs_total"), "2");
    assert_eq!(world.metric("thanos_blocks_meta_sync_failures_total"), "0");
    assert_eq!(
        world.metric("thanos_blocks_meta_sync_duration_seconds_count"),
        "2"
    );
}

#[tokio::test]
async fn a_changed_object_is_read_again_and_alone() {
    let mut world = World::new(None);
    world.put_block(A).await;
    world.put_block(B).await;
    world.look().await;
    world.put(&format!("{A}/meta.json"), &meta(A, 7)).await;
    let (snapshot, reads) = world.look().await;
    assert_eq!(reads, [format!("{A}/meta.json")]);
    assert_eq!(snapshot.blocks[0].meta.max_time.0, 7);
}

#[tokio::test]
async fn broken_blocks_are_named_and_do_not_stop_the_others() {
    let mut world = World::new(None);
    world.put_block(A).await;
    world.put(&format!("{B}/index"), "").await;
    world
        .put(
            &format!("{C}/meta.json"),
            &meta(C, 1).replace("\"version\":1", "\"version\":2"),
        )
        .await;
    world.put(&format!("parquet/{A}/meta.json"), "{").await;
    world
        .put(&format!("parquet/{B}/meta.json"), &meta(A, 1))
        .await;
    world.put_block(&format!("parquet/{C}")).await;
    world
        .put(
            &format!("parquet/{C}/deletion-mark.json"),
            r#"{"version":3}"#,
        )
        .await;
    let expected = [
        format!("{B}/meta.json: not found"),
        format!("{C}/meta.json: version: expected 1, found 2"),
        format!("parquet/{A}/meta.json: EOF while parsing an object at line 1 column 1"),
        format!("parquet/{B}/meta.json: ulid: expected {B} as its folder is named, found {A}"),
    ];
    let (snapshot, _) = world.look().await;
    // A mark that cannot be used takes no block away.
    let parquet = format!("parquet/{C}");
    assert_eq!(roots(&snapshot), [A, parquet.as_str()]);
    let marked = &snapshot.blocks[1];
    assert_eq!(marked.deletion_mark, None);
    let unusable = UnusableMark {
        file: "deletion-mark.json",
        reason: format!("{parquet}/deletion-mark.json: version: expected 1, found 3"),
    };
    assert_eq!(marked.unusable_marks, [unusable]);
    assert_eq!(reasons(&snapshot), expected);
    // Each is looked at again, twice as it is in no better state, and all else is not.
    let (snapshot, reads) = world.look().await;
    assert_eq!((reasons(&snapshot).len(), reads.len()), (4, 8));
    world.put_block(C).await;
    let (snapshot, _) = world.look().await;
    assert_eq!(roots(&snapshot), [A, C, parquet.as_str()]);
}

#[tokio::test]
async fn marks_are_seen_when_they_come_and_when_they_go() {
    let mut world = World::new(None);
    world.put_block(A).await;
    world.put_block(B).await;
    let mark = |rest: &str| format!(r#"{{"id":"{A}","version":1,{rest}}}"#);
    world
        .put(
            &format!("{A}/deletion-mark.json"),
            &mark(r#""deletion_time":5"#),
        )
        .await;
    let manual = r#""no_compact_time":6,"reason":"manual""#;
    world
        .put(&format!("{A}/no-compact-mark.json"), &mark(manual))
        .await;
    let manual = r#""no_downsample_time":7,"reason":"manual""#;
    world
        .put(&format!("{A}/no-downsample-mark.json"), &mark(manual))
        .await;
    // No JSON marks nothing, and is told.
    world.put(&format!("{B}/deletion-mark.json"), "?").await;
    let (snapshot, _) = world.look().await;
    let [a, b] = snapshot.blocks.as_slice() else {
        panic!("{snapshot:?}");
    };
    assert_eq!(a.deletion_mark.as_ref().unwrap().deletion_time, 5);
    assert_eq!(a.no_compact_mark.as_ref().unwrap().no_compact_time, 6);
    assert_eq!(a.no_downsample_mark.as_ref().unwrap().no_downsample_time, 7);
    assert_eq!((&b.deletion_mark, b.unusable_marks.len()), (&None, 1));
    assert_eq!(a.unusable_marks, []);
    world
        .bucket
        .delete(&format!("{A}/deletion-mark.json"))
        .await
        .unwrap();
    let (snapshot, reads) = world.look().await;
    assert_eq!(snapshot.blocks[0].deletion_mark, None);
    // Whether it is JSON now.
    let damaged = format!("{B}/deletion-mark.json");
    assert_eq!(reads, [damaged.clone(), damaged]);
}

#[tokio::test]
async fn what_was_read_is_kept_on_disk_and_vanished_blocks_leave_it() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("meta-syncer");
    let mut world = World::new(Some(&cache));
    let parquet = format!("parquet/{A}");
    for root in [A, B, &parquet] {
        world.put_block(root).await;
    }
    let (before, reads) = world.look().await;
    assert_eq!(reads.len(), 3);
    let stored = std::fs::read_to_string(cache.join(A).join("meta.json")).unwrap();
    assert_eq!(stored, meta(A, 1));

    let mut world = world.restarted(Some(&cache));
    let (after, reads) = world.look().await;
    assert_eq!((after, reads), (before, vec![]));

    // Changed while nobody looked, to something of the same size.
    world.put(&format!("{A}/meta.json"), &meta(A, 2)).await;
    for root in [B, &parquet] {
        for file in ["index", "meta.json"] {
            world
                .bucket
                .delete(&format!("{root}/{file}"))
                .await
                .unwrap();
        }
    }
    std::fs::write(cache.join("foreign"), "").unwrap();
    let mut world = world.restarted(Some(&cache));
    let (snapshot, reads) = world.look().await;
    assert_eq!(
        (roots(&snapshot), reads),
        (vec![A], vec![format!("{A}/meta.json")])
    );
    assert_eq!(snapshot.blocks[0].meta.max_time.0, 2);
    let there = |path: &str| cache.join(path).try_exists().unwrap();
    assert!(there(A) && there("foreign"));
    assert!(!there(B) && !there(&parquet));
}

#[tokio::test]
async fn a_cache_that_was_cut_or_has_a_flipped_bit_is_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(Some(dir.path()));
    world.put_block(A).await;
    let (before, _) = world.look().await;
    for file in ["meta.json", "meta.json.version"] {
        let path = dir.path().join(A).join(file);
        let whole = std::fs::read(&path).unwrap();
        // Cut; and as long as before, but nothing in it. And each bit flipped.
        let mut damaged = vec![whole[..3].to_vec(), vec![0; whole.len()]];
        damaged.extend((0..whole.len() * 8).map(|bit| {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        }));
        for (n, damaged) in damaged.into_iter().enumerate() {
            std::fs::write(&path, damaged).unwrap();
            world = world.restarted(Some(dir.path()));
            let (snapshot, reads) = world.look().await;
            assert_eq!((&snapshot, reads.len()), (&before, 1), "{file}, {n}");
        }
    }
}

/// The objects that were not read, with whether their block's `meta.json` is known.
#[tokio::test]
async fn a_listing_is_split_where_it_was_before_and_shows_the_same_in_whatever_order() {
    let cache = tempfile::tempdir().unwrap();
    let mut world = World::new(Some(cache.path()));
    let parquet = format!("parquet/{B}");
    for root in [A, B, C, &parquet] {
        world.put_block(root).await;
    }
    world.put("debug/x", "no block").await;
    let gone = A.replace("80X", "80Z");
    let (by_key, many) = (ListingOrder::ByKey, 1_000);
    for (order, last, keys, lists) in [
        (by_key, 100, vec![&*gone, C], 4),
        (by_key, many, vec![&*gone, C], 3),
        (by_key, many, vec![&*gone, &parquet], 3),
        (by_key, many, vec![C, &gone], 1),
        (ListingOrder::Backwards, many, vec![&*gone, C], 4),
        (ListingOrder::FromStart, many, vec![&*gone, C], 3),
    ] {
        for n in 0..last {
            world.put(&format!("{parquet}/{n}"), "c").await;
        }
        world.failing.list_in(by_key);
        world = world.restarted(None);
        let whole = world.look().await.0;
        assert_eq!(roots(&whole), [A, B, C, &parquet]);

        std::fs::write(cache.path().join("listing.splits"), keys.join("\n")).unwrap();
        world = world.restarted(Some(cache.path()));
        world.failing.list_in(order);
        let look = async |world: &mut World| {
            world.failing.clear_log();
            assert_eq!(
                world.fetcher.fetch().await.unwrap(),
                whole,
                "{order:?} {keys:?}"
            );
            let log = world.failing.log();
            log.iter().filter(|entry| *entry == "list ").count()
        };
        assert_eq!(look(&mut world).await, lists, "{order:?} {keys:?}");
        // So small a bucket is not worth parts.
        assert_eq!(look(&mut world).await, 1, "{order:?} {keys:?}");
    }
}

fn unread(snapshot: &Snapshot) -> Vec<(&str, bool)> {
    let unread = snapshot.unread.iter();
    unread.map(|u| (u.key.as_str(), u.meta.is_some())).collect()
}

#[tokio::test]
async fn an_object_that_the_bucket_does_not_give_is_unread_and_no_fault_of_its_block() {
    let mut world = World::new(None);
    world.put_block(A).await;
    world.look().await;
    world.put(&format!("{A}/meta.json"), &meta(A, 9)).await;
    world.put_block(B).await;
    world.put_block(C).await;
    world.put(&format!("{C}/deletion-mark.json"), "{}").await;
    let keys = [
        format!("{A}/meta.json"),
        format!("{B}/meta.json"),
        format!("{C}/deletion-mark.json"),
    ];
    for (key, fault) in
        keys.iter()
            .zip([ReadFault::Refused, ReadFault::Truncated, ReadFault::Refused])
    {
        world.failing.fail_reads(key, fault);
    }
    let (snapshot, _) = world.look().await;
    // A is taken as it was before, and C without its mark.
    assert_eq!(roots(&snapshot), [A, C]);
    assert_eq!(snapshot.blocks[0].meta.max_time.0, 1);
    assert_eq!(reasons(&snapshot), [""; 0]);
    let expected = keys.iter().map(String::as_str).zip([true, false, true]);
    assert_eq!(unread(&snapshot), expected.collect::<Vec<_>>());
    let found: Vec<&str> = snapshot.unread.iter().map(|u| u.reason.as_str()).collect();
    assert_eq!(found[0], format!("get {A}/meta.json: injected fault"));
    let size = meta(B, 1).len();
    let cut = format!("expected {size} bytes, found {}", size / 2);
    assert!(found[1].ends_with(&cut), "{}", found[1]);
    let lacks: Vec<bool> = snapshot
        .unread
        .iter()
        .map(UnreadBlock::lacks_meta)
        .collect();
    assert_eq!(lacks, [true, true, false]);
    assert_eq!(world.metric("thanos_blocks_meta_sync_failures_total"), "1");
    world.failing.heal();
    let (snapshot, reads) = world.look().await;
    // C's mark twice, as it cannot be used.
    assert_eq!((roots(&snapshot), reads.len()), (vec![A, B, C], 4));
    assert_eq!(snapshot.blocks[0].meta.max_time.0, 9);
    assert_eq!(unread(&snapshot), []);
}

#[tokio::test]
async fn a_retry_reads_only_what_is_unread_and_lists_nothing() {
    let mut world = World::new(None);
    for block in [A, B, C] {
        world.put_block(block).await;
    }
    let keys = [B, C].map(|block| format!("{block}/meta.json"));
    for key in &keys {
        world.failing.fail_reads(key, ReadFault::Refused);
    }
    world.look().await;
    world.failing.clear_log();
    let still = world.fetcher.retry(2).await.unwrap();
    assert_eq!((roots(&still), still.unread.len()), (vec![A], 2));
    let mut log = world.failing.log();
    log.sort();
    assert_eq!(log, keys.each_ref().map(|key| format!("get {key}")));
    // C is deleted meanwhile.
    world.failing.heal();
    world.bucket.delete(&keys[1]).await.unwrap();
    let after = world.fetcher.retry(2).await.unwrap();
    assert_eq!((roots(&after), unread(&after)), (vec![A, B], vec![]));
    assert_eq!(reasons(&after), [format!("{}: not found", keys[1])]);
    // Nothing is left to be tried again, so it is a look.
    world.failing.clear_log();
    world.fetcher.retry(2).await.unwrap();
    assert_eq!(world.failing.log(), ["list "]);
}

#[tokio::test]
async fn a_bucket_that_cannot_be_listed_is_an_error() {
    let mut world = World::new(None);
    world.failing.die_at_write(0, WriteFault::Refused);
    world.bucket.put("a", "".into()).await.unwrap_err();
    let error = world.fetcher.fetch().await.unwrap_err();
    assert_eq!(error.to_string(), "list /: injected fault");
    assert_eq!(world.metric("thanos_blocks_meta_sync_failures_total"), "1");
}
