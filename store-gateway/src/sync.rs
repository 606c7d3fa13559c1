//! Synchronizes the served blocks with the bucket, again and again.

mod advertised;
mod backoff;
mod prepared;

use std::{sync::Arc, time::Duration};

use bucket::{BlockView, Bucket, BucketError, MetaFetcher, Snapshot};
use model::Timestamp;
use page::Board;
use service::{Clock, Probe, blocking, in_span, span};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep},
};

pub(crate) use self::advertised::Advertised;
use self::{advertised::Extents, backoff::Backoff, prepared::Prepared};

use crate::{
    Config, Deps, GatewayError,
    block::HeaderFiles,
    catalog::{Catalog, Rules, unread},
    metrics::CatalogMetrics,
};

/// After so many attempts to read what is missing, the bucket is listed again.
const ATTEMPTS: u32 = 4;

/// Below the data folder: the cached metadata of blocks.
const CACHE_DIR: &str = "meta-syncer";

/// What is served between two synchronizations.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) catalog: Catalog,
    extents: Extents,
}

/// Requests a synchronization. Clones belong to the same gateway.
#[derive(Clone, Debug)]
pub struct SyncHandle(mpsc::Sender<Reply>);

/// Receives the outcome of a requested synchronization.
type Reply = oneshot::Sender<Result<(), String>>;

/// Synchronizes with the bucket.
#[derive(Debug)]
pub(crate) struct Syncer {
    fetcher: MetaFetcher,
    rules: Rules,
    headers: Arc<HeaderFiles>,
    interval: Duration,
    concurrency: usize,
    clock: Arc<dyn Clock>,
    probe: Probe,
    board: Board,
    /// The number of unread blocks at the last attempt.
    unread: usize,
    metrics: CatalogMetrics,
    served: watch::Sender<Option<Arc<Served>>>,
    requests: mpsc::Receiver<Reply>,
}

impl SyncHandle {
    /// Synchronizes now, and returns when the result is served.
    ///
    /// # Errors
    /// When the bucket cannot be listed, or the gateway has ended.
    pub async fn sync(&self) -> Result<(), GatewayError> {
        let (answer, done) = oneshot::channel();
        self.0.send(answer).await.map_err(|_| GatewayError::Ended)?;
        let looked = done.await.map_err(|_| GatewayError::Ended)?;
        looked.map_err(|reason| GatewayError::Sync { reason })
    }
}

impl Syncer {
    pub(crate) fn new(
        config: &Config,
        bucket: Bucket,
        deps: &Deps,
        headers: Arc<HeaderFiles>,
    ) -> (Self, SyncHandle) {
        let fetcher = MetaFetcher::new(
            bucket,
            Some(config.data_dir.join(CACHE_DIR)),
            config.meta_fetch_concurrency,
            deps.metrics.with_registry(bucket::SyncMetrics::register),
        );
        let (ask, requests) = mpsc::channel(1);
        let syncer = Self {
            fetcher,
            rules: Rules::from(config),
            headers,
            interval: config.sync_interval,
            concurrency: config.meta_fetch_concurrency,
            unread: 0,
            clock: Arc::clone(&deps.clock),
            probe: deps.probe.clone(),
            board: deps.board.clone(),
            metrics: CatalogMetrics::new(&deps.metrics),
            served: watch::Sender::new(None),
            requests,
        };
        (syncer, SyncHandle(ask))
    }

    /// A watch on what is served.
    pub(crate) fn served(&self) -> watch::Receiver<Option<Arc<Served>>> {
        self.served.subscribe()
    }

    /// Synchronizes again and again, and on request. Unread objects and failed listings are tried again soon.
    pub(crate) async fn run(mut self) {
        let mut waiting: Vec<Reply> = Vec::new();
        let mut backoff = Backoff::default();
        // When the bucket is to be listed next, whatever is unread.
        let mut due = Instant::now();
        self.clear(|headers| headers.remove_parts()).await;
        loop {
            // A request is a reason to try at once.
            if !waiting.is_empty() {
                backoff = Backoff::default();
            }
            let is_due = Instant::now() >= due || !waiting.is_empty();
            let unread = self.unread;
            let looked = if is_due || self.unread == 0 || backoff.attempts() % ATTEMPTS == 0 {
                due = Instant::now() + self.interval;
                self.sync().await
            } else {
                self.retry(backoff.attempts()).await
            };
            if let Err(error) = &looked {
                self.board.not_listed(&error.to_string(), self.now());
                tracing::error!(
                    %error,
                    "bucket not listed, trying again later"
                );
            }
            let pause = match &looked {
                Ok(()) if self.unread == 0 => {
                    backoff = Backoff::default();
                    due.saturating_duration_since(Instant::now())
                }
                looked => {
                    // A bucket that limits requests and gave some objects will give the others soon.
                    if looked.is_ok() && self.unread < unread {
                        backoff = Backoff::default();
                    }
                    backoff.pause().min(self.interval)
                }
            };
            let looked = looked.map_err(|error| error.to_string());
            for answer in waiting.drain(..) {
                // The receiver may be gone.
                let _ = answer.send(looked.clone());
            }
            tokio::select! {
                () = sleep(pause) => {}
                Some(first) = self.requests.recv() => waiting.push(first),
            }
            while let Ok(more) = self.requests.try_recv() {
                waiting.push(more);
            }
        }
    }

