use std::time::Duration;

use bucket::testing::{FailingBucket, ReadFault};
use model::{BlockId, BlockMeta, DeletionMark};
use service::{CpuPool, Exposition, ManualClock, Metrics};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::{metrics::HeaderMetrics, testing::Drawn};

/// A syncer under way.
struct World {
    bucket: Bucket,
    failing: FailingBucket,
    handle: SyncHandle,
    served: watch::Receiver<Option<Arc<Served>>>,
    deps: Deps,
    dir: TempDir,
    _task: JoinSet<()>,
}

impl World {
    /// Starts on a bucket that holds `blocks`.
    async fn new(blocks: &[Drawn]) -> Self {
        let bucket = Bucket::in_memory();
        for block in blocks {
            put(&bucket, block).await;
        }
        Self::on(bucket)
    }

    /// Starts on a bucket, with nothing on the disk.
    fn on(bucket: Bucket) -> Self {
        Self::behind(FailingBucket::new(&bucket))
    }

    /// Starts on a bucket that fails from the beginning.
    fn behind(failing: FailingBucket) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let deps = Deps {
            clock: Arc::new(ManualClock::new(100_000_000)),
            pool: CpuPool::new("test", 1).unwrap(),
            probe: Probe::new("store", &metrics),
            board: Default::default(),
            caches: Default::default(),
            metrics,
        };
        let config = Config {
            data_dir: dir.path().to_owned(),
            // Only those who ask have the bucket looked at again.
            sync_interval: Duration::from_hours(1000),
            ..Config::default()
        };
        let bucket = failing.bucket();
        let headers = HeaderFiles::new(Some(dir.path()), HeaderMetrics::new(&deps.metrics));
        let (syncer, handle) = Syncer::new(&config, failing.bucket(), &deps, headers.into());
        let served = syncer.served();
        let mut task = JoinSet::new();
        task.spawn(syncer.run());
        Self {
            bucket,
            failing,
            handle,
            served,
            deps,
            dir,
            _task: task,
        }
    }

    fn served(&self) -> String {
        let served = self.served.borrow().clone();
        let letters = |served: Arc<Served>| {
            let blocks = served.catalog.blocks().map(|b| Drawn::letter(b.id));
            blocks.collect()
        };
        served.map_or_else(|| "nothing yet".to_owned(), letters)
    }

    fn metric(&self, name: &str) -> String {
        let text = self.deps.metrics.encode(Exposition::Prometheus);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} in {text}"))
            .to_owned()
    }
}

async fn put(bucket: &Bucket, block: &Drawn) {
    let view = &Drawn::snapshot(std::slice::from_ref(block)).blocks[0];
    let key = view.objects.key(BlockMeta::FILE);
    bucket.put(&key, view.meta.encode().into()).await.unwrap();
}

