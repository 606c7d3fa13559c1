//! Questions for labels, and for what the server is.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use model::{Labels, TimeRange};
use proto::thanos::{LabelNamesRequest, LabelValuesRequest};

use super::{MINUTE, Serves, Truth, matchers};
use crate::{StoreClient, World};

impl Truth {
    pub(super) async fn assert_names_and_values(&self, client: &StoreClient) -> anyhow::Result<()> {
        let selectors: [&[(&str, &str, &str)]; 5] = [
            &[],
            &[("__name__", "=", "node_cpu_seconds_total")],
            &[("job", "=~", "node|none"), ("cluster", "=", "eu-1")],
            &[("cluster", "=", "us-1")],
            &[("__name__", "=", "no_such_metric")],
        ];
        for selector in selectors {
            let matchers = matchers(selector)?;
            let selected = self.0.select(&matchers, TimeRange::ALL);
            let wire: Vec<_> = matchers.iter().map(Into::into).collect();
            let (start, end) = (i64::MIN, i64::MAX);
            let request = LabelNamesRequest {
                start,
                end,
                matchers: wire.clone(),
                ..LabelNamesRequest::default()
            };
            let names = client.label_names(request).await?;
            ensure!(names.warnings.is_empty(), "{:?}", names.warnings);
            let expected: BTreeSet<&[u8]> = selected.series().flat_map(names_of).collect();
            ensure!(
                names.names.iter().eq(expected.iter().copied()),
                "{selector:?}: {:?}, expected {expected:?}",
                names.names
            );
            for label in ["__name__", "job", "mode", "cluster", "none"] {
                let request = LabelValuesRequest {
                    label: label.to_owned(),
                    start,
                    end,
                    matchers: wire.clone(),
                    ..LabelValuesRequest::default()
                };
                let values = client.label_values(request).await?;
                ensure!(values.warnings.is_empty(), "{:?}", values.warnings);
                let expected = selected.series().filter_map(|labels| labels.get(label));
                let expected: BTreeSet<&[u8]> = expected.collect();
                let found = &values.values;
                ensure!(
                    found.iter().eq(expected.iter().copied()),
                    "{selector:?}, {label}: {found:?}, expected {expected:?}"
                );
            }
        }
        Ok(())
    }

    pub(super) async fn assert_label_requests(&self, client: &StoreClient) -> anyhow::Result<()> {
        let (start, end) = (i64::MIN, i64::MAX);
        let names = LabelNamesRequest {
            start,
            end,
            ..LabelNamesRequest::default()
        };
        let all = client.label_names(names.clone()).await?.names;
        let without = LabelNamesRequest {
            without_replica_labels: vec!["replica".to_owned(), "none".to_owned()],
            ..names.clone()
        };
        let found = client.label_names(without).await?.names;
        let expected = all.iter().filter(|name| *name != "replica");
        ensure!(found.iter().eq(expected), "{found:?}");
        // As many as are wanted, whichever they are.
        let limited = LabelNamesRequest { limit: 3, ..names };
        let found = client.label_names(limited).await?.names;
        ensure!(found.len() == 3 && found.is_sorted(), "{found:?}");
        ensure!(found.iter().all(|name| all.contains(name)), "{found:?}");

        let values = LabelValuesRequest {
            label: "__name__".to_owned(),
            start,
            end,
            ..LabelValuesRequest::default()
        };
        let all = client.label_values(values.clone()).await?.values;
        for matchers in [vec![], matchers(&[("job", "=", "node")])?] {
            let limited = LabelValuesRequest {
                limit: 5,
                matchers: matchers.iter().map(Into::into).collect(),
                ..values.clone()
            };
            let found = client.label_values(limited).await?.values;
            ensure!(found.len() == 5 && found.is_sorted(), "{found:?}");
            ensure!(found.iter().all(|value| all.contains(value)), "{found:?}");
        }
        let removed = LabelValuesRequest {
            label: "replica".to_owned(),
            without_replica_labels: vec!["replica".to_owned()],
            ..values.clone()
        };
        let found = client.label_values(removed).await?.values;
        ensure!(found.is_empty(), "{found:?}");

        // Before all blocks there is nothing.
        let before = LabelNamesRequest {
            start: 0,
            end: 1_000_000_000_000,
            ..LabelNamesRequest::default()
        };
        let found = client.label_names(before).await?.names;
        ensure!(found.is_empty(), "{found:?}");
        let before = LabelValuesRequest {
            start: 0,
            end: 1_000_000_000_000,
            ..values
        };
        let found = client.label_values(before).await?.values;
        ensure!(found.is_empty(), "{found:?}");
        Ok(())
    }

    pub(super) async fn assert_info(
        &self,
        client: &StoreClient,
        serves: Serves,
    ) -> anyhow::Result<()> {
        let info = client.info().await?;
        let component = match serves {
            Serves::Bucket => "store",
            // What offers rules, targets and the rest.
            Serves::Prometheus | Serves::Both => "sidecar",
        };
        ensure!(info.component_type == component, "{info:?}");
        ensure!(info.rules.is_some() == (component == "sidecar"), "{info:?}");
        let sets: Vec<Labels> = info
            .label_sets
            .iter()
            .map(|set| proto::model_labels(&set.labels))
            .collect();
        ensure!(sets == [World::external_labels()], "{sets:?}");
        let store = info.store.context("no store")?;
        let (first, last) = self.0.extent().context("no sample")?;
        ensure!(
            store.min_time <= first && store.max_time >= last,
            "{store:?} for {first} to {last}"
        );
        // A block's own times say no more than what is in it, but for the rest of its two hours.
        let slack = 120 * MINUTE;
        let end_is_told = match serves {
            Serves::Bucket => store.max_time < last + slack,
            // What is scraped from now on belongs to it too.
            Serves::Prometheus | Serves::Both => store.max_time == i64::MAX,
        };
        ensure!(store.min_time > first - slack && end_is_told, "{store:?}");
        ensure!(
            store.supports_sharding && store.supports_without_replica_labels,
            "{store:?}"
        );
        ensure!(store.tsdb_infos.len() == 1, "{store:?}");
        Ok(())
    }
}

fn names_of(labels: &Labels) -> impl Iterator<Item = &[u8]> {
    labels.iter().map(|(name, _)| name)
}