    /// Synchronizes once, and tries a few times more to read what is missing.
    pub(crate) async fn look(&mut self) -> Result<(), BucketError> {
        self.sync().await?;
        let mut backoff = Backoff::default();
        while self.unread > 0 && backoff.attempts() < ATTEMPTS {
            sleep(backoff.pause()).await;
            self.retry(backoff.attempts()).await?;
        }
        Ok(())
    }

    /// Synchronizes once. If that fails, the former blocks stay in service.
    async fn sync(&mut self) -> Result<(), BucketError> {
        let work = async {
            let snapshot = Arc::new(self.fetcher.fetch().await?);
            self.serve(&snapshot).await;
            Ok(())
        };
        in_span(span!("blocks_meta_sync"), Box::pin(work)).await
    }

    /// Tries again to read what is missing. Each failed attempt lowers the concurrency, as the bucket may refuse
    /// because it gets too many requests.
    async fn retry(&mut self, attempts: u32) -> Result<(), BucketError> {
        let concurrency = self.concurrency.checked_shr(attempts).unwrap_or(1).max(1);
        let snapshot = Arc::new(self.fetcher.retry(concurrency).await?);
        if unread(&snapshot, &self.rules.blocks).count() != self.unread {
            self.serve(&snapshot).await;
        }
        Ok(())
    }

    /// Serves the snapshot from now on. The gateway becomes ready once everything that is listed has been read.
    async fn serve(&mut self, snapshot: &Arc<Snapshot>) {
        let now = self.now();
        let before = self.served.borrow().clone();
        let (rules, of) = (self.rules.frozen(), Arc::clone(snapshot));
        // Not on the pool: a small answer must not wait for a second of work.
        let work = move || Prepared::of(&of, &rules, now, before.as_deref());
        let prepared = blocking(work).await;
        self.report(&prepared, now);
        if self.board.is_shown() {
            let served = prepared.roots;
            let is_served = move |view: &BlockView| served.contains(&view.objects.root);
            self.board.listed(snapshot, now, is_served).await;
        }
        let former = self.served.send_replace(Some(Arc::new(prepared.served)));
        if self.board.is_shown() {
            self.board.serves(prepared.whole);
        }
        self.unread = prepared.unread;
        match prepared.reason {
            None => self.probe.ready(),
            Some(reason) => {
                let blocks = self.unread;
                let ready = self.probe.status().ready;
                tracing::warn!(
                    blocks,
                    ready,
                    reason,
                    "metadata of listed blocks could not be read, trying again later"
                );
            }
        }
        let kept = prepared.headers;
        let clear = move |headers: &HeaderFiles| {
            headers.retain(&kept);
            // Many blocks take their time.
            drop(former);
        };
        self.clear(clear).await;
    }

    /// Counts and logs what is served from `now` on.
    fn report(&self, prepared: &Prepared, now: Timestamp) {
        self.metrics.states(&prepared.states);
        for (state, blocks) in [
            ("corrupted-meta-json", prepared.corrupted),
            ("no-meta-json", prepared.without_meta),
            ("failed", prepared.unread),
        ] {
            self.metrics.state(state, blocks);
        }
        let (loaded, dropped) = (prepared.loaded, prepared.dropped);
        let blocks = prepared.roots.len();
        self.metrics.changed(loaded, dropped, blocks, now);
        tracing::info!(
            blocks,
            loaded,
            dropped,
            "synchronized the blocks of the bucket"
        );
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }

    /// Removes index headers from the disk.
    async fn clear(&self, clear: impl FnOnce(&HeaderFiles) + Send + 'static) {
        let headers = Arc::clone(&self.headers);
        // The task does not run when the program is ending.
        let _ = tokio::task::spawn_blocking(move || clear(&headers)).await;
    }
}

impl Served {
    /// What is advertised at `now`.
    pub(crate) fn advertised(&self, now: Timestamp) -> Advertised {
        self.extents.within(self.catalog.bounds(now))
    }
}

#[cfg(test)]
mod tests;
