use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use model::{BlockId, BlockMeta, Resolution};
use service::{CpuPool, Exposition, ManualClock, Metrics, Probe};
use tempfile::TempDir;

use super::*;
use crate::{Levels, UnequalBlocks};

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/fixtures/golden/tsdb/floats"
);
/// The golden blocks, oldest first.
const BLOCKS: [&str; 4] = [
    "01HF8B9V80XM795QY4ZC4QZX6R",
    "01HF8J5JG0RAVB4GMS32W7ZJ2B",
    "01HF8S19R0DEWB2R91W75R7BAS",
    "01HF8ZX100G6RE14BBWZZ6609A",
];

/// A TSDB folder with the golden blocks as Prometheus would have left them.
struct World {
    dir: TempDir,
    config: Config,
    deps: Deps,
    bucket: Bucket,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for block in BLOCKS {
            copy(&Path::new(GOLDEN).join(block), &dir.path().join(block));
            edit_meta(dir.path(), block, |meta| meta.thanos = None);
        }
        fs::create_dir(dir.path().join("wal")).unwrap();
        let metrics = Metrics::new();
        let labels = Labels::from_pairs([("cluster", "eu-1")]);
        Self {
            config: Config::new(LabelSource::Fixed(labels), dir.path()),
            dir,
            deps: Deps {
                clock: Arc::new(ManualClock::new(1_787_392_800_000)),
                pool: CpuPool::new("test", 1).unwrap(),
                probe: Probe::new("sidecar", &metrics),
                metrics,
            },
            bucket: Bucket::in_memory(),
        }
    }

    async fn once(&self) -> Pass {
        self.once_on(&self.bucket).await
    }

    async fn once_on(&self, bucket: &Bucket) -> Pass {
        // Metrics of their own, as each run registers them.
        let deps = Deps {
            metrics: Metrics::new(),
            ..self.deps.clone()
        };
        run_once(&self.config, bucket, &deps).await.unwrap()
    }

    async fn keys(&self) -> Vec<String> {
        let objects = self.bucket.list("", None).await.unwrap();
        objects.into_iter().map(|o| o.key).collect()
    }

    async fn meta(&self, block: &str) -> BlockMeta {
        let json = self
            .bucket
            .get(&format!("{block}/meta.json"))
            .await
            .unwrap();
        BlockMeta::decode(&json).unwrap()
    }

    fn shipper_file(&self) -> String {
        fs::read_to_string(self.dir.path().join("thanos.shipper.json")).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn edit_meta(dir: &Path, block: &str, edit: impl FnOnce(&mut BlockMeta)) {
    let path: PathBuf = dir.join(block).join("meta.json");
    let mut meta = BlockMeta::decode(&fs::read(&path).unwrap()).unwrap();
    edit(&mut meta);
    fs::write(path, meta.encode()).unwrap();
}

fn ids(blocks: &[&str]) -> Vec<BlockId> {
    blocks.iter().map(|b| b.parse().unwrap()).collect()
}

fn files_of(block: &str) -> [String; 3] {
    ["chunks/000001", "index", "meta.json"].map(|f| format!("{block}/{f}"))
}

#[tokio::test]
async fn blocks_are_uploaded_as_thanos_uploads_them_and_only_once() {
    let world = World::new();
    let pass = world.once().await;
    assert_eq!(pass.uploaded, ids(&BLOCKS));
    assert!(pass.failed.is_empty(), "{pass:?}");
    let expected: Vec<String> = BLOCKS.iter().flat_map(|b| files_of(b)).collect();
    assert_eq!(world.keys().await, expected);
    for block in BLOCKS {
        let dir = Path::new(GOLDEN).join(block);
        for file in ["index", "chunks/000001"] {
            let there = world.bucket.get(&format!("{block}/{file}")).await.unwrap();
            assert_eq!(there, fs::read(dir.join(file)).unwrap());
        }
        let meta = world.meta(block).await;
        assert_eq!(meta.external_labels().to_string(), r#"{cluster="eu-1"}"#);
        assert_eq!(meta.resolution(), Resolution::Raw);
        let thanos = meta.thanos.unwrap();
        assert_eq!(thanos.source, "sidecar");
        assert_eq!(thanos.segment_files, ["000001"]);
        assert_eq!(thanos.upload_time, "2026-08-22T10:00:00Z");
        assert!(thanos.index_stats.chunk_max_size > 0);
        let index = fs::metadata(dir.join("index")).unwrap().len();
        let files: Vec<_> = thanos.files.iter().map(|f| f.rel_path.as_str()).collect();
        assert_eq!(files, ["chunks/000001", "index", "meta.json"]);
        assert_eq!(thanos.files[1].size_bytes, index);
        assert!(world.shipper_file().contains(block));
    }
    let staged = fs::read_dir(world.dir.path().join("thanos/upload")).unwrap();
    assert_eq!(staged.count(), 0);
    let again = world.once().await;
    assert_eq!(again.present, ids(&BLOCKS));
    assert!(again.uploaded.is_empty());
}

#[tokio::test]
async fn blocks_in_the_bucket_are_noted_when_the_shipper_file_is_lost() {
    let world = World::new();
    world.once().await;
    let before = world.shipper_file();
    fs::write(world.dir.path().join("thanos.shipper.json"), "what").unwrap();
    let again = world.once().await;
    assert_eq!(again.present, ids(&BLOCKS));
    assert!(again.uploaded.is_empty());
    assert_eq!(world.shipper_file(), before);
}

#[tokio::test]
async fn broken_blocks_are_named_and_the_others_go_on() {
    let world = World::new();
    let dir = world.dir.path();
    fs::write(dir.join(BLOCKS[0]).join("meta.json"), "{").unwrap();
    fs::remove_file(dir.join(BLOCKS[1]).join("index")).unwrap();
    let pass = world.once().await;
    assert_eq!(pass.uploaded, ids(&BLOCKS[2..]));
    let failed: Vec<BlockId> = pass.failed.iter().map(|(id, _)| *id).collect();
    assert_eq!(failed, ids(&BLOCKS[..2]));
    assert!(pass.failed[1].1.to_string().contains("index: "), "{pass:?}");
    let keys = world.keys().await;
    assert!(keys.iter().all(|k| !k.starts_with(BLOCKS[1])), "{keys:?}");
    copy(&Path::new(GOLDEN).join(BLOCKS[1]), &dir.join(BLOCKS[1]));
    assert_eq!(world.once().await.uploaded, ids(&BLOCKS[1..2]));
}

#[tokio::test]
async fn a_damaged_index_is_uploaded_as_it_is_since_nobody_else_has_it() {
    let world = World::new();
    let index = world.dir.path().join(BLOCKS[0]).join("index");
    let bytes = fs::read(&index).unwrap();
    fs::write(&index, &bytes[..bytes.len() / 2]).unwrap();
    let pass = world.once().await;
    assert_eq!(pass.uploaded, ids(&BLOCKS));
    let stats = world.meta(BLOCKS[0]).await.thanos.unwrap().index_stats;
    assert_eq!(stats, model::IndexStats::default());
}

#[tokio::test]
async fn blocks_without_samples_and_compacted_ones_are_left() {
    let mut world = World::new();
    edit_meta(world.dir.path(), BLOCKS[0], |m| m.stats.num_samples = 0);
    edit_meta(world.dir.path(), BLOCKS[1], |m| m.compaction.level = 2);
    let pass = world.once().await;
    assert_eq!(pass.skipped, ids(&BLOCKS[..2]));
    assert_eq!(pass.uploaded, ids(&BLOCKS[2..]));
    world.config.levels = Levels::All;
    let pass = world.once().await;
    assert_eq!(pass.skipped, ids(&BLOCKS[..1]));
    assert_eq!(pass.uploaded, ids(&BLOCKS[1..2]));
}

#[tokio::test]
async fn a_compacted_block_that_overlaps_the_bucket_is_named_and_the_others_go_on() {
    let mut world = World::new();
    world.config.levels = Levels::All;
    let dir = world.dir.path().to_owned();
    let rest = [BLOCKS[0], BLOCKS[2], BLOCKS[3]];
    let aside = tempfile::tempdir().unwrap();
    for block in rest {
        fs::rename(dir.join(block), aside.path().join(block)).unwrap();
    }
    world.once().await;
    for block in rest {
        fs::rename(aside.path().join(block), dir.join(block)).unwrap();
    }
    edit_meta(&dir, BLOCKS[0], |m| {
        m.compaction.level = 2;
        m.max_time.0 += 1;
    });
    let pass = world.once().await;
    assert_eq!(pass.uploaded, ids(&[BLOCKS[2], BLOCKS[3]]));
    let [(block, error)] = pass.failed.as_slice() else {
        panic!("{pass:?}");
    };
    assert_eq!(*block, ids(&BLOCKS)[0]);
    let expected = format!("compacted block overlaps block {} in the bucket", BLOCKS[1]);
    assert_eq!(error.to_string(), expected);
    world.config.overlaps = crate::Overlaps::Upload;
    assert_eq!(world.once().await.uploaded, ids(&BLOCKS[..1]));
}

#[tokio::test]
async fn labels_must_be_there() {
    let mut world = World::new();
    world.config.labels = LabelSource::Fixed(Labels::default());
    let error = run_once(&world.config, &world.bucket, &world.deps).await;
    assert!(matches!(error, Err(SidecarError::NoExternalLabels)));
    assert!(!world.deps.probe.status().ready);
}

/// Answers as a Prometheus with these flags and labels, until the test ends.
async fn prometheus(
    max_block: &str,
    labels: &'static str,
) -> (PrometheusConfig, watch::Sender<bool>) {
    let (up, is_up) = watch::channel(true);
    let flags = format!(
        r#"{{"status":"success","data":{{"storage.tsdb.min-block-duration":"2h","storage.tsdb.max-block-duration":"{max_block}"}}}}"#
    );
    let config = format!(
        r#"{{"status":"success","data":{{"yaml":"global:\n  external_labels: {labels}\n"}}}}"#
    );
    let config = move || {
        let answer = match *is_up.borrow() {
            true => (StatusCode::OK, config.clone()),
            false => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Service Unavailable".to_owned(),
            ),
        };
        std::future::ready(answer)
    };
    let version = r#"{"status":"success","data":{"version":"3.9.1"}}"#;
    let app = Router::new()
        .route(
            "/prefix/api/v1/status/flags",
            get(move || std::future::ready(flags.clone())),
        )
        .route(
            "/prefix/api/v1/status/buildinfo",
            get(move || std::future::ready(version)),
        )
        .route("/prefix/api/v1/status/config", get(config))
        .route(
            "/prefix/metrics",
            get(|| async { "prometheus_tsdb_lowest_timestamp_seconds 1.7e+09\n" }),
        )
        .route(
            "/prefix/api/v1/labels",
            get(|| async { r#"{"status":"success","data":["__name__","job"]}"# }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let peer = PrometheusConfig {
        url: format!("http://{address}/prefix/"),
        ready_timeout: Duration::ZERO,
        get_config_interval: Duration::from_millis(1),
        get_config_timeout: Duration::from_secs(30),
        http_client: service::HttpClientConfig::default(),
        unequal_blocks: UnequalBlocks::Refuse,
        reloader: crate::ReloaderConfig::default(),
    };
    (peer, up)
}

#[tokio::test]
async fn the_daemon_takes_the_labels_of_prometheus_and_follows_its_health() {
    let mut world = World::new();
    let (peer, up) = prometheus("2h", "{replica: a, cluster: eu-2}").await;
    world.config.labels = LabelSource::Prometheus(Box::new(peer));
    let shutdown = CancellationToken::new();
    let mut status = world.deps.probe.subscribe();
    let daemon = tokio::spawn(run(
        world.config.clone(),
        Some(world.bucket.clone()),
        world.deps.clone(),
        shutdown.clone(),
        None,
    ));
    status.wait_for(|s| s.ready).await.unwrap();
    up.send(false).unwrap();
    status.wait_for(|s| !s.ready).await.unwrap();
    let metrics = world.deps.metrics.encode(Exposition::Prometheus);
    assert!(
        metrics.contains("\nthanos_sidecar_prometheus_up 0\n"),
        "{metrics}"
    );
    let beat = "\nthanos_sidecar_last_heartbeat_success_time_seconds 1787392800.0\n";
    assert!(metrics.contains(beat), "{metrics}");
    up.send(true).unwrap();
    status.wait_for(|s| s.ready).await.unwrap();
    shutdown.cancel();
    daemon.await.unwrap().unwrap();
    assert!(!world.deps.probe.status().ready);
}

#[tokio::test]
async fn one_pass_takes_the_labels_of_prometheus() {
    let mut world = World::new();
    let (peer, _up) = prometheus("2h", "{replica: a, cluster: eu-2}").await;
    world.config.labels = LabelSource::Prometheus(Box::new(peer));
    assert_eq!(world.once().await.uploaded, ids(&BLOCKS));
    let labels = world.meta(BLOCKS[0]).await.external_labels();
    assert_eq!(labels.to_string(), r#"{cluster="eu-2", replica="a"}"#);
}

#[tokio::test]
async fn a_prometheus_that_compacts_or_has_no_labels_is_refused() {
    let mut world = World::new();
    for (max_block, labels, expected) in [
        ("36h", "{cluster: eu-1}", "max-block-duration 36h"),
        ("2h", "{}", "no external labels"),
    ] {
        let (peer, _up) = prometheus(max_block, labels).await;
        world.config.labels = LabelSource::Prometheus(Box::new(peer));
        let deps = world.deps.clone();
        let shutdown = CancellationToken::new();
        let bucket = Some(world.bucket.clone());
        let error = run(world.config.clone(), bucket, deps, shutdown, None).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_prometheus_that_does_not_come_up_ends_the_wait() {
    let mut world = World::new();
    let (peer, up) = prometheus("2h", "{cluster: eu-1}").await;
    up.send(false).unwrap();
    world.config.labels = LabelSource::Prometheus(Box::new(peer));
    let error = run_once(&world.config, &world.bucket, &world.deps).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("status 503: Service Unavailable"), "{error}");
}

mod uploads;
