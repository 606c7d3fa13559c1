//! The questions that a querier asks, and what the answers have to be.

mod labels;
mod nothing;
mod parts;

use anyhow::{Context as _, ensure};
use model::{MatchOp, Matcher, TimeRange};
use proto::thanos::{Aggr, PartialResponseStrategy, SeriesRequest};

use crate::{Answer, StoreClient, series_request};

/// What a server answers from, which says what it may answer differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// From blocks, as a store gateway.
    Bucket,
    /// From a Prometheus, as a sidecar.
    Prometheus,
    /// From both.
    Both,
}

/// What is in the blocks.
#[derive(Clone, Debug)]
pub struct Truth(Answer);

/// Series as matchers of each kind select them, those on external labels included.
const SELECTORS: &[&[(&str, &str, &str)]] = &[
    &[("__name__", "=", "node_load1")],
    &[
        ("__name__", "=", "node_cpu_seconds_total"),
        ("mode", "!=", "idle"),
    ],
    &[("__name__", "=~", "node_(load|memory_Mem).*")],
    &[("__name__", "=~", "node_load1|node_load5|go_goroutines")],
    &[
        ("job", "=", "prometheus"),
        ("__name__", "!~", "prometheus_.*|go_.*"),
    ],
    &[("job", "=", "node"), ("mode", "=", "")],
    &[("le", "!=", ""), ("job", "=", "prometheus")],
    &[("__name__", "=~", ".+"), ("mode", "=~", "user|system|")],
    &[("cluster", "=", "eu-1"), ("__name__", "=", "up")],
    &[
        ("cluster", "=~", "eu-.*"),
        ("replica", "!=", "b"),
        ("job", "=", "node"),
    ],
    &[("cluster", "=", "us-1"), ("__name__", "=", "up")],
    &[("cluster", "!~", "eu.*"), ("__name__", "=~", ".+")],
    &[("no_such_label", "=", ""), ("__name__", "=", "node_load1")],
    &[
        ("no_such_label", "=~", ".+"),
        ("__name__", "=", "node_load1"),
    ],
    &[("__name__", "=", "no_such_metric")],
    &[("__name__", "=~", ".+")],
];

/// 2025-11-23T00:00:00Z, where the sample begins.
const SAMPLE_START: i64 = 1_763_856_000_000;
const MINUTE: i64 = 60_000;

/// Times: all; within one block; across two; across what is merged and what is not; before and behind all blocks.
const RANGES: [TimeRange; 6] = [
    TimeRange::ALL,
    TimeRange::new(SAMPLE_START + 10 * MINUTE, SAMPLE_START + 20 * MINUTE),
    TimeRange::new(SAMPLE_START + 110 * MINUTE, SAMPLE_START + 130 * MINUTE),
    TimeRange::new(SAMPLE_START + 470 * MINUTE, SAMPLE_START + 490 * MINUTE),
    TimeRange::new(0, 1_000_000_000_000),
    TimeRange::new(2_000_000_000_000, 2_000_000_000_001),
];

/// A matcher by its operator in PromQL.
///
/// # Errors
/// When there is no such operator, or the pattern is invalid.
pub fn matcher(name: &str, op: &str, value: &str) -> anyhow::Result<Matcher> {
    let op = match op {
        "=" => MatchOp::Equal,
        "!=" => MatchOp::NotEqual,
        "=~" => MatchOp::Regex,
        "!~" => MatchOp::NotRegex,
        other => anyhow::bail!("no matcher is written {other:?}"),
    };
    Ok(Matcher::new(op, name, value)?)
}

/// Asks everything that a querier asks, and compares the answers.
///
/// # Errors
/// At the first answer that is not what it has to be.
pub async fn ask_everything(
    client: &StoreClient,
    truth: &Truth,
    serves: Serves,
) -> anyhow::Result<()> {
    let mut found = 0;
    for selector in SELECTORS {
        let matchers = matchers(selector)?;
        for range in RANGES {
            let samples = truth.assert_series(client, &matchers, range).await;
            found += samples.with_context(|| format!("{selector:?} in {range:?}"))?;
        }
    }
    ensure!(found > 0, "nothing was found at all");
    truth
        .assert_batches(client, serves)
        .await
        .context("response_batch_size")?;
    truth
        .assert_without_chunks(client)
        .await
        .context("skip_chunks")?;
    truth
        .assert_without_replicas(client)
        .await
        .context("without_replica_labels")?;
    truth
        .assert_names_and_values(client)
        .await
        .context("label names and values")?;
    truth
        .assert_label_requests(client)
        .await
        .context("limits and replica labels of names and values")?;
    truth.assert_limits(client).await.context("limit")?;
    truth.assert_shards(client).await.context("shard_info")?;
    truth
        .assert_ignored(client)
        .await
        .context("what is ignored")?;
    truth.assert_info(client, serves).await.context("info")?;
    nothing::of_no_time(client).await.context("no time")?;
    nothing::of_no_series(client, serves)
        .await
        .context("external labels alone")?;
    nothing::refused(client).await
}

