//! The order of the series of one block, against a sort of all, and what is held for it.

use std::collections::BTreeSet;

use bucket::Bucket;
use model::{BlockId, MatchOp, Matcher, Timestamp};
use proptest::prelude::*;
use series::Samples;
use service::{CpuPool, Metrics};

use super::*;
use crate::{
    block::{BlockCache, BlockSource, HeaderFiles},
    budget::RequestBudget,
    catalog::CatalogBlock,
    config::Limits,
    metrics::{HeaderMetrics, ReadMetrics, StoreMetrics},
    request::{OnFailure, Selector},
    testing::downsampled::{RANGE, Rows, counts, put_parquet, put_tsdb},
};

/// A block of these series, in a bucket of its own.
struct World {
    block: Arc<CatalogBlock>,
    context: RequestContext,
}

impl World {
    async fn new(format: Format, external: &Labels, rows: &Rows) -> Self {
        let (bucket, id) = (Bucket::in_memory(), BlockId::new(Timestamp(1), 1));
        let external = external.to_texts();
        let external: Vec<_> = external.iter().map(|(n, v)| (&**n, &**v)).collect();
        let block = match format {
            Format::Tsdb => put_tsdb(&bucket, id, &external, rows).await,
            Format::Parquet => put_parquet(&bucket, id, &external, rows, 16).await,
        };
        let headers = HeaderFiles::new(None, HeaderMetrics::new(&Metrics::new()));
        let pool = CpuPool::new("test", 2).unwrap();
        let source = BlockSource::new(
            bucket,
            pool.clone(),
            Arc::new(headers),
            Default::default(),
            256 << 20,
            1 << 20,
            ReadMetrics::new(&Metrics::new()),
        );
        let context = RequestContext {
            blocks: Arc::new(BlockCache::new(source, 1 << 20)),
            pool,
            budget: RequestBudget::of_test(Limits::default()),
            concurrency: 1,
            metrics: StoreMetrics::new(&Metrics::new()),
        };
        Self {
            block: Arc::new(block),
            context,
        }
    }

    fn stream(&self, without: &BTreeSet<Vec<u8>>, skip_chunks: bool) -> BlockStream {
        let all = Matcher::new(MatchOp::NotEqual, "no such label", "x").unwrap();
        let request = SeriesRequest {
            selector: Selector {
                matchers: vec![all.clone()],
                range: RANGE,
                block_matchers: Vec::new(),
                without: without.clone(),
                limit: 0,
                on_failure: OnFailure::Abort,
            },
            max_resolution: i64::MAX,
            aggregates: AggregateSet::ALL,
            skip_chunks,
            shard: None,
        };
        let chosen = Chosen {
            block: Arc::clone(&self.block),
            matchers: Arc::from([all]),
            range: RANGE,
        };
        BlockStream::new(chosen, &request)
    }

    /// All series, each with the size of its chunk; 0 if it has none.
    async fn all(&self, without: &BTreeSet<Vec<u8>>, skip_chunks: bool) -> Vec<(Labels, usize)> {
        let mut stream = self.stream(without, skip_chunks);
        let mut all = Vec::new();
        loop {
            let Some(batch) = stream.next(&self.context).await.unwrap() else {
                return all;
            };
            let (series, own) = batch.finish().unwrap();
            stream.put_back(own);
            all.extend(series.into_iter().map(|one| {
                let size = one.chunks.iter().map(SeriesChunk::size).sum();
                (one.labels, size)
            }));
        }
    }
}

fn some_labels() -> impl Strategy<Value = Labels> {
    let rest = prop::sample::select(vec!["A", "Zone", "_a", "b", "q", "z"]);
    let pairs = prop::collection::vec((rest, "[1-9][1-9]?[1-9]?"), 1..4);
    let name = prop::option::weighted(0.97, "[abc]");
    (pairs, name).prop_map(|(pairs, name)| {
        let pairs = pairs.into_iter().map(|(n, v)| (n.to_owned(), v));
        let name = name.map(|name| (METRIC_NAME.to_owned(), name));
        Labels::from_pairs(pairs.chain(name))
    })
}

