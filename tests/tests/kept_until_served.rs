//! TSDB blocks stay, unmarked, until a store gateway has served the Parquet block that replaces them for the delete
//! delay.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use compactor::{Config, StoreClient, Summary};
use model::{BlockId, BlockMeta, DeletionMark, Resolution, ServedMark};
use parking_lot::Mutex;
use service::HttpClientConfig;
use tests::{Failure, Fault, SAMPLE, When, World, ids};
use tokio::net::TcpListener;

const HOUR: i64 = 3_600_000;

/// What a gateway says that it serves; nothing before its first synchronization.
type Serves = Arc<Mutex<Option<BTreeSet<BlockId>>>>;

/// A world whose sample is uploaded, a gateway that serves what the test says, and a compactor that asks it and one
/// that does not answer.
struct Kept {
    world: World,
    serves: Serves,
    config: Config,
}

async fn answer(State(serves): State<Serves>) -> Response {
    match &*serves.lock() {
        None => (StatusCode::SERVICE_UNAVAILABLE, "not listed yet").into_response(),
        Some(blocks) => {
            let answer = serde_json::json!({"status": "success", "data": blocks});
            answer.to_string().into_response()
        }
    }
}

impl Kept {
    async fn new() -> anyhow::Result<Self> {
        let world = World::with_sample(&SAMPLE).await?;
        world.upload().await?;
        let serves = Serves::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/varve/api/v1/served", get(answer));
        let router = router.with_state(Arc::clone(&serves));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = |url: String| StoreClient::new(&url, &HttpClientConfig::default());
        let config = Config {
            stores: vec![
                client("http://127.0.0.1:1".to_owned())?,
                client(format!("http://{address}/varve/"))?,
            ],
            ..Config::default()
        };
        Ok(Self {
            world,
            serves,
            config,
        })
    }

    async fn compact(&self) -> anyhow::Result<Summary> {
        let config = self.config.clone();
        self.world.compact_with(config, self.world.bucket()?).await
    }

    /// The blocks of the sample that have a deletion mark.
    fn marked(&self) -> anyhow::Result<Vec<BlockId>> {
        let is_marked = |block: &BlockId| {
            let key = format!("{block}/{}", DeletionMark::FILE);
            self.world.s3.object(&key).is_some()
        };
        Ok(ids(&SAMPLE)?.into_iter().filter(is_marked).collect())
    }

    /// The Parquet blocks of raw samples: those that replace something.
    fn parquet(&self) -> anyhow::Result<Vec<BlockMeta>> {
        let keys = self.world.s3.keys().into_iter();
        let keys = keys.filter(|key| key.starts_with("parquet/") && key.ends_with(BlockMeta::FILE));
        let metas = keys.filter_map(|key| self.world.s3.object(&key));
        let metas = metas.map(|json| BlockMeta::decode(&json));
        let metas: Vec<BlockMeta> = metas.collect::<Result<_, _>>()?;
        let raw = metas
            .into_iter()
            .filter(|meta| meta.resolution() == Resolution::Raw);
        Ok(raw.collect())
    }

    /// The Parquet blocks that are marked as served.
    fn served(&self) -> BTreeSet<BlockId> {
        let keys = self.world.s3.keys().into_iter();
        let roots = keys.filter_map(|key| {
            let root = key.strip_suffix(ServedMark::FILE)?.strip_suffix('/')?;
            root.strip_prefix("parquet/")?.parse().ok()
        });
        roots.collect()
    }
}

