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
