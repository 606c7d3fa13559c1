//! Labels whose values are empty, which mean the same as no label.

use proto::thanos::LabelValuesRequest;

use crate::{
    assert_merged, assert_same, everything, made,
    made::{HOUR, Odd, S, Series, every},
    made_blocks, served, world_of, world_with,
};

#[tokio::test]
async fn a_series_with_an_empty_label_is_the_series_without_it() -> anyhow::Result<()> {
    let world = world_of("empty-label-value").await?;
    let before = served(&world).await?;
    assert_eq!(before.series().count(), 2);
    assert_merged(&world).await?;
    assert_eq!(made_blocks(&world), 1);
    assert_same(&served(&world).await?, &before);
    Ok(())
}

/// Every combination of some labels, empty ones included, in two blocks: in the order in which they are stored.
fn drawn(names: &'static [&'static str]) -> Vec<Vec<(&'static str, &'static str)>> {
    let mut all: Vec<Vec<(&str, &str)>> = vec![Vec::new()];
    for name in names {
        let mut next = Vec::new();
        for labels in &all {
            for value in [None, Some(""), Some("a"), Some("b")] {
                let own = value.map(|value| (*name, value));
                next.push(labels.iter().copied().chain(own).collect());
            }
        }
        all = next;
    }
    // One without any labels is no series.
    all.retain(|labels| !labels.is_empty());
    all.sort();
    all
}

async fn assert_all_merged(names: &'static [&'static str]) -> anyhow::Result<()> {
    let labels = drawn(names);
    let series = |start: i64, skip: usize| -> Vec<Series<'_>> {
        let some = labels
            .iter()
            .enumerate()
            .filter(|(n, _)| !(n + skip).is_multiple_of(3));
        let series = some.map(|(n, labels)| {
            // Series that are the same share some samples, and have others apart.
            let offset = i64::try_from(n % 3).unwrap_or(0) * 600_000;
            let samples = every(600_000, start + offset, start + offset + HOUR);
            (labels.as_slice(), vec![samples])
        });
        series.collect()
    };
    let blocks = [
        Odd::new(1, series(S, 0)),
        Odd::new(2, series(S + 2 * HOUR, 1)),
    ];
    let world = world_with(&blocks).await?;
    let expected = made::answers(&blocks)?;
    let gateway = world.gateway().await?;
    assert_same(&everything(&gateway).await?, &expected);
    assert_merged(&world).await?;
    gateway.sync().await?;
    assert_same(&everything(&gateway).await?, &expected);
    gateway.stop().await
}

#[tokio::test]
async fn series_that_are_the_same_without_their_empty_labels_become_one() -> anyhow::Result<()> {
    assert_all_merged(&["__name__", "ns", "zone"]).await
}

#[tokio::test]
async fn labels_before_the_name_may_be_empty_too() -> anyhow::Result<()> {
    assert_all_merged(&["A", "B", "__name__", "ns"]).await
}

#[tokio::test]
async fn an_empty_value_is_none_that_a_label_has() -> anyhow::Result<()> {
    let blocks = [Odd::new(
        1,
        vec![
            (&[("__name__", "foo"), ("ns", "")], vec![vec![(S, 1.0)]]),
            (&[("__name__", "foo"), ("ns", "m")], vec![vec![(S, 1.0)]]),
        ],
    )];
    let world = world_with(&blocks).await?;
    let gateway = world.gateway().await?;
    let request = LabelValuesRequest {
        label: "ns".to_owned(),
        start: S,
        end: S + HOUR,
        ..LabelValuesRequest::default()
    };
    let found = gateway.client.label_values(request).await?;
    assert_eq!(found.values, ["m"]);
    gateway.stop().await
}
