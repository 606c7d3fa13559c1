//! How often a question waits for the bucket: three times at most when nothing is known of the block, once at most when
//! it is asked again.

use std::sync::Arc;

use bucket::{
    Bucket,
    testing::{Wave, WaveBucket},
};
use futures::TryStreamExt as _;
use model::{BlockId, TimeRange, Timestamp};
use service::{CpuPool, Metrics};

use super::fixture::{free, matchers, query};
use crate::{
    block::{BlockCache, BlockError, BlockQuery, BlockSource, HeaderFiles},
    catalog::CatalogBlock,
    metrics::{HeaderMetrics, ReadMetrics},
    testing::scraped::{PER_POD, Scraped},
};

/// Files of up to so many bytes are fetched whole.
const SMALL: u64 = 512 << 10;

/// What is asked of blocks.
#[derive(Clone, Copy, Debug)]
enum Question {
    Series(&'static [&'static str]),
    Labels(&'static [&'static str]),
    Names(&'static [&'static str]),
    Values(&'static [&'static str]),
}

const ONE: &[&str] = &["__name__=gauge_07", "pod=pod-0003"];
const METRIC: &[&str] = &["__name__=gauge_07"];
const REGEX: &[&str] = &[
    "__name__=~gauge_0[12]",
    "pod=~pod-000.*",
    "namespace!=team-01",
];
const POD: &[&str] = &["pod=pod-0003"];
const NOTHING: &[&str] = &["__name__=gauge_07", "pod=none"];

/// All of them.
const QUESTIONS: [Question; 14] = [
    Question::Series(ONE),
    Question::Series(METRIC),
    Question::Series(REGEX),
    Question::Series(POD),
    Question::Series(NOTHING),
    Question::Labels(ONE),
    Question::Labels(METRIC),
    Question::Labels(REGEX),
    Question::Labels(POD),
    Question::Names(&[]),
    Question::Names(REGEX),
    Question::Values(&[]),
    Question::Values(METRIC),
    Question::Values(POD),
];

/// A gateway's way to a bucket in which there are blocks of so many pods.
struct World {
    memory: Bucket,
    blocks: Vec<Arc<CatalogBlock>>,
}

/// A gateway that has just started.
struct Gateway<'a> {
    world: &'a World,
    waves: WaveBucket,
    pool: CpuPool,
    cache: BlockCache,
}

impl World {
    fn new() -> Self {
        Self {
            memory: Bucket::in_memory(),
            blocks: Vec::new(),
        }
    }

    fn id(&self) -> BlockId {
        BlockId::new(Timestamp(0), self.blocks.len() as u128)
    }

    async fn tsdb(mut self, pods: usize) -> Self {
        let block = Scraped::new(pods).put_tsdb(&self.memory, self.id()).await;
        self.blocks.push(Arc::new(block));
        self
    }

    async fn parquet(mut self, pods: usize) -> Self {
        let scraped = Scraped::new(pods);
        // As many rows as a row group of two days has.
        let block = scraped.put_parquet(&self.memory, self.id(), 10_000).await;
        self.blocks.push(Arc::new(block));
        self
    }

    fn starts(&self, data_dir: Option<&std::path::Path>) -> Gateway<'_> {
        let waves = WaveBucket::new(&self.memory);
        let headers = HeaderFiles::new(data_dir, HeaderMetrics::new(&Metrics::new()));
        let pool = CpuPool::new("test", 1).unwrap();
        let source = BlockSource::new(
            waves.bucket(),
            pool.clone(),
            Arc::new(headers),
            Default::default(),
            256 << 20,
            SMALL,
            ReadMetrics::new(&Metrics::new()),
        );
        Gateway {
            world: self,
            cache: BlockCache::new(source, 64 << 20),
            waves,
            pool,
        }
    }
}

impl Gateway<'_> {
    /// Asks all blocks at once; how many series or texts there were, and the waves.
    async fn ask(&self, question: Question) -> (usize, Vec<Wave>) {
        self.ask_of(question, TimeRange::ALL).await
    }

    /// The same of some times.
    async fn ask_of(&self, question: Question, range: TimeRange) -> (usize, Vec<Wave>) {
        let asked = self
            .world
            .blocks
            .iter()
            .map(|block| self.one(block, question, range));
        let asked = futures::future::try_join_all(asked);
        let settled = async || self.pool.run(|| ()).await;
        let (found, waves) = self.waves.waves(asked, settled).await;
        (found.unwrap().iter().sum(), waves)
    }

    async fn one(
        &self,
        block: &Arc<CatalogBlock>,
        question: Question,
        range: TimeRange,
    ) -> Result<usize, BlockError> {
        let reader = self.cache.get(block).await?;
        Ok(match question {
            Question::Series(texts) | Question::Labels(texts) => {
                let query = BlockQuery {
                    skip_chunks: matches!(question, Question::Labels(_)),
                    ..query(texts, range)
                };
                let series: Vec<_> = reader.series(query, free()).try_collect().await?;
                series.concat().len()
            }
            Question::Names(texts) => {
                let names = reader.label_names(matchers(texts), range, free());
                names.await?.len()
            }
            Question::Values(texts) => {
                let values = reader.label_values("pod", matchers(texts), range, free());
                values.await?.len()
            }
        })
    }
}

impl Question {
    /// How many waves the question may take when it is asked again.
    fn again(self, bytes: u64) -> u64 {
        match self {
            Self::Series(_) => 1 + bytes / AT_ONCE,
            _ => 0,
        }
    }

