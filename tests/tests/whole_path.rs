//! The whole path: sidecar → bucket on S3 → compactor → store gateway, on blocks that a real Prometheus wrote.
//!
//! What the gateway answers is compared with the blocks themselves, at each stage of their lives.

use std::path::PathBuf;

use anyhow::Context as _;
use compactor::Outcome;
use model::{Labels, TimeRange};
use prost::Message as _;
use prost_types::FileDescriptorProto;
use proto::thanos::SeriesRequest;
use service::Clock as _;
use tests::{
    ALL_KINDS, Answer, Failure, Fault, MERGED, MadeBlock, Operation, RunningGateway, SAMPLE,
    SeriesAnswer, Serves, Truth, When, World, all_kinds_dir, ask_everything, copy_blocks,
    edit_meta, ids, matcher, series_request,
};
use tonic::Code;

const HOUR: i64 = 3_600_000;

/// The sample, and the golden block of all kinds of samples, long before it.
async fn world() -> anyhow::Result<(World, Truth)> {
    let world = World::with_sample(&SAMPLE).await?;
    copy_blocks(&all_kinds_dir(), &[ALL_KINDS], &world.tsdb_dir())?;
    let dirs: Vec<PathBuf> = SAMPLE
        .iter()
        .chain([&ALL_KINDS])
        .map(|b| world.tsdb_dir().join(b))
        .collect();
    let answer = Answer::of_blocks(&dirs, &World::external_labels())?;
    // As the blocks' own meta.json count them.
    assert_eq!(answer.samples(), 102_975 + 5 * 103_200 + 10_995);
    Ok((world, Truth::new(answer)))
}

fn merged(summary: &compactor::Summary) -> Vec<model::BlockId> {
    let outcomes = summary.merged.iter().map(|(_, outcome)| match outcome {
        Outcome::Merged(ids) => ids.clone(),
        Outcome::Empty => Vec::new(),
    });
    outcomes.flatten().collect()
}

