//! A Prometheus's folder, a bucket on an S3 server, and the three daemons beside them.

mod recent;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use bucket::{Bucket, BucketConfig, Retry};
use compactor::Sharing;
use model::Labels;
use service::{Clock, CpuPool, Exposition, ManualClock, Metrics, Probe};
use sidecar::LabelSource;
use store_gateway::{Gateway, SyncHandle};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use self::recent::RunningDaemon;
use crate::{S3Server, StoreClient, fixtures};

/// When the tests take place, in milliseconds since the Unix epoch: some hours after the fixtures were written.
const NOW: i64 = 1_795_600_000_000;
/// How long a test waits for what has to come.
const DEADLINE: Duration = Duration::from_secs(60);

/// A Prometheus's folder, a bucket, and a time that the test sets.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
    /// The time of all daemons and of the bucket.
    pub clock: ManualClock,
    /// The server of the bucket.
    pub s3: S3Server,
    pool: CpuPool,
}

/// A store gateway that runs. It ends with [`Self::stop`], or is cut off with this value.
#[derive(Debug)]
pub struct RunningGateway {
    /// Where it listens for gRPC.
    pub address: SocketAddr,
    /// A client of it.
    pub client: StoreClient,
    sync: SyncHandle,
    metrics: Metrics,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), store_gateway::GatewayError>>,
}

impl World {
    /// How long a compactor's lease lasts.
    pub const LEASE: Duration = Duration::from_mins(5);

    /// An empty folder and an empty bucket.
    ///
    /// # Errors
    /// When the system gives no folder, port or thread.
    pub async fn new() -> anyhow::Result<Self> {
        let clock = ManualClock::new(NOW);
        Ok(Self {
            dir: tempfile::tempdir()?,
            s3: S3Server::start(Arc::new(clock.clone())).await?,
            clock,
            pool: CpuPool::new("test", 2)?,
        })
    }

    /// The same with some of the sample's blocks in the folder.
    ///
    /// # Errors
    /// As [`Self::new`], or when a fixture cannot be copied.
    pub async fn with_sample(blocks: &[&str]) -> anyhow::Result<Self> {
        let world = Self::new().await?;
        fixtures::copy_blocks(&fixtures::sample_dir(), blocks, &world.tsdb_dir())?;
        Ok(world)
    }

    /// The external labels of the Prometheus.
    #[must_use]
    pub fn external_labels() -> Labels {
        Labels::from_pairs([("cluster", "eu-1"), ("replica", "a")])
    }

    /// The folder of the Prometheus.
    #[must_use]
    pub fn tsdb_dir(&self) -> PathBuf {
        self.dir.path().join("tsdb")
    }

    /// The folder of the compactor.
    #[must_use]
    pub fn compactor_dir(&self) -> PathBuf {
        self.dir.path().join("compactor")
    }