#[tokio::test]
async fn sources_go_once_a_gateway_has_served_what_replaces_them_and_still_does()
-> anyhow::Result<()> {
    let kept = Kept::new().await?;
    kept.world.clock.advance(HOUR);
    let summary = kept.compact().await?;
    assert!(summary.failed.is_empty(), "{summary:?}");
    let made = kept.parquet()?;
    let sources: BTreeSet<BlockId> = made
        .iter()
        .flat_map(|meta| meta.compaction.sources.iter().copied())
        .collect();
    let sources: Vec<BlockId> = sources.into_iter().collect();
    assert!(sources.len() > 1, "{summary:?}");
    let blocks: BTreeSet<BlockId> = made.iter().map(|meta| meta.ulid).collect();

    // However late it is: no gateway answers, or none serves the blocks.
    for serves in [None, Some(BTreeSet::new())] {
        *kept.serves.lock() = serves;
        kept.world.clock.advance(100 * HOUR);
        let summary = kept.compact().await?;
        assert!(
            summary.failed.is_empty() && summary.merged.is_empty(),
            "{summary:?}"
        );
        assert_eq!((kept.marked()?, kept.served()), Default::default());
    }

    // Seen for the first time.
    *kept.serves.lock() = Some(blocks.clone());
    kept.world.s3.inject(Fault {
        when: When::Writes(ServedMark::FILE.to_owned()),
        failure: Failure::Refused,
    });
    assert!(!kept.compact().await?.failed.is_empty());
    assert_eq!((kept.marked()?, kept.served()), Default::default());
    kept.world.s3.heal();
    kept.compact().await?;
    assert_eq!(
        (kept.marked()?, kept.served()),
        (Vec::new(), blocks.clone())
    );

    // Not long enough, and then long enough, but not served any more.
    kept.world.clock.advance(48 * HOUR - 1_000);
    kept.compact().await?;
    assert_eq!(kept.marked()?, []);
    *kept.serves.lock() = None;
    kept.world.clock.advance(1_000);
    kept.compact().await?;
    assert_eq!(kept.marked()?, []);

    *kept.serves.lock() = Some(blocks);
    let summary = kept.compact().await?;
    assert_eq!(
        (kept.marked()?, summary.covered),
        (sources.clone(), sources.clone())
    );
    kept.world.clock.advance(48 * HOUR + 1_000);
    assert_eq!(kept.compact().await?.deleted, sources);
    Ok(())
}

#[tokio::test]
async fn a_gateway_that_loses_a_block_begins_its_time_anew() -> anyhow::Result<()> {
    let mut kept = Kept::new().await?;
    // That of the gateway that answers.
    kept.config.stores.remove(0);
    kept.world.clock.advance(HOUR);
    kept.compact().await?;
    let blocks: BTreeSet<BlockId> = kept.parquet()?.iter().map(|meta| meta.ulid).collect();
    *kept.serves.lock() = Some(blocks.clone());
    kept.compact().await?;
    assert_eq!(kept.served(), blocks);
    // It starts again, and then has the blocks no more.
    *kept.serves.lock() = None;
    kept.world.clock.advance(100 * HOUR);
    kept.compact().await?;
    assert_eq!(kept.served(), blocks);
    *kept.serves.lock() = Some(BTreeSet::new());
    kept.compact().await?;
    assert_eq!(kept.served(), BTreeSet::new());
    *kept.serves.lock() = Some(blocks);
    kept.compact().await?;
    assert_eq!(kept.marked()?, []);
    kept.world.clock.advance(48 * HOUR);
    kept.compact().await?;
    assert!(!kept.marked()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn rules_that_tell_blocks_apart_are_refused() -> anyhow::Result<()> {
    let kept = Kept::new().await?;
    for (label, is_refused) in [("__block_id", true), ("cluster", false)] {
        let rules = format!("[{{action: keep, source_labels: [{label}], regex: x}}]");
        let config = Config {
            filter: bucket::BlockFilter::from_yaml(&rules)?,
            ..kept.config.clone()
        };
        let ended = kept.world.compact_with(config, kept.world.bucket()?).await;
        let text = ended.map_or_else(|error| error.to_string(), |_| String::new());
        assert_eq!(text.contains("__block_id"), is_refused, "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn sources_that_a_tsdb_block_replaces_do_not_wait() -> anyhow::Result<()> {
    let kept = Kept::new().await?;
    kept.world.clock.advance(HOUR);
    let config = Config {
        output: compactor::OutputFormat::Tsdb,
        delete_delay: Duration::ZERO,
        ..kept.config.clone()
    };
    kept.world
        .compact_with(config, kept.world.bucket()?)
        .await?;
    assert!(!kept.marked()?.is_empty());
    Ok(())
}
