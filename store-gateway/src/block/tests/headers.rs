//! Index headers on the disk: made once, read by the next start, made anew when they are of no use, done without where
//! the disk refuses.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bucket::{Bucket, FileVersion, testing::FailingBucket};
use model::{BlockId, TimeRange, Timestamp};
use tempfile::TempDir;

use super::fixture::{ALL_KINDS, FLOATS, Fixture, ask, free, labels, query, source};
use crate::{
    block::{BlockCache, BlockReader, BlockSource},
    catalog::CatalogBlock,
};

/// A block in a bucket whose reads are seen, and a folder for headers.
struct World {
    failing: FailingBucket,
    block: Arc<CatalogBlock>,
    dir: TempDir,
}

impl World {
    async fn new() -> Self {
        let fixture = Fixture::new();
        let block = Arc::new(fixture.tsdb(FLOATS[0]).await);
        Self {
            failing: FailingBucket::new(&fixture.bucket),
            block,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// As after a start: nothing in memory, nothing read.
    fn start(&self) -> BlockSource {
        self.failing.clear_log();
        source(self.failing.bucket(), Some(self.dir.path()))
    }

    async fn open(&self, source: &BlockSource) -> BlockReader {
        let opened = BlockReader::open(Arc::clone(&self.block), source.clone()).await;
        opened.unwrap()
    }

    fn headers(&self) -> PathBuf {
        self.dir.path().join("index-headers")
    }

    fn header(&self) -> PathBuf {
        self.headers().join(self.block.id.to_string())
    }

    /// How often something of the index was read.
    fn reads(&self) -> usize {
        self.failing.ranges_read(&self.block.key("index")).len()
    }
}

fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn all(reader: &BlockReader) -> Vec<model::Labels> {
    labels(&ask(reader, query(&[], TimeRange::ALL)).await.unwrap())
}

#[tokio::test]
async fn a_second_start_reads_neither_symbols_nor_the_table_from_the_bucket() {
    let world = World::new().await;
    let first = world.open(&world.start()).await;
    assert_eq!(world.reads(), 1);
    let expected = all(&first).await;
    assert!(expected.len() > 100);
    assert_eq!(files(&world.headers()), [world.block.id.to_string()]);
    assert!(first.memory_size() < 4096, "{}", first.memory_size());

    let second = world.open(&world.start()).await;
    assert_eq!(world.reads(), 0);
    let names = second.label_names(Arc::new([]), TimeRange::ALL, free());
    assert!(names.await.unwrap().contains(&b"pod".to_vec()));
    assert_eq!(world.reads(), 0);
    assert_eq!(all(&second).await, expected);
    // Postings and series.
    let index = tsdb::Toc::range(world.block.objects.files.get("index").unwrap().size).start;
    let read = world.failing.ranges_read(&world.block.key("index"));
    assert!(
        read.iter()
            .all(|range| range.start > 5 && range.end < index)
    );
}

#[tokio::test]
async fn many_who_ask_first_make_one_header() {
    let world = World::new().await;
    let cache = BlockCache::new(world.start(), 1 << 20);
    let block = &world.block;
    let opened = futures::try_join!(cache.get(block), cache.get(block), cache.get(block));
    assert!(opened.is_ok());
    assert_eq!(world.reads(), 1);
    assert_eq!(files(&world.headers()), [block.id.to_string()]);
}

#[tokio::test]
async fn a_header_with_any_byte_changed_is_made_anew_and_answers_are_the_same() {
    let world = World::new().await;
    let expected = all(&world.open(&world.start()).await).await;
    let whole = fs::read(world.header()).unwrap();
    for at in (20..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(world.header(), bytes).unwrap();
        let source = world.start();
        let reader = world.open(&source).await;
        assert_eq!(all(&reader).await, expected, "{at}");
        let values = reader.label_values("pod", Arc::new([]), TimeRange::ALL, free());
        assert!(values.await.unwrap().len() > 1);
        let names = reader.label_names(Arc::new([]), TimeRange::ALL, free());
        assert!(names.await.unwrap().len() > 1);
        // Nobody had to look at the damaged page, or it is whole again.
        let found = fs::read(world.header()).unwrap();
        assert!(found == whole || world.reads() <= 3, "{at}");
    }
}

#[tokio::test]
async fn a_header_that_is_damaged_while_the_block_is_open_is_made_anew() {
    let world = World::new().await;
    let expected = all(&world.open(&world.start()).await).await;
    let whole = fs::read(world.header()).unwrap();
    let reader = world.open(&world.start()).await;
    // All pages, but not the tail that was read.
    let mut bytes = whole.clone();
    let pages = bytes.len() - 200;
    bytes[5..pages].fill(0xff);
    fs::write(world.header(), &bytes).unwrap();
    assert_eq!(all(&reader).await, expected);
    assert_eq!(fs::read(world.header()).unwrap(), whole);
    assert_eq!(files(&world.headers()).len(), 1);
}

#[tokio::test]
async fn a_header_of_another_index_is_made_anew() {
    let world = World::new().await;
    let other = {
        let fixture = Fixture::new();
        let mut block = fixture.tsdb(ALL_KINDS).await;
        block.id = world.block.id;
        let source = source(fixture.bucket.clone(), Some(world.dir.path()));
        all(&BlockReader::open(Arc::new(block), source).await.unwrap()).await
    };
    let stale = fs::read(world.header()).unwrap();
    let reader = world.open(&world.start()).await;
    assert_eq!(world.reads(), 1);
    assert_ne!(all(&reader).await, other);
    assert_ne!(fs::read(world.header()).unwrap(), stale);

    // Of the same size, but written at another time.
    let mut block = CatalogBlock::clone(&world.block);
    let index = FileVersion {
        last_modified: Timestamp(1),
        ..block.objects.files.get("index").unwrap().clone()
    };
    block.files_mut().insert("index", index);
    let source = world.start();
    BlockReader::open(Arc::new(block), source).await.unwrap();
    assert_eq!(world.reads(), 1);
}

#[tokio::test]
async fn where_the_disk_refuses_headers_are_in_memory() {
    let world = World::new().await;
    // A file where the folder would be.
    fs::write(world.headers(), "in the way").unwrap();
    let reader = world.open(&world.start()).await;
    assert_eq!(world.reads(), 1);
    assert!(all(&reader).await.len() > 100);
    assert!(reader.memory_size() > 4096, "{}", reader.memory_size());
    assert_eq!(fs::read(world.headers()).unwrap(), b"in the way");
}

#[tokio::test]
async fn an_index_that_is_damaged_leaves_nothing_behind() {
    let world = World::new().await;
    let key = world.block.key("index");
    let bucket: Bucket = world.failing.bucket();
    let mut bytes = bucket.get(&key).await.unwrap().to_vec();
    bytes[100] ^= 1;
    bucket.put(&key, bytes.into()).await.unwrap();
    let opened = BlockReader::open(Arc::clone(&world.block), world.start()).await;
    let Err(error) = opened else {
        panic!("a damaged index was opened");
    };
    assert!(error.to_string().starts_with(&key), "{error}");
    assert_eq!(files(&world.headers()), [""; 0]);
}

#[tokio::test]
async fn headers_of_blocks_that_are_gone_are_removed_and_others_left() {
    let world = World::new().await;
    let source = world.start();
    let reader = world.open(&source).await;
    let gone = BlockId::new(Timestamp(0), 7);
    for name in [
        gone.to_string(),
        format!("{gone}.3.part"),
        "notes".to_owned(),
    ] {
        fs::write(world.headers().join(name), "x").unwrap();
    }
    let part = format!("{}.3.part", world.block.id);
    fs::write(world.headers().join(&part), "x").unwrap();
    source.headers.retain(&[world.block.id].into());
    let own = world.block.id.to_string();
    assert_eq!(
        files(&world.headers()),
        [own.clone(), part, "notes".to_owned()]
    );
    source.headers.remove_parts();
    assert_eq!(files(&world.headers()), [own, "notes".to_owned()]);
    source.headers.retain(&[].into());
    assert_eq!(files(&world.headers()), ["notes"]);
    // Who still asks it gets answers.
    assert!(all(&reader).await.len() > 100);
}