fn count(requests: &[tests::Request], operation: Operation) -> usize {
    requests.iter().filter(|r| r.operation == operation).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_is_answered_before_and_after_compaction_and_once_the_sources_are_gone()
-> anyhow::Result<()> {
    let (world, truth) = world().await?;
    let pass = world.upload().await?;
    let mut uploaded = pass.uploaded;
    uploaded.sort();
    let mut expected = ids(&SAMPLE)?;
    expected.extend(ids(&[ALL_KINDS])?);
    expected.sort();
    assert_eq!(uploaded, expected);
    assert!(pass.failed.is_empty(), "{:?}", pass.failed);

    // TSDB blocks only.
    let gateway = world.gateway().await?;
    ask_everything(&gateway.client, &truth, Serves::Bucket).await?;

    // Both kinds: four of the sample's blocks and the one of all kinds are merged, two are the newest.
    let summary = world.compact().await?;
    assert!(summary.failed.is_empty(), "{:?}", summary.failed);
    assert_eq!(merged(&summary).len(), 2, "{summary:?}");
    gateway.sync().await?;
    assert_served(&gateway, 4);
    ask_everything(&gateway.client, &truth, Serves::Bucket).await?;

    // There is nothing left to do, and it is not done.
    let again = world.compact().await?;
    assert!(
        again.merged.is_empty() && again.covered.is_empty() && again.failed.is_empty(),
        "{again:?}"
    );

    // The sources are gone; the gateway that served them and one that starts now say the same.
    world.clock.advance(49 * HOUR);
    let summary = world.compact().await?;
    let mut deleted = summary.deleted;
    deleted.sort();
    let mut sources = ids(&SAMPLE[..MERGED])?;
    sources.extend(ids(&[ALL_KINDS])?);
    sources.sort();
    assert_eq!(deleted, sources);
    for source in sources {
        let left: Vec<_> = world
            .s3
            .keys()
            .into_iter()
            .filter(|k| k.starts_with(&source.to_string()))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
    gateway.sync().await?;
    ask_everything(&gateway.client, &truth, Serves::Bucket).await?;
    gateway.stop().await?;
    let fresh = world.gateway().await?;
    assert_served(&fresh, 4);
    ask_everything(&fresh.client, &truth, Serves::Bucket).await?;
    fresh.stop().await
}

fn assert_served(gateway: &RunningGateway, blocks: usize) {
    let metrics = gateway.metrics();
    let line = format!("\nthanos_bucket_store_blocks_loaded {blocks}\n");
    assert!(metrics.contains(&line), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_bucket_is_one_list_and_gets_of_what_is_new() -> anyhow::Result<()> {
    let (world, _) = world().await?;
    world.upload().await?;
    let gateway = world.gateway().await?;
    let log = world.s3.take_log();
    // Nothing but the meta.json of the blocks is downloaded to become ready.
    gateway.sync().await?;
    let log_of_second = world.s3.take_log();
    assert_eq!(log_of_second.len(), 1, "{log_of_second:?}");
    assert_eq!(count(&log_of_second, Operation::List), 1);
    let gets: Vec<_> = log
        .iter()
        .filter(|r| r.operation == Operation::Get)
        .collect();
    assert_eq!(gets.len(), 7, "{gets:?}");
    assert!(
        gets.iter().all(|r| r.key.ends_with("/meta.json")),
        "{gets:?}"
    );

    world.compact().await?;
    world.s3.take_log();
    gateway.sync().await?;
    let log = world.s3.take_log();
    assert_eq!(count(&log, Operation::List), 1);
    // Two new blocks and five marks.
    assert_eq!(count(&log, Operation::Get), 7, "{log:?}");
    assert_eq!(log.len(), 8, "{log:?}");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_from_one_list_and_the_catalog_that_a_compaction_leaves()
-> anyhow::Result<()> {
    let (world, truth) = world().await?;
    world.upload().await?;
    // Of a few blocks each `meta.json` is read instead.
    let mut truth = truth.answer().clone();
    let end = world.clock.now_ms() - 48 * HOUR;
    for cluster in 0..20 {
        let labels = Labels::from_pairs([("cluster", cluster.to_string())]);
        let block = MadeBlock::new(cluster, &labels, end - 2 * HOUR, end);
        let dir = world.scratch().join(block.id.to_string());
        block.write_tsdb(&dir)?;
        world.put_block(&dir, &block.id.to_string())?;
        truth.merge(block.answer()?)?;
    }
    let truth = Truth::new(truth);
    world.compact().await?;
    world.s3.take_log();
    let gateway = world.gateway().await?;
    let log = world.s3.take_log();
    assert_eq!(count(&log, Operation::List), 1, "{log:?}");
    assert_eq!(count(&log, Operation::Get), 1, "{log:?}");
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log.iter().any(|r| r.key == "parquet/catalog"), "{log:?}");
    // The sources are known to be covered, and what was made of them is served.
    assert_served(&gateway, 4 + 20);
    let all = [matcher("__name__", "=~", ".+")?];
    truth
        .assert_series(&gateway.client, &all, TimeRange::ALL)
        .await?;
    gateway.stop().await?;

    // It is a cache and never the truth: one that is damaged changes nothing.
    world.s3.put("parquet/catalog", "damaged");
    let gateway = world.gateway().await?;
    assert_served(&gateway, 4 + 20);
    truth
        .assert_series(&gateway.client, &all, TimeRange::ALL)
        .await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_blocks_is_ready_and_says_so() -> anyhow::Result<()> {
    let world = World::new().await?;
    let gateway = world.gateway().await?;
    let info = gateway.client.info().await?;
    assert!(info.label_sets.is_empty());
    let store = info.store.unwrap_or_default();
    assert!(store.min_time > store.max_time, "{store:?}");
    let truth = Truth::new(Answer::default());
    truth
        .assert_series(
            &gateway.client,
            &[matcher("job", "=", "node")?],
            TimeRange::ALL,
        )
        .await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_not_ready_before_it_has_looked_at_its_bucket() -> anyhow::Result<()> {
    let (world, truth) = world().await?;
    world.upload().await?;
    world.s3.inject(Fault {
        when: When::Next(Operation::List, usize::MAX),
        failure: Failure::Refused,
    });
    let gateway = world.start_gateway(world.bucket()?).await?;
    let error = gateway
        .sync()
        .await
        .err()
        .context("a look at a bucket that refuses")?;
    assert!(error.to_string().contains("403"), "{error}");
    assert!(!gateway.client.is_serving().await?);
    let selector = [matcher("__name__", "=", "up")?];
    let status = gateway
        .client
        .series(series_request(&selector, TimeRange::ALL))
        .await
        .err();
    assert_eq!(
        status.context("an answer out of nothing")?.code(),
        Code::Unavailable
    );
    // Or a querier would leave it out, and say nothing of it.
    gateway.client.info().await?;

    world.s3.heal();
    gateway.sync().await?;
    gateway.ready().await?;
    truth
        .assert_series(&gateway.client, &selector, TimeRange::ALL)
        .await?;
    // A look that fails later changes nothing.
    world.s3.inject(Fault {
        when: When::Next(Operation::List, usize::MAX),
        failure: Failure::Refused,
    });
    assert!(gateway.sync().await.is_err());
    assert!(gateway.client.is_serving().await?);
    truth
        .assert_series(&gateway.client, &selector, TimeRange::ALL)
        .await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn any_client_finds_the_services_and_their_messages_by_reflection() -> anyhow::Result<()> {
    let world = World::new().await?;
    let gateway = world.gateway().await?;
    let services = gateway.client.services().await?;
    for name in [
        "thanos.Store",
        "thanos.info.Info",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ] {
        assert!(services.iter().any(|s| s == name), "{name}: {services:?}");
    }
    let files = gateway.client.describe("thanos.Store").await?;
    let files: Vec<_> = files
        .iter()
        .map(|f| FileDescriptorProto::decode(f.as_slice()))
        .collect::<Result<_, _>>()?;
    let file = files
        .iter()
        .find(|f| f.service.iter().any(|s| s.name() == "Store"))
        .context("the file")?;
    let methods: Vec<_> = file.service[0].method.iter().map(|m| m.name()).collect();
    assert_eq!(methods, ["Series", "LabelNames", "LabelValues"]);
    let request = file
        .message_type
        .iter()
        .find(|m| m.name() == "SeriesRequest")
        .context("the message")?;
    let matchers = request
        .field
        .iter()
        .find(|f| f.name() == "matchers")
        .context("the field")?;
    assert_eq!(
        (matchers.number(), matchers.type_name()),
        (3, ".thanos.LabelMatcher")
    );
    gateway.stop().await
}

/// Two Prometheis that scrape the same, which a querier sees as one.
#[tokio::test(flavor = "multi_thread")]
async fn the_series_of_two_replicas_are_told_apart_or_taken_together() -> anyhow::Result<()> {
    let world = World::with_sample(&SAMPLE).await?;
    let other_dir = world.scratch();
    copy_blocks(&world.tsdb_dir(), &SAMPLE, &other_dir)?;
    for block in SAMPLE {
        // Both have the same samples in blocks of different names.
        let name = format!("{}0", &block[..25]);
        std::fs::rename(other_dir.join(block), other_dir.join(&name))?;
        let id = name.parse()?;
        edit_meta(&other_dir.join(&name), |meta| {
            meta.ulid = id;
            meta.compaction.sources = vec![id];
        })?;
    }
    world.upload().await?;
    let labels = Labels::from_pairs([("cluster", "eu-1"), ("replica", "b")]);
    let pass = world.upload_from(&other_dir, labels.clone()).await?;
    assert_eq!(pass.uploaded.len(), SAMPLE.len(), "{pass:?}");
    let dirs: Vec<PathBuf> = SAMPLE.iter().map(|b| world.tsdb_dir().join(b)).collect();
    let mut both = Answer::of_blocks(&dirs, &World::external_labels())?;
    both.merge(Answer::of_blocks(&dirs, &labels)?)?;

    let gateway = world.gateway().await?;
    assert_replicas(&gateway, &both).await?;
    let summary = world.compact().await?;
    assert!(summary.failed.is_empty(), "{summary:?}");
    assert_eq!(merged(&summary).len(), 2, "{summary:?}");
    gateway.sync().await?;
    assert_replicas(&gateway, &both).await?;
    gateway.stop().await
}

async fn assert_replicas(gateway: &RunningGateway, both: &Answer) -> anyhow::Result<()> {
    let node = [matcher("job", "=", "node")?];
    let apart = gateway
        .client
        .series(series_request(&node, TimeRange::ALL))
        .await?;
    let expected = both.select(&node, TimeRange::ALL);
    assert_eq!(apart.checked()?.difference(&expected), None);
    let request = SeriesRequest {
        without_replica_labels: vec!["replica".to_owned()],
        ..series_request(&node, TimeRange::ALL)
    };
    let together = gateway.client.series(request).await?;
    assert_eq!(
        together
            .checked()?
            .difference(&expected.without(&["replica"])?),
        None
    );
    // Each chunk once: the replicas' are the same.
    let chunks = |answer: &SeriesAnswer| answer.series.iter().map(|(_, c)| c.len()).sum::<usize>();
    assert_eq!(chunks(&together) * 2, chunks(&apart));
    let info = gateway.client.info().await?;
    assert_eq!(info.label_sets.len(), 2, "{info:?}");
    Ok(())
}
