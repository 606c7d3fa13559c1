//! Looks at the bucket again and again, and says what is served from then on.

mod advertised;
mod backoff;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bucket::{Bucket, BucketError, MetaFetcher, Snapshot};
use model::{BlockId, Timestamp};
use service::{Clock, Probe};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep},
};

pub(crate) use self::advertised::Advertised;
use self::{advertised::Extents, backoff::Backoff};

use crate::{
    Config, Deps, GatewayError,
    block::HeaderFiles,
    catalog::{Catalog, Format, Rules},
    metrics::CatalogMetrics,
};

/// So many attempts to read what is missing are made before the bucket is listed again.
const ATTEMPTS: u32 = 4;

/// Below the data folder: the metadata of blocks that were read.
const CACHE_DIR: &str = "meta-syncer";

/// What is served from one look at the bucket to the next.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) catalog: Catalog,
    extents: Extents,
}

/// Lets others have the bucket looked at now. Clones are of the same gateway.
#[derive(Clone, Debug)]
pub struct SyncHandle(mpsc::Sender<Reply>);

/// Where the outcome of a look goes that somebody asked for.
type Reply = oneshot::Sender<Result<(), String>>;

/// Looks at the bucket.
#[derive(Debug)]
pub(crate) struct Syncer {
    fetcher: MetaFetcher,
    rules: Rules,
    headers: Arc<HeaderFiles>,
    interval: Duration,
    concurrency: usize,
    clock: Arc<dyn Clock>,
    probe: Probe,
    /// How many blocks were unread at the last attempt.
    unread: usize,
    metrics: CatalogMetrics,
    served: watch::Sender<Option<Arc<Served>>>,
    requests: mpsc::Receiver<Reply>,
}

impl SyncHandle {
    /// Has the bucket looked at, and returns when what was found is served.
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
            metrics: CatalogMetrics::new(&deps.metrics),
            served: watch::Sender::new(None),
            requests,
        };
        (syncer, SyncHandle(ask))
    }

    /// What is served, from now on.
    pub(crate) fn served(&self) -> watch::Receiver<Option<Arc<Served>>> {
        self.served.subscribe()
    }

    /// Looks again and again, and whenever it is asked to. What was listed and not read is tried again soon, and so is a
    /// listing that failed.
    pub(crate) async fn run(mut self) {
        let mut waiting: Vec<Reply> = Vec::new();
        let mut backoff = Backoff::default();
        // When the bucket is to be listed, whatever is missing.
        let mut due = Instant::now();
        self.clear(|headers| headers.remove_parts()).await;
        loop {
            // Who asks has a reason to think that it is better now.
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
                    // A bucket that gives a part each time, as it takes so many requests a second, will give the rest
                    // soon.
                    if looked.is_ok() && self.unread < unread {
                        backoff = Backoff::default();
                    }
                    backoff.pause().min(self.interval)
                }
            };
            let looked = looked.map_err(|error| error.to_string());
            for answer in waiting.drain(..) {
                // Whoever asked may have gone away.
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

    /// Looks once, and tries again a few times to read what is missing then.
    pub(crate) async fn look(&mut self) -> Result<(), BucketError> {
        self.sync().await?;
        let mut backoff = Backoff::default();
        while self.unread > 0 && backoff.attempts() < ATTEMPTS {
            sleep(backoff.pause()).await;
            self.retry(backoff.attempts()).await?;
        }
        Ok(())
    }

    /// Looks once. If that fails, what was found before is served on.
    async fn sync(&mut self) -> Result<(), BucketError> {
        let snapshot = self.fetcher.fetch().await?;
        self.serve(&snapshot).await;
        Ok(())
    }

    /// Reads once more what is missing, the less at once the more attempts have failed: the bucket may refuse as it is
    /// asked too much.
    async fn retry(&mut self, attempts: u32) -> Result<(), BucketError> {
        let concurrency = self.concurrency.checked_shr(attempts).unwrap_or(1).max(1);
        let snapshot = self.fetcher.retry(concurrency).await?;
        if snapshot.unread.len() != self.unread {
            self.serve(&snapshot).await;
        }
        Ok(())
    }

    /// Serves what was found from now on. Ready is who has once read all that is listed.
    async fn serve(&mut self, snapshot: &Snapshot) {
        let now = Timestamp(self.clock.now_ms());
        let (catalog, states) = Catalog::new(snapshot, &self.rules, now);
        self.metrics.states(&states);
        let (corrupted, without_meta): (Vec<_>, Vec<_>) = snapshot
            .partial
            .iter()
            .partition(|block| block.objects.files.contains_key(model::BlockMeta::FILE));
        self.metrics.state("corrupted-meta-json", corrupted.len());
        self.metrics.state("no-meta-json", without_meta.len());
        self.metrics.state("failed", snapshot.unread.len());
        self.count(&catalog, now);
        let extents = Extents::of(&catalog);
        let kept = catalog
            .blocks()
            .filter(|block| block.format == Format::Tsdb);
        let mut kept: BTreeSet<BlockId> = kept.map(|block| block.id).collect();
        kept.extend(catalog.missing.iter().map(|block| block.id));
        self.served
            .send_replace(Some(Arc::new(Served { catalog, extents })));
        self.unread = snapshot.unread.len();
        match snapshot.unread.first() {
            None => self.probe.ready(),
            Some(first) => {
                let (blocks, reason) = (self.unread, &first.reason);
                let ready = self.probe.status().ready;
                tracing::warn!(
                    blocks,
                    ready,
                    reason,
                    "metadata of listed blocks could not be read, trying again later"
                );
            }
        }
        self.clear(move |headers| headers.retain(&kept)).await;
    }

    /// Removes index headers from the disk.
    async fn clear(&self, clear: impl FnOnce(&HeaderFiles) + Send + 'static) {
        let headers = Arc::clone(&self.headers);
        // Not done when the program ends.
        let _ = tokio::task::spawn_blocking(move || clear(&headers)).await;
    }

    fn count(&self, catalog: &Catalog, now: Timestamp) {
        let roots = |catalog: &Catalog| -> BTreeSet<String> {
            catalog.blocks().map(|block| block.root.clone()).collect()
        };
        let after = roots(catalog);
        let before = self.served.borrow().clone();
        let before = before
            .map(|served| roots(&served.catalog))
            .unwrap_or_default();
        let (loaded, dropped) = (
            after.difference(&before).count(),
            before.difference(&after).count(),
        );
        self.metrics.changed(loaded, dropped, after.len(), now);
        tracing::info!(
            blocks = after.len(),
            loaded,
            dropped,
            "looked at the bucket"
        );
    }
}

impl Served {
    /// What others may be told at `now`.
    pub(crate) fn advertised(&self, now: Timestamp) -> Advertised {
        self.extents.within(self.catalog.bounds(now))
    }
}

#[cfg(test)]
mod tests;