    /// A folder for files of the test.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.dir.path().join("scratch")
    }

    /// The bucket as a daemon reaches it.
    ///
    /// # Errors
    /// When its configuration is refused.
    pub fn bucket(&self) -> anyhow::Result<Bucket> {
        let mut config = BucketConfig::from_yaml(&self.s3.objstore_yaml(), |_| None)?;
        // What fails for good fails soon.
        config.retry = Retry {
            attempts: 3,
            timeout: Duration::from_secs(5),
            pause: Duration::from_millis(1),
            longest_pause: None,
        };
        Ok(config.open()?)
    }

    /// One pass of the sidecar.
    ///
    /// # Errors
    /// As the sidecar says.
    pub async fn upload(&self) -> anyhow::Result<sidecar::Pass> {
        self.upload_from(&self.tsdb_dir(), Self::external_labels())
            .await
    }

    /// One pass of the sidecar of another Prometheus.
    ///
    /// # Errors
    /// As the sidecar says.
    pub async fn upload_from(&self, dir: &Path, labels: Labels) -> anyhow::Result<sidecar::Pass> {
        let config = sidecar::Config::new(LabelSource::Fixed(labels), dir);
        Ok(sidecar::run_once(&config, &self.bucket()?, &self.sidecar_deps()).await?)
    }

    fn sidecar_deps(&self) -> sidecar::Deps {
        let metrics = Metrics::new();
        sidecar::Deps {
            clock: self.clock(),
            pool: self.pool.clone(),
            probe: Probe::new("sidecar", &metrics),
            metrics,
        }
    }

    /// Puts a block, whose files are in `dir`, into the bucket below `root`, as an upload that nobody sees.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn put_block(&self, dir: &Path, root: &str) -> anyhow::Result<()> {
        for (name, path) in fixtures::files(dir)? {
            self.s3.put(&format!("{root}/{name}"), std::fs::read(path)?);
        }
        Ok(())
    }

    /// One run of the compactor, long enough after now that no block is too fresh.
    ///
    /// # Errors
    /// As the compactor says.
    pub async fn compact(&self) -> anyhow::Result<compactor::Summary> {
        let hour = 3_600_000;
        self.clock.advance(hour);
        self.compact_bucket(self.bucket()?).await
    }

    /// One run of the compactor on another bucket.
    ///
    /// # Errors
    /// As the compactor says.
    pub async fn compact_bucket(&self, bucket: Bucket) -> anyhow::Result<compactor::Summary> {
        self.compact_with(compactor::Config::default(), bucket)
            .await
    }

    /// One run of the compactor with these settings, but in its own folder and under leases.
    ///
    /// # Errors
    /// As the compactor says.
    pub async fn compact_with(
        &self,
        config: compactor::Config,
        bucket: Bucket,
    ) -> anyhow::Result<compactor::Summary> {
        self.compact_as("compactor", config, bucket).await
    }

    /// One run of one of several compactors, each of which has a name and a folder of that name.
    ///
    /// # Errors
    /// As the compactor says.
    pub async fn compact_as(
        &self,
        name: &str,
        config: compactor::Config,
        bucket: Bucket,
    ) -> anyhow::Result<compactor::Summary> {
        self.compact_until(CancellationToken::new(), name, config, bucket)
            .await
    }

    /// The same, which may be told to stop.
    ///
    /// # Errors
    /// As the compactor says.
    pub async fn compact_until(
        &self,
        shutdown: CancellationToken,
        name: &str,
        config: compactor::Config,
        bucket: Bucket,
    ) -> anyhow::Result<compactor::Summary> {
        let config = compactor::Config {
            data_dir: self.dir.path().join(name),
            sharing: Sharing::Leases {
                holder: name.to_owned(),
                duration: Self::LEASE,
            },
            ..config
        };
        let metrics = Metrics::new();
        let deps = compactor::Deps {
            clock: self.clock(),
            pool: self.pool.clone(),
            probe: Probe::new("compact", &metrics),
            board: Default::default(),
            metrics,
        };
        Ok(compactor::run(config, bucket, deps, shutdown).await?)
    }

    /// Starts a store gateway with nothing on its disk, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn gateway(&self) -> anyhow::Result<RunningGateway> {
        self.gateway_to(self.bucket()?).await
    }

    /// The same on another bucket.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn gateway_to(&self, bucket: Bucket) -> anyhow::Result<RunningGateway> {
        let gateway = self.start_gateway(bucket).await?;
        gateway.ready().await?;
        Ok(gateway)
    }

    /// Starts a store gateway, whether or not it becomes ready.
    ///
    /// # Errors
    /// When it does not listen.
    pub async fn start_gateway(&self, bucket: Bucket) -> anyhow::Result<RunningGateway> {
        self.start_gateway_with(store_gateway::Config::default(), bucket)
            .await
    }

    /// The same with these settings, but a folder of its own.
    ///
    /// # Errors
    /// As [`Self::start_gateway`].
    pub async fn start_gateway_with(
        &self,
        config: store_gateway::Config,
        bucket: Bucket,
    ) -> anyhow::Result<RunningGateway> {
        let config = store_gateway::Config {
            data_dir: tempfile::tempdir_in(self.dir.path())?.keep(),
            ..config
        };
        let metrics = Metrics::new();
        let deps = store_gateway::Deps {
            clock: self.clock(),
            pool: self.pool.clone(),
            probe: Probe::new("store", &metrics),
            board: Default::default(),
            metrics: metrics.clone(),
            caches: Default::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let gateway = Gateway::new(&config, bucket, deps);
        let sync = gateway.sync_handle();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(gateway.run(shutdown.clone(), listener));
        Ok(RunningGateway {
            address,
            client: StoreClient::connect(address).await?,
            sync,
            metrics,
            shutdown,
            task,
        })
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }
}

impl RunningGateway {
    /// Waits until it says that it serves.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let ready = tokio::time::timeout(DEADLINE, self.client.ready()).await;
        ready.context("the gateway is not ready in time")?
    }

    /// Has it look at the bucket, and waits until what was found is served.
    ///
    /// # Errors
    /// When the bucket cannot be listed.
    pub async fn sync(&self) -> anyhow::Result<()> {
        Ok(self.sync.sync().await?)
    }

    /// Its metrics as `/metrics` would give them.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.metrics.encode(Exposition::Prometheus)
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// As the gateway says; when it does not end in time.
    pub async fn stop(self) -> anyhow::Result<()> {
        drop(self.client);
        self.shutdown.cancel();
        let ended = tokio::time::timeout(DEADLINE, self.task).await;
        Ok(ended.context("the gateway does not end in time")???)
    }
}