/// Labels of series of which all, or almost all, have a name.
fn own_labels() -> impl Strategy<Value = BTreeSet<Labels>> {
    let all = prop::collection::btree_set(some_labels(), 1..300);
    (all, any::<bool>()).prop_map(|(mut all, named)| {
        all.retain(|labels| !named || labels.get(METRIC_NAME).is_some());
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_series_of_a_block_come_as_a_sort_of_all_would_have_them(
        own in own_labels(),
        external in some_labels(),
        without in prop::collection::btree_set("A|Zone|b|q|z|__name__|cluster".prop_map(String::into_bytes), 0..3),
        changes in any::<bool>(),
        parquet in any::<bool>(),
        skip_chunks in prop::bool::weighted(0.2),
        largest in 1_usize..3000,
    ) {
        // Mostly there is nothing of the same name on both sides.
        let external = match changes {
            true => external,
            false => Labels::from_pairs([("cluster", "1"), ("r", "2")]),
        };
        let without = if changes { without } else { BTreeSet::new() };
        prop_assume!(!own.is_empty());
        let size = |i: usize| i * 7919 % largest + 2;
        let rows: Rows = own.iter().enumerate().map(|(i, l)| (l.clone(), vec![counts(b'c', size(i))])).collect();
        let labels = FinalLabels::new(&external, &without);
        let mut expected: Vec<(Labels, usize)> = own.iter().enumerate()
            .map(|(i, l)| (labels.apply(l.clone()), if skip_chunks { 0 } else { size(i) }))
            .collect();
        expected.sort();
        let format = if parquet { Format::Parquet } else { Format::Tsdb };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut got, held, left) = runtime.block_on(async {
            let world = World::new(format, &external, &rows).await;
            let got = world.all(&without, skip_chunks).await;
            (got, world.context.budget.most_held(), world.context.budget.held())
        });
        prop_assert!(got.is_sorted_by(|a, b| a.0 <= b.0), "{:?}", got);
        // Those of equal labels come in any order.
        got.sort();
        prop_assert_eq!(got, expected);
        prop_assert_eq!(left, 0);
        prop_assert!(held <= HELD + 16 * own.len() as u64, "{}", held);
    }
}

/// The bytes that one block of a request may hold to sort its series, 16 for each of them apart.
const HELD: u64 = crate::block::HELD_BYTES as u64;

/// `count` series of three metrics, with chunks of 500 bytes.
fn zoned(count: usize, zones: usize) -> Rows {
    let row = |i: usize| {
        let labels = Labels::from_pairs([
            ("Zone", format!("z{}", i % zones)),
            ("__name__", format!("metric_{}", i % 3)),
            ("pod", format!("{i:06}")),
        ]);
        (labels, vec![counts(b'c', 500)])
    };
    (0..count).map(row).collect()
}

#[tokio::test]
async fn what_is_held_for_the_order_does_not_grow_with_the_answer() {
    let external = Labels::from_pairs([("cluster", "eu")]);
    let replaced = Labels::from_pairs([("pod", "external")]);
    let without = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
    for (format, external, without) in [
        // An upper-case label.
        (Format::Parquet, &external, without(&[])),
        // A label that is replaced, and one that is removed.
        (Format::Tsdb, &replaced, without(&[])),
        (Format::Parquet, &replaced, without(&[])),
        (Format::Tsdb, &external, without(&["Zone"])),
        (Format::Tsdb, &external, without(&["__name__"])),
        (Format::Parquet, &external, without(&["__name__"])),
    ] {
        for (count, zones) in [(300, 3), (3000, 3), (3000, 3000)] {
            let world = World::new(format, external, &zoned(count, zones)).await;
            assert_eq!(world.all(&without, false).await.len(), count);
            let held = world.context.budget.most_held();
            let answer = count as u64 * 500;
            // Something has to be held, and that is counted.
            assert!(held > answer.min(HELD) / 8, "{held}");
            assert!(
                held <= HELD + 16 * count as u64,
                "{format:?} {held} of {answer}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_is_held_where_the_order_is_that_of_the_rows() {
    let external = Labels::from_pairs([("cluster", "eu")]);
    let none = BTreeSet::new();
    // Of a Parquet block it must be found out that all zones are the same.
    for (format, zones, bytes) in [(Format::Tsdb, 3, 0), (Format::Parquet, 1, 16 * 3000 + 100)] {
        let world = World::new(format, &external, &zoned(3000, zones)).await;
        assert_eq!(world.all(&none, false).await.len(), 3000);
        assert!(world.context.budget.most_held() <= bytes);
    }
    // Nor where the label that would disturb it is not sent.
    let world = World::new(Format::Parquet, &external, &zoned(3000, 3)).await;
    let without = BTreeSet::from([b"Zone".to_vec()]);
    assert_eq!(world.all(&without, false).await.len(), 3000);
    assert_eq!(world.context.budget.most_held(), 0);
}

#[tokio::test]
async fn the_first_series_of_a_large_metric_are_given_before_the_last_are_read() {
    let world = World::new(Format::Tsdb, &Labels::default(), &zoned(3000, 1)).await;
    let mut stream = world.stream(&BTreeSet::new(), false);
    let first = stream.next(&world.context).await.unwrap().unwrap();
    let (first, _) = first.finish().unwrap();
    assert!(!first.is_empty() && first.len() < 1000, "{}", first.len());
    let Samples::Aggregates(parts) = &first[0].chunks[0].samples else {
        panic!("the block is downsampled");
    };
    assert!(parts.iter().flatten().all(|part| part.data.len() == 500));
}
