//! Questions for a part of the series.

use anyhow::{Context as _, ensure};
use model::TimeRange;
use proto::thanos::{SeriesRequest, ShardInfo};

use super::{Truth, matchers, same};
use crate::{Answer, StoreClient, series_request};

impl Truth {
    /// As many series as are wanted, and each of them whole.
    pub(super) async fn assert_limits(&self, client: &StoreClient) -> anyhow::Result<()> {
        let all = matchers(&[("__name__", "=~", "node_.*")])?;
        let expected = self.0.select(&all, TimeRange::ALL);
        let there = expected.series().count();
        for (limit, most) in [(1, 1), (7, 7), (1 << 40, there), (0, there), (-1, there)] {
            let request = SeriesRequest {
                limit,
                ..series_request(&all, TimeRange::ALL)
            };
            let found = client.series(request.clone()).await?.checked()?;
            ensure!(
                found.series().count() == most,
                "{found:?}, expected {most} series"
            );
            for labels in found.series() {
                let alone = |answer: &Answer| answer.of_series(labels);
                same(&alone(&found), &alone(&expected))?;
            }
            let request = SeriesRequest {
                skip_chunks: true,
                ..request
            };
            let answer = client.series(request).await?;
            ensure!(answer.series.len() == most, "{answer:?}");
            for (labels, _) in &answer.series {
                ensure!(expected.series().any(|other| other == labels), "{labels}");
            }
        }
        Ok(())
    }

    /// Each share of the series by the hash of its final labels, with chunks and without.
    pub(super) async fn assert_shards(&self, client: &StoreClient) -> anyhow::Result<()> {
        let all = matchers(&[("job", "=", "node")])?;
        let expected = self.0.select(&all, TimeRange::ALL);
        let total_shards = 3;
        for (by, labels) in [
            (true, vec!["cluster", "mode"]),
            (false, vec!["__name__", "le"]),
            (true, vec![]),
        ] {
            let mut together = Answer::default();
            for shard_index in 0..total_shards {
                let share = ShardInfo {
                    shard_index,
                    total_shards,
                    by,
                    labels: labels.iter().map(ToString::to_string).collect(),
                };
                let shard = proto::shard(&share).context("a share")?;
                let request = SeriesRequest {
                    shard_info: Some(share),
                    ..series_request(&all, TimeRange::ALL)
                };
                let answer = client.series(request.clone()).await?;
                for (labels, _) in &answer.series {
                    ensure!(shard.holds(labels), "{labels} is of another share");
                }
                let request = SeriesRequest {
                    skip_chunks: true,
                    ..request
                };
                let sets = client.series(request).await?.series.into_iter();
                ensure!(
                    sets.map(|(labels, _)| labels)
                        .eq(answer.series.iter().map(|(labels, _)| labels.clone())),
                    "other series without chunks"
                );
                together.merge(answer.checked()?)?;
            }
            same(&together, &expected).with_context(|| format!("by {by} {labels:?}"))?;
        }
        Ok(())
    }
}
