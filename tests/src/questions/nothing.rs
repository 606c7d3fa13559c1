//! Questions that have no answer.

use anyhow::{Context as _, ensure};
use model::TimeRange;
use proto::thanos::{
    LabelMatcher, LabelNamesRequest, LabelValuesRequest, PartialResponseStrategy, SeriesRequest,
    label_matcher::Type,
};
use tonic::{Code, Status};

use super::{Serves, matchers};
use crate::{StoreClient, series_request};

/// A range that ends before it begins holds nothing.
pub(super) async fn of_no_time(client: &StoreClient) -> anyhow::Result<()> {
    let (start, end) = (i64::MAX, i64::MIN);
    for skip_chunks in [false, true] {
        let request = SeriesRequest {
            min_time: start,
            max_time: end,
            skip_chunks,
            ..series_request(&matchers(&[("job", "=", "node")])?, TimeRange::ALL)
        };
        let answer = client.series(request).await?;
        ensure!(answer.series.is_empty(), "{answer:?}");
    }
    let names = client
        .label_names(LabelNamesRequest {
            start,
            end,
            ..LabelNamesRequest::default()
        })
        .await?;
    ensure!(names.names.is_empty(), "{names:?}");
    for label in ["job", "cluster"] {
        let values = client
            .label_values(LabelValuesRequest {
                label: label.to_owned(),
                start,
                end,
                ..LabelValuesRequest::default()
            })
            .await?;
        ensure!(values.values.is_empty(), "{values:?}");
    }
    Ok(())
}

/// Where external labels alone are matched, a bucket gives no series and a sidecar refuses, as with Thanos.
pub(super) async fn of_no_series(client: &StoreClient, serves: Serves) -> anyhow::Result<()> {
    let cluster = matchers(&[("cluster", "=", "eu-1")])?;
    let whole = SeriesRequest {
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
        ..series_request(&cluster, TimeRange::ALL)
    };
    let answer = client.series(whole).await;
    if serves == Serves::Bucket {
        ensure!(
            answer.as_ref().is_ok_and(|a| a.series.is_empty()),
            "{answer:?}"
        );
        return Ok(());
    }
    let status = answer.err().context("an answer")?;
    ensure!(status.code() == Code::InvalidArgument, "{status:?}");
    ensure!(
        status.message().contains("no matchers specified"),
        "{status:?}"
    );
    Ok(())
}

/// What cannot be asked is the client's fault, and says why.
pub(super) async fn refused(client: &StoreClient) -> anyhow::Result<()> {
    let broken = LabelMatcher {
        r#type: Type::Re.into(),
        name: "job".to_owned(),
        value: "a(b".into(),
    };
    let mut request = series_request(&[], TimeRange::ALL);
    request.matchers.push(broken.clone());
    is_invalid(client.series(request).await, "a(b")?;
    let request = LabelNamesRequest {
        matchers: vec![broken.clone()],
        ..LabelNamesRequest::default()
    };
    is_invalid(client.label_names(request).await, "a(b")?;
    let request = LabelValuesRequest {
        label: "job".to_owned(),
        matchers: vec![broken],
        ..LabelValuesRequest::default()
    };
    is_invalid(client.label_values(request).await, "a(b")?;
    let request = LabelValuesRequest::default();
    is_invalid(client.label_values(request).await, "empty")
}

fn is_invalid<T>(answer: Result<T, Status>, reason: &str) -> anyhow::Result<()> {
    let status = answer.err().context("what cannot be asked is answered")?;
    ensure!(status.code() == Code::InvalidArgument, "{status:?}");
    ensure!(status.message().contains(reason), "{status:?}");
    Ok(())
}
