//! A Prometheus in the test's own process: what lies in blocks, by its HTTP API and by remote read.

mod api;
mod read;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use axum::{
    Router,
    routing::{get, post},
};
use model::{Labels, Matcher, TimeRange};
use tokio::{net::TcpListener, task::JoinHandle};
use tsdb::Chunk;

use crate::block::read_block;

/// In which form a remote read is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteRead {
    /// Chunks, frame by frame, to whoever takes that.
    Streamed,
    /// Samples, all at once, as what does not know to stream does.
    Samples,
}

/// A Prometheus that serves until this value is gone.
#[derive(Debug)]
pub struct PrometheusServer {
    /// Where it listens for HTTP.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

/// What it has.
#[derive(Debug)]
struct Content {
    external: Labels,
    read: RemoteRead,
    /// In order of their own labels, with the chunks in order of time.
    series: BTreeMap<Labels, Vec<Chunk>>,
}

type Shared = Arc<Content>;

impl PrometheusServer {
    /// Starts one that has what lies in the blocks, and these external labels.
    ///
    /// # Errors
    /// When a block cannot be read, or there is no port.
    pub async fn start(
        blocks: &[PathBuf],
        external: Labels,
        read: RemoteRead,
    ) -> anyhow::Result<Self> {
        let mut content = Content {
            external,
            read,
            series: BTreeMap::new(),
        };
        for dir in blocks {
            content
                .add(dir)
                .with_context(|| dir.display().to_string())?;
        }
        let app = Router::new()
            .route("/api/v1/read", post(read::read))
            .fallback(get(api::api))
            .with_state(Arc::new(content));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            // It ends with the test.
            drop(axum::serve(listener, app).await);
        });
        Ok(Self { address, task })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for PrometheusServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Content {
    fn add(&mut self, dir: &std::path::Path) -> anyhow::Result<()> {
        read_block(dir, |labels, chunks| {
            let all = self.series.entry(labels.finish()).or_default();
            all.extend(chunks);
            all.sort_by_key(|chunk| chunk.min);
            Ok(())
        })
    }

    /// The series that match, with their chunks of the range; none without chunks.
    fn select<'a>(
        &'a self,
        matchers: &'a [Matcher],
        range: TimeRange,
    ) -> impl Iterator<Item = (&'a Labels, Vec<&'a Chunk>)> {
        let matches = |labels: &Labels| {
            let value = |m: &Matcher| labels.get(&m.name).unwrap_or_default().to_owned();
            matchers.iter().all(|m| m.matches(value(m)))
        };
        let within = move |chunk: &&Chunk| chunk.min <= range.max && range.min <= chunk.max;
        let series = self
            .series
            .iter()
            .filter(move |(labels, _)| matches(labels));
        let series = series
            .map(move |(labels, all)| (labels, all.iter().filter(within).collect::<Vec<_>>()));
        series.filter(|(_, chunks)| !chunks.is_empty())
    }
}
