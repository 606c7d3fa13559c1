//! A flipped bit in each byte of a Parquet block's objects: a request gets the right answer, or an error that names the
//! object.

use std::sync::Arc;

use bucket::Bucket;
use model::{BlockId, Labels, TimeRange, Timestamp};
use service::{CpuPool, Metrics};
use tsdb::Chunk;

use super::fixture::{ask, free, matchers, query};
use crate::{
    block::{BlockError, BlockReader, BlockSource, HeaderFiles},
    catalog::CatalogBlock,
    metrics::{HeaderMetrics, ReadMetrics},
    testing::downsampled::{put_parquet, rows},
};

const QUESTIONS: [&[&str]; 4] = [
    &[],
    &["__name__=requests", "pod=0001"],
    &["pod=~.*2"],
    &["__name__!=requests", "other="],
];

/// What a request is told.
#[derive(Debug, PartialEq)]
enum Answer {
    Series(Vec<(Labels, Vec<Chunk>)>),
    Texts(Vec<Vec<u8>>),
}

/// A block in a bucket, read without what an earlier reader has kept.
struct World {
    bucket: Bucket,
    pool: CpuPool,
    block: Arc<CatalogBlock>,
}

impl World {
    async fn new() -> Self {
        let bucket = Bucket::in_memory();
        let id = BlockId::new(Timestamp(1_700_000_000_000), 7);
        let block = put_parquet(&bucket, id, &[], &rows(0..3), 2).await;
        Self {
            bucket,
            pool: CpuPool::new("test", 2).unwrap(),
            block: Arc::new(block),
        }
    }

    async fn open(&self) -> Result<BlockReader, BlockError> {
        let headers = HeaderFiles::new(None, HeaderMetrics::new(&Metrics::new()));
        let source = BlockSource::new(
            self.bucket.clone(),
            self.pool.clone(),
            Arc::new(headers),
            Default::default(),
            256 << 20,
            0,
            ReadMetrics::new(&Metrics::new()),
        );
        BlockReader::open(Arc::clone(&self.block), source).await
    }

    /// The answers to all requests, each on its own.
    async fn ask(&self) -> Result<Vec<Result<Answer, BlockError>>, BlockError> {
        let reader = self.open().await?;
        let mut answers = Vec::new();
        for texts in QUESTIONS {
            let series = ask(&reader, query(texts, TimeRange::ALL)).await;
            answers.push(series.map(|series| {
                let series = series.into_iter();
                Answer::Series(series.map(|one| (one.labels, one.chunks)).collect())
            }));
        }
        for texts in [&[][..], &["__name__=seconds"]] {
            let (matchers, range) = (matchers(texts), TimeRange::ALL);
            let names = reader.label_names(Arc::clone(&matchers), range, free());
            answers.push(names.await.map(Answer::Texts));
            let values = reader.label_values("pod", matchers, range, free());
            answers.push(values.await.map(Answer::Texts));
        }
        Ok(answers)
    }
}

#[tokio::test]
async fn no_flipped_bit_of_an_object_makes_another_answer() {
    let world = World::new().await;
    let expected = world.ask().await.unwrap();
    let expected: Vec<Answer> = expected.into_iter().map(Result::unwrap).collect();
    for (name, _) in world.block.objects.files.iter() {
        let key = world.block.key(name);
        let named = |error: BlockError, at: usize| {
            let text = error.to_string();
            assert!(text.starts_with(&format!("{key} at byte ")), "{at}: {text}");
        };
        let whole = world.bucket.get(&key).await.unwrap();
        let mut refused = 0;
        for at in 0..whole.len() {
            let mut flipped = whole.to_vec();
            flipped[at] ^= 1 << (at % 8);
            world.bucket.put(&key, flipped.into()).await.unwrap();
            match world.ask().await {
                Err(error) => {
                    refused += 1;
                    named(error, at);
                }
                Ok(answers) => {
                    for (answer, expected) in answers.into_iter().zip(&expected) {
                        match answer {
                            Ok(answer) => assert_eq!(&answer, expected, "{key} at byte {at}"),
                            Err(error) => named(error, at),
                        }
                    }
                }
            }
        }
        world.bucket.put(&key, whole).await.unwrap();
        // A block whose footer is damaged is not even opened.
        let shard = &world.block.meta.parquet.as_ref().unwrap().shards[0];
        let is_labels = name.contains("labels");
        let [labels, data] = [shard.labels_footer, shard.chunks_footer].map(Option::unwrap);
        let footer = if is_labels { labels } else { data };
        assert_eq!(u64::try_from(refused).unwrap(), footer.bytes, "{key}");
    }
}

#[tokio::test]
async fn a_block_whose_meta_json_tells_of_no_footers_is_served() {
    let mut world = World::new().await;
    let expected = world.ask().await.unwrap();
    let block = Arc::get_mut(&mut world.block).unwrap();
    let mut meta = block.meta.as_ref().clone();
    for shard in &mut meta.parquet.as_mut().unwrap().shards {
        (shard.labels_footer, shard.chunks_footer) = (None, None);
    }
    block.meta = Arc::new(meta);
    let answers = world.ask().await.unwrap();
    for (answer, expected) in answers.into_iter().zip(expected) {
        assert_eq!(answer.unwrap(), expected.unwrap());
    }
}
