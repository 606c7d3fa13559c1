//! Looking at the bucket, by the run itself and for the page.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bucket::{BlockView, Bucket, BucketError, MetaFetcher, Snapshot, SyncMetrics};
use model::Timestamp;
use page::Board;
use service::Clock;
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use crate::{Config, Deps, Watching, millis, plan::foreign};

/// Looks at the bucket, and tells the board what was seen. Clones share what they know of the bucket.
#[derive(Clone, Debug)]
pub(super) struct Looker {
    fetcher: Arc<Mutex<MetaFetcher>>,
    /// When the bucket was last looked at.
    last: Arc<AtomicI64>,
    board: Board,
    clock: Arc<dyn Clock>,
    config: Arc<Config>,
}

impl Looker {
    pub(super) fn new(config: &Config, bucket: Bucket, deps: &Deps) -> Self {
        let fetcher = MetaFetcher::new(
            bucket,
            Some(config.data_dir.join("meta-syncer")),
            config.meta_fetch_concurrency,
            deps.metrics
                .register_once("block syncs", SyncMetrics::register),
        );
        Self {
            fetcher: Arc::new(Mutex::new(fetcher)),
            last: Arc::new(AtomicI64::new(i64::MIN)),
            board: deps.board.clone(),
            clock: Arc::clone(&deps.clock),
            config: Arc::new(config.clone()),
        }
    }

    /// The contents of the bucket now.
    ///
    /// # Errors
    /// When the bucket cannot be listed.
    pub(super) async fn look(&self) -> Result<Arc<Snapshot>, BucketError> {
        let fetched = self.fetcher.lock().await.fetch().await;
        let looked = fetched.map(Arc::new);
        match &looked {
            Ok(snapshot) => self.listed(snapshot).await,
            Err(error) => self.not_listed(&error.to_string()),
        }
        looked
    }

    /// Looks for the page, whenever nobody has looked for `watching.interval`: a merge may take hours.
    pub(super) async fn watch(self, watching: Watching, metrics: SyncMetrics) -> Infallible {
        loop {
            sleep(watching.interval).await;
            let age = self.now().saturating_sub(self.last.load(Ordering::Relaxed));
            if age < millis(watching.interval) {
                continue;
            }
            let fetch = async { self.fetcher.lock().await.fetch_as(&metrics).await };
            match timeout(watching.timeout, fetch).await {
                Ok(Ok(snapshot)) => self.listed(&Arc::new(snapshot)).await,
                Ok(Err(error)) => self.failed(&error.to_string()),
                Err(_) => self.failed(&too_slow(watching.timeout)),
            }
        }
    }

    fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    async fn listed(&self, snapshot: &Arc<Snapshot>) {
        let now = self.now();
        self.last.store(now, Ordering::Relaxed);
        let options = self.config.plan_options(Timestamp(now));
        let is_ours = move |view: &BlockView| foreign(&view.meta, &options).is_none();
        self.board.listed(snapshot, Timestamp(now), is_ours).await;
    }

    /// Nobody but the page hears of it.
    fn failed(&self, error: &str) {
        tracing::warn!(error, "bucket not listed for the page, trying again later");
        self.not_listed(error);
    }

    fn not_listed(&self, error: &str) {
        let now = self.now();
        self.last.store(now, Ordering::Relaxed);
        self.board.not_listed(error, Timestamp(now));
    }
}

fn too_slow(limit: Duration) -> String {
    format!("the bucket was not read within {limit:?}")
}

#[cfg(test)]
mod tests {
    use service::{CpuPool, Exposition, ManualClock, Metrics, Probe};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_bucket_is_listed_for_the_page_if_nobody_else_has_looked() {
        const MINUTE: i64 = 60_000;
        let dir = tempfile::tempdir().unwrap();
        let (metrics, clock) = (Metrics::new(), Arc::new(ManualClock::new(0)));
        let deps = Deps {
            clock: Arc::<ManualClock>::clone(&clock),
            pool: CpuPool::for_requests(1),
            metrics: metrics.clone(),
            probe: Probe::new("compact", &metrics),
            board: Board::new(),
        };
        let config = Config {
            data_dir: dir.path().to_owned(),
            ..Config::default()
        };
        let looker = Looker::new(&config, Bucket::in_memory(), &deps);
        let watching = Watching {
            interval: Duration::from_mins(1),
            timeout: Duration::from_mins(5),
        };
        let syncs = metrics.register_once("page", SyncMetrics::register_page);
        let watch = tokio::spawn(looker.clone().watch(watching, syncs));
        let listed = |text: &str, times: u8| {
            let line = format!("thanos_bucket_uiblocks_meta_syncs_total {times}\n");
            assert!(text.contains(&line), "{text}");
        };
        looker.look().await.unwrap();
        clock.set(MINUTE - 1);
        sleep(Duration::from_millis(60_500)).await;
        listed(&metrics.encode(Exposition::Prometheus), 0);
        // A merge runs, and nobody looks.
        clock.set(2 * MINUTE);
        for _ in 0..1000 {
            sleep(Duration::from_millis(61)).await;
            std::thread::yield_now();
        }
        listed(&metrics.encode(Exposition::Prometheus), 1);
        watch.abort();
    }
}