#[tokio::test]
async fn what_is_found_is_served_from_the_next_look_on() {
    let world = World::new(&[Drawn::raw('A', 0, 10), Drawn::raw('B', 10, 20)]).await;
    world.handle.sync().await.unwrap();
    assert_eq!(world.served(), "AB");
    assert!(world.deps.probe.status().ready);
    assert_eq!(world.metric("thanos_bucket_store_blocks_loaded"), "2");

    put(
        &world.bucket,
        &Drawn::raw('C', 0, 20).sources("AB").parquet(),
    )
    .await;
    put(&world.bucket, &Drawn::raw('D', 20, 30)).await;
    assert_eq!(world.served(), "AB");
    world.handle.sync().await.unwrap();
    assert_eq!(world.served(), "CD");
    assert_eq!(world.metric("thanos_bucket_store_block_loads_total"), "4");
    assert_eq!(world.metric("thanos_bucket_store_block_drops_total"), "2");
    assert_eq!(
        world.metric(r#"thanos_blocks_meta_synced{state="loaded"}"#),
        "2"
    );
    assert_eq!(
        world.metric(r#"thanos_blocks_meta_synced{state="duplicate"}"#),
        "2"
    );
}

#[tokio::test]
async fn a_start_on_a_bucket_with_a_catalog_reads_that_and_no_block() {
    let blocks: Vec<Drawn> = ('A'..='T')
        .map(|letter| Drawn::raw(letter, 0, 10))
        .collect();
    let first = World::new(&blocks).await;
    first.handle.sync().await.unwrap();
    let metrics = first
        .deps
        .metrics
        .with_registry(bucket::SyncMetrics::register);
    let seen = MetaFetcher::new(first.bucket.clone(), None, 1, metrics)
        .fetch()
        .await;
    assert!(
        bucket::write_catalog(&first.bucket, &seen.unwrap())
            .await
            .unwrap()
    );

    let second = World::on(first.bucket.clone());
    let mut served = second.served.clone();
    served.wait_for(Option::is_some).await.unwrap();
    assert_eq!(second.served(), first.served());
    assert_eq!(second.served(), ('A'..='T').collect::<String>());
    assert_eq!(second.failing.log(), ["list ", "get parquet/catalog"]);
}

#[tokio::test]
async fn a_block_that_cannot_be_used_does_not_keep_others_back() {
    let world = World::new(&[Drawn::raw('A', 0, 10)]).await;
    let bad = format!("{}/{}", Drawn::id('B'), BlockMeta::FILE);
    world.bucket.put(&bad, "{".into()).await.unwrap();
    let headless = format!("{}/index", Drawn::id('C'));
    world.bucket.put(&headless, "x".into()).await.unwrap();
    world.handle.sync().await.unwrap();
    assert_eq!(world.served(), "A");
    let state = |state| world.metric(&format!("thanos_blocks_meta_synced{{state=\"{state}\"}}"));
    assert_eq!(state("corrupted-meta-json"), "1");
    assert_eq!(state("no-meta-json"), "1");
}

#[tokio::test]
async fn while_the_bucket_cannot_be_listed_the_last_blocks_are_served() {
    let world = World::new(&[Drawn::raw('A', 0, 10)]).await;
    world.handle.sync().await.unwrap();
    put(&world.bucket, &Drawn::raw('B', 10, 20)).await;
    world.failing.fail_reads("", ReadFault::Refused);
    let error = world.handle.sync().await.unwrap_err();
    assert!(matches!(error, GatewayError::Sync { .. }), "{error}");
    assert_eq!(world.served(), "A");
    world.failing.heal();
    world.handle.sync().await.unwrap();
    assert_eq!(world.served(), "AB");
}

#[tokio::test(start_paused = true)]
async fn a_start_is_ready_when_all_that_is_listed_was_read_and_comes_to_it_by_itself() {
    let bucket = Bucket::in_memory();
    let blocks = ['A', 'B'].map(|letter| Drawn::raw(letter, 0, 10));
    for block in &blocks {
        put(&bucket, block).await;
    }
    let mark = format!("{}/{}", Drawn::id('A'), DeletionMark::FILE);
    bucket.put(&mark, "?".into()).await.unwrap();
    let failing = FailingBucket::new(&bucket);
    let meta = format!("{}/{}", Drawn::id('B'), BlockMeta::FILE);
    for key in [&meta, &mark] {
        failing.fail_reads(key, ReadFault::Refused);
    }
    let world = World::behind(failing);
    world.handle.sync().await.unwrap();
    // A block whose mark is unread is served.
    assert_eq!(world.served(), "A");
    assert!(!world.deps.probe.status().ready);
    assert_eq!(
        world.metric(r#"thanos_blocks_meta_synced{state="failed"}"#),
        "2"
    );
    let missing = |world: &World| world.served.borrow().clone().unwrap().catalog.missing.len();
    assert_eq!(missing(&world), 1);
    // Nobody asks any more, and time passes.
    world.failing.clear_log();
    sleep(Duration::from_secs(7)).await;
    let gets = world.failing.log();
    let lists = gets.iter().filter(|what| what.starts_with("list")).count();
    assert!(gets.len() >= 6 && lists <= 1, "{gets:?}");
    world.failing.heal();
    let mut status = world.deps.probe.subscribe();
    let ready = status.wait_for(|status| status.ready);
    tokio::time::timeout(Duration::from_secs(31), ready)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((world.served(), missing(&world)), ("AB".to_owned(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_start_on_a_bucket_that_cannot_be_listed_tries_again_within_seconds() {
    let failing = FailingBucket::new(&Bucket::in_memory());
    failing.fail_reads("", ReadFault::Refused);
    let world = World::behind(failing);
    sleep(Duration::from_secs(4)).await;
    assert!(world.failing.log().len() >= 3, "{:?}", world.failing.log());
    assert_eq!(world.served(), "nothing yet");
    world.failing.heal();
    sleep(Duration::from_secs(31)).await;
    assert_eq!(world.served(), "");
    assert!(world.deps.probe.status().ready);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_takes_twenty_requests_a_second_is_read_whole_within_a_minute_and_only_then_ready()
 {
    let bucket = Bucket::in_memory();
    let ids: Vec<BlockId> = (0..300).map(|n| BlockId::new(Timestamp(1), n)).collect();
    for id in &ids {
        let mut view = Drawn::snapshot(&[Drawn::raw('A', 0, 10)]).blocks.remove(0);
        let meta = Arc::make_mut(&mut view.meta);
        meta.ulid = *id;
        meta.compaction.sources = vec![*id];
        let key = format!("{id}/{}", BlockMeta::FILE);
        bucket.put(&key, meta.encode().into()).await.unwrap();
    }
    let failing = FailingBucket::new(&bucket);
    failing.limit_reads(20);
    let start = Instant::now();
    let world = World::behind(failing);
    let mut served = world.served.clone();
    let mut looks = 0;
    while !world.deps.probe.status().ready {
        served.changed().await.unwrap();
        let now = served.borrow_and_update().clone().unwrap();
        let (loaded, missing) = (now.catalog.blocks().count(), now.catalog.missing.len());
        assert_eq!(
            loaded + missing,
            ids.len(),
            "every block is served or known to be missing"
        );
        looks += 1;
        if missing > 0 {
            assert!(!world.deps.probe.status().ready, "{missing} missing");
        } else {
            world.handle.sync().await.unwrap();
        }
    }
    // Twenty a second can be done in a quarter of a minute.
    assert!(
        start.elapsed() < Duration::from_mins(1),
        "{:?}",
        start.elapsed()
    );
    assert!(looks > 1 && world.failing.refused() > 0, "{looks}");
}

#[tokio::test]
async fn marked_blocks_go_when_their_time_is_over() {
    let world = World::new(&[Drawn::raw('A', 0, 10)]).await;
    let mark = format!(
        r#"{{"id":"{}","version":1,"deletion_time":1}}"#,
        Drawn::id('A')
    );
    let key = format!("{}/{}", Drawn::id('A'), DeletionMark::FILE);
    world.bucket.put(&key, mark.into()).await.unwrap();
    world.handle.sync().await.unwrap();
    assert_eq!(world.served(), "");
}

#[tokio::test]
async fn the_index_header_of_a_block_goes_when_it_is_served_no_more() {
    let world = World::new(&[Drawn::raw('A', 0, 10), Drawn::raw('B', 10, 20)]).await;
    world.handle.sync().await.unwrap();
    let headers = world.dir.path().join("index-headers");
    std::fs::create_dir(&headers).unwrap();
    let header = |letter| headers.join(Drawn::id(letter).to_string());
    for letter in ['A', 'B'] {
        std::fs::write(header(letter), "a header").unwrap();
    }
    world.handle.sync().await.unwrap();
    assert!(header('A').is_file() && header('B').is_file());
    let key = format!("{}/{}", Drawn::id('A'), BlockMeta::FILE);
    world.bucket.delete(&key).await.unwrap();
    world.handle.sync().await.unwrap();
    assert_eq!(world.served(), "B");
    assert!(!header('A').is_file() && header('B').is_file());
}

#[tokio::test]
async fn what_is_told_of_the_blocks_is_counted_by_external_labels() {
    let region =
        |letter, min, max, region| Drawn::raw(letter, min, max).labels(&[("region", region)]);
    let world = World::new(&[
        region('A', 0, 10, "us"),
        region('B', 20, 40, "us"),
        region('C', 5, 30, "eu"),
    ])
    .await;
    world.handle.sync().await.unwrap();
    let served = world.served.borrow().clone().unwrap();
    let advertised = served.advertised(Timestamp(0));
    let told: Vec<_> = advertised
        .sets
        .iter()
        .map(|(labels, extent)| (labels.to_string(), extent.min.0, extent.max.0))
        .collect();
    assert_eq!(
        told,
        [
            (r#"{region="eu"}"#.to_owned(), 5, 30),
            (r#"{region="us"}"#.to_owned(), 0, 40)
        ]
    );
    let all = advertised.extent;
    assert_eq!((all.min.0, all.max.0), (0, 40));
}

#[tokio::test]
async fn whoever_asks_after_the_end_is_told_so() {
    let mut world = World::new(&[]).await;
    world._task.shutdown().await;
    let error = world.handle.sync().await.unwrap_err();
    assert!(matches!(error, GatewayError::Ended), "{error}");
}