    /// How many of the chunks may lie apart.
    fn apart(self) -> usize {
        match self {
            Self::Series(POD) => PER_POD,
            _ => 0,
        }
    }
}

/// What was read, wave by wave.
fn drawn(waves: &[Wave]) -> String {
    let lines = waves
        .iter()
        .map(|w| format!("  {} bytes: {w}\n", w.bytes()));
    lines.collect()
}

/// The most that may be read when cold.
#[derive(Clone, Copy)]
struct Most {
    /// Besides those that more chunks take than are read at once.
    waves: usize,
    /// Besides those of chunks that lie apart.
    requests: usize,
    bytes: u64,
}

/// Bytes of chunks of a block that are read at once, about.
const AT_ONCE: u64 = 4 << 20;

/// Asks each question of a gateway that knows nothing, and then again; all that goes beyond what it may is said at the
/// end.
async fn takes(world: &World, most: &Most) -> String {
    let mut beyond = String::new();
    for question in QUESTIONS {
        let gateway = world.starts(None);
        let (found, cold) = gateway.ask(question).await;
        let (again, warm) = gateway.ask(question).await;
        assert_eq!(found, again, "{question:?}");
        let requests: usize = cold.iter().map(|wave| wave.reads.len()).sum();
        let bytes = |waves: &[Wave]| waves.iter().map(Wave::bytes).sum::<u64>();
        let read = bytes(&cold);
        let waves = most.waves as u64 + bytes(&warm) / AT_ONCE;
        if cold.len() as u64 > waves
            || requests > most.requests + question.apart()
            || read > most.bytes
        {
            let drawn = drawn(&cold);
            beyond += &format!("{question:?} cold, {requests} requests, {read} bytes\n{drawn}");
        }
        if warm.len() as u64 > question.again(bytes(&warm)) {
            beyond += &format!("{question:?} again\n{}", drawn(&warm));
        }
    }
    beyond
}

#[tokio::test]
async fn a_question_to_a_small_tsdb_block_waits_twice_when_cold_and_not_again() {
    let world = World::new().tsdb(20).await;
    let most = Most {
        waves: 2,
        requests: 2,
        bytes: 1 << 20,
    };
    let beyond = takes(&world, &most).await;
    assert!(beyond.is_empty(), "{beyond}");
}

#[tokio::test]
async fn a_question_to_a_tsdb_block_waits_three_times_when_cold_and_once_again() {
    let mut beyond = String::new();
    for pods in [100, 300, 1000] {
        let world = World::new().tsdb(pods).await;
        let most = Most {
            waves: 3,
            requests: 8,
            bytes: 10 << 20,
        };
        beyond += &takes(&world, &most).await;
    }
    assert!(beyond.is_empty(), "{beyond}");
}

#[tokio::test]
async fn a_question_to_a_small_parquet_block_waits_twice_when_cold_and_not_again() {
    let world = World::new().parquet(20).await;
    let most = Most {
        waves: 2,
        requests: 3,
        bytes: 1 << 20,
    };
    let beyond = takes(&world, &most).await;
    assert!(beyond.is_empty(), "{beyond}");
}

#[tokio::test]
async fn a_question_to_a_parquet_block_waits_three_times_when_cold_and_once_again() {
    let mut beyond = String::new();
    for pods in [100, 300, 1000] {
        let world = World::new().parquet(pods).await;
        let most = Most {
            waves: 3,
            requests: 40,
            bytes: 10 << 20,
        };
        beyond += &takes(&world, &most).await;
    }
    assert!(beyond.is_empty(), "{beyond}");
}

#[tokio::test]
async fn blocks_are_waited_for_side_by_side() {
    let world = World::new().tsdb(20).await.tsdb(300).await;
    let world = world.parquet(20).await.parquet(300).await;
    let most = Most {
        waves: 3,
        requests: 60,
        bytes: 30 << 20,
    };
    let beyond = takes(&world, &most).await;
    assert!(beyond.is_empty(), "{beyond}");
}

#[tokio::test]
async fn a_start_with_index_headers_on_the_disk_waits_three_times() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new().tsdb(300).await;
    let (found, _) = world
        .starts(Some(dir.path()))
        .ask(Question::Series(METRIC))
        .await;
    assert_eq!(found, 300);
    let (found, waves) = world
        .starts(Some(dir.path()))
        .ask(Question::Series(POD))
        .await;
    assert_eq!(found, PER_POD);
    assert!(waves.len() <= 3, "{}", drawn(&waves));
}

#[tokio::test]
async fn a_question_like_one_before_waits_three_times_at_most() {
    let world = World::new().tsdb(300).await.parquet(300).await;
    let gateway = world.starts(None);
    gateway.ask(Question::Series(ONE)).await;
    let other = &["__name__=gauge_08", "pod=pod-0222"];
    let (found, waves) = gateway.ask(Question::Series(other)).await;
    assert_eq!(found, 2);
    assert!(waves.len() <= 3, "{}", drawn(&waves));
}

#[tokio::test]
async fn a_question_of_some_times_of_a_parquet_block_waits_three_times_when_cold() {
    let world = World::new().parquet(1000).await;
    let part = TimeRange::new(0, 3_600_000);
    for question in [
        Question::Labels(METRIC),
        Question::Names(METRIC),
        Question::Values(METRIC),
    ] {
        let (found, waves) = world.starts(None).ask_of(question, part).await;
        assert!(
            found > 6 && waves.len() <= 3,
            "{question:?} {}",
            drawn(&waves)
        );
    }
}