fn matchers(selector: &[(&str, &str, &str)]) -> anyhow::Result<Vec<Matcher>> {
    selector
        .iter()
        .map(|(name, op, value)| matcher(name, op, value))
        .collect()
}

impl Truth {
    /// What is in blocks that all have the same external labels.
    #[must_use]
    pub const fn new(answer: Answer) -> Self {
        Self(answer)
    }

    /// All of it.
    #[must_use]
    pub const fn answer(&self) -> &Answer {
        &self.0
    }

    /// Asks for series and compares their samples in the range; says how many there were.
    ///
    /// # Errors
    /// When they differ.
    pub async fn assert_series(
        &self,
        client: &StoreClient,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> anyhow::Result<usize> {
        let answer = client.series(series_request(matchers, range)).await?;
        let chunks = answer.series.iter().flat_map(|(_, chunks)| chunks);
        for chunk in chunks {
            let times = TimeRange::new(chunk.min_time, chunk.max_time);
            ensure!(
                times.overlaps(range),
                "a chunk of {times:?} is outside of {range:?}"
            );
        }
        let found = answer.checked()?.select(&[], range);
        same(&found, &self.0.select(matchers, range))?;
        Ok(found.samples())
    }

    async fn assert_batches(&self, client: &StoreClient, serves: Serves) -> anyhow::Result<()> {
        let all = matchers(&[("job", "=", "node")])?;
        let expected = self.0.select(&all, TimeRange::ALL);
        for (size, largest) in [(0, 1), (1, 1), (7, 7), (64, 64), (1 << 20, 1 << 20)] {
            let request = SeriesRequest {
                response_batch_size: size,
                ..series_request(&all, TimeRange::ALL)
            };
            let answer = client.series(request).await?;
            let found = answer.batches.iter().max().copied().unwrap_or(0);
            ensure!(
                found <= largest,
                "a batch of {found} where {size} were asked for"
            );
            // A sidecar waits for no second series to send the first.
            ensure!(
                found > 1 || largest == 1 || serves != Serves::Bucket,
                "no batches where {size} were asked for"
            );
            same(&answer.checked()?, &expected)?;
        }
        Ok(())
    }

    async fn assert_without_chunks(&self, client: &StoreClient) -> anyhow::Result<()> {
        let all = matchers(&[("__name__", "=~", "node_.*|test_.*|.*total")])?;
        let hours = 120 * MINUTE;
        for range in [
            TimeRange::ALL,
            TimeRange::new(SAMPLE_START, SAMPLE_START + hours - 1),
        ] {
            let request = SeriesRequest {
                skip_chunks: true,
                ..series_request(&all, range)
            };
            let answer = client.series(request).await?;
            ensure!(
                answer.series.iter().all(|(_, chunks)| chunks.is_empty()),
                "chunks"
            );
            let found: Vec<_> = answer.series.iter().map(|(labels, _)| labels).collect();
            let expected = self.0.select(&all, range);
            ensure!(
                found == expected.series().collect::<Vec<_>>(),
                "other series"
            );
        }
        Ok(())
    }

    async fn assert_without_replicas(&self, client: &StoreClient) -> anyhow::Result<()> {
        let all = matchers(&[("__name__", "=~", "node_cpu_seconds_total|up")])?;
        // An external label, one that the order depends on, one that there is not, and one of the series' own.
        for without in [
            vec!["replica"],
            vec!["cluster", "replica"],
            vec!["replica", "none"],
            vec!["instance"],
            vec!["instance", "cluster"],
        ] {
            let request = SeriesRequest {
                without_replica_labels: without.iter().map(ToString::to_string).collect(),
                ..series_request(&all, TimeRange::ALL)
            };
            let found = client.series(request).await?.checked()?;
            let expected = self.0.select(&all, TimeRange::ALL).without(&without)?;
            same(&found, &expected).with_context(|| format!("{without:?}"))?;
        }
        Ok(())
    }

    /// Samples as scraped are the same whatever aggregates and whatever strategy a request names.
    async fn assert_ignored(&self, client: &StoreClient) -> anyhow::Result<()> {
        let up = matchers(&[("__name__", "=", "up")])?;
        let expected = self.0.select(&up, TimeRange::ALL);
        let plain = series_request(&up, TimeRange::ALL);
        for request in [
            SeriesRequest {
                aggregates: vec![Aggr::Counter.into(), Aggr::Sum.into()],
                ..plain.clone()
            },
            SeriesRequest {
                partial_response_disabled: true,
                ..plain.clone()
            },
            SeriesRequest {
                partial_response_strategy: PartialResponseStrategy::Abort.into(),
                ..plain
            },
        ] {
            same(&client.series(request).await?.checked()?, &expected)?;
        }
        Ok(())
    }
}

fn same(found: &Answer, expected: &Answer) -> anyhow::Result<()> {
    match found.difference(expected) {
        None => Ok(()),
        Some(difference) => anyhow::bail!("{found:?}, expected {expected:?}: {difference}"),
    }
}
