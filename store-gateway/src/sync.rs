//! Looks at the bucket again and again, and says what is served from then on.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bucket::{Bucket, BucketError, MetaFetcher};
use model::{BlockId, Labels, Timestamp};
use service::{Clock, Probe};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep,
};

use crate::{
    Config, Deps, GatewayError,
    block::HeaderFiles,
    catalog::{Catalog, Extent, Format, Rules},
    metrics::CatalogMetrics,
};

/// Pause after a look that failed, as long as there was none that did not.
const RETRY: Duration = Duration::from_secs(10);

/// Below the data folder: the metadata of blocks that were read.
const CACHE_DIR: &str = "meta-syncer";

/// What is served from one look at the bucket to the next.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) catalog: Catalog,
    pub(crate) advertised: Advertised,
}

/// What others are told of the blocks, counted together once for each look.
#[derive(Debug)]
pub(crate) struct Advertised {
    /// The times of all.
    pub(crate) extent: Extent,
    /// External labels, sorted, with the times of the blocks that have them.
    pub(crate) sets: Vec<(Labels, Extent)>,
}

/// Lets others have the bucket looked at now. Clones are of the same gateway.
#[derive(Clone, Debug)]
pub struct SyncHandle(mpsc::Sender<Asked>);

/// Who waits for a look that has not begun.
type Asked = oneshot::Sender<Result<(), String>>;

/// Looks at the bucket.
#[derive(Debug)]
pub(crate) struct Syncer {
    fetcher: MetaFetcher,
    rules: Rules,
    headers: Arc<HeaderFiles>,
    interval: Duration,
    clock: Arc<dyn Clock>,
    probe: Probe,
    metrics: CatalogMetrics,
    served: watch::Sender<Option<Arc<Served>>>,
    asked: mpsc::Receiver<Asked>,
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
        let (ask, asked) = mpsc::channel(1);
        let syncer = Self {
            fetcher,
            rules: Rules::from(config),
            headers,
            interval: config.sync_interval,
            clock: Arc::clone(&deps.clock),
            probe: deps.probe.clone(),
            metrics: CatalogMetrics::new(&deps.metrics),
            served: watch::Sender::new(None),
            asked,
        };
        (syncer, SyncHandle(ask))
    }

    /// What is served, from now on.
    pub(crate) fn served(&self) -> watch::Receiver<Option<Arc<Served>>> {
        self.served.subscribe()
    }

    /// Looks again and again, and whenever it is asked to.
    pub(crate) async fn run(mut self) {
        let mut waiting: Vec<Asked> = Vec::new();
        self.clear(|headers| headers.remove_parts()).await;
        loop {
            let looked = self.sync().await.map_err(|error| error.to_string());
            if let Err(error) = &looked {
                tracing::error!(
                    error,
                    "the bucket could not be looked at, it will be tried again"
                );
            }
            for answer in waiting.drain(..) {
                // Whoever asked may have gone away.
                let _ = answer.send(looked.clone());
            }
            let pause = if self.served.borrow().is_some() {
                self.interval
            } else {
                RETRY
            };
            tokio::select! {
                () = sleep(pause) => {}
                Some(first) = self.asked.recv() => waiting.push(first),
            }
            while let Ok(more) = self.asked.try_recv() {
                waiting.push(more);
            }
        }
    }

    /// Looks once. If that fails, what was found before is served on.
    async fn sync(&mut self) -> Result<(), BucketError> {
        let snapshot = self.fetcher.fetch().await?;
        let now = Timestamp(self.clock.now_ms());
        let (catalog, states) = Catalog::new(&snapshot, &self.rules, now);
        self.metrics.states(&states);
        let (corrupted, without_meta): (Vec<_>, Vec<_>) = snapshot
            .partial
            .iter()
            .partition(|block| block.objects.files.contains_key(model::BlockMeta::FILE));
        self.metrics.state("corrupted-meta-json", corrupted.len());
        self.metrics.state("no-meta-json", without_meta.len());
        self.count(&catalog, now);
        let advertised = Advertised::new(&catalog);
        let kept = catalog
            .blocks()
            .filter(|block| block.format == Format::Tsdb);
        let kept: BTreeSet<BlockId> = kept.map(|block| block.id).collect();
        self.served.send_replace(Some(Arc::new(Served {
            catalog,
            advertised,
        })));
        self.probe.ready();
        self.clear(move |headers| headers.retain(&kept)).await;
        Ok(())
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

impl Advertised {
    fn new(catalog: &Catalog) -> Self {
        let groups = catalog.groups.iter();
        Self {
            extent: catalog.extent(),
            sets: groups
                .map(|group| (group.labels.clone(), group.extent()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
