//! Names and values of labels.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::{Matcher, TimeRange, Timestamp};
use proto::thanos::{
    LabelMatcher, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
};

use crate::{
    error::AnswerError,
    recent::{Recent, Selection, own_matchers},
};

pub(super) async fn names(
    recent: &Recent,
    wire: LabelNamesRequest,
) -> Result<LabelNamesResponse, AnswerError> {
    let nothing = LabelNamesResponse::default();
    let matchers = matchers(&wire.matchers)?;
    let view = recent.view()?;
    let Some(matchers) = own_matchers(&view, matchers) else {
        return Ok(nothing);
    };
    let selection = selection(matchers, wire.start, wire.end, wire.limit);
    if selection.is_empty() {
        return Ok(nothing);
    }
    let most = selection.limit;
    let selection = Selection {
        // Some of them may be removed.
        limit: match most {
            0 => 0,
            most => most.saturating_add(wire.without_replica_labels.len()),
        },
        ..selection
    };
    let (mut names, warnings) = recent.names(&view, &selection).await?;
    if !names.is_empty() {
        names.extend(view.labels.iter().map(|(name, _)| name.to_owned()));
    }
    names.retain(|name| {
        let without = &wire.without_replica_labels;
        !without.iter().any(|w| w.as_bytes() == name)
    });
    Ok(LabelNamesResponse {
        names: texts(names, most),
        warnings,
        hints: None,
    })
}

pub(super) async fn values(
    recent: &Recent,
    wire: LabelValuesRequest,
) -> Result<LabelValuesResponse, AnswerError> {
    if wire.label.is_empty() {
        let text = "label name parameter cannot be empty";
        return Err(AnswerError::Invalid(text.to_owned()));
    }
    let nothing = LabelValuesResponse::default();
    let matchers = matchers(&wire.matchers)?;
    let view = recent.view()?;
    if wire.without_replica_labels.contains(&wire.label) {
        return Ok(nothing);
    }
    let Some(matchers) = own_matchers(&view, matchers) else {
        return Ok(nothing);
    };
    let selection = selection(matchers, wire.start, wire.end, wire.limit);
    if selection.is_empty() {
        return Ok(nothing);
    }
    let (values, warnings) = match view.labels.get(&wire.label) {
        None => recent.values(&view, &wire.label, &selection).await?,
        // The external one is the value of every series; where series are chosen, there must be one.
        Some(value) => {
            let value = BTreeSet::from([value.to_owned()]);
            if selection.matchers.is_empty() {
                (value, Vec::new())
            } else {
                let one = Selection {
                    limit: 1,
                    ..selection.clone()
                };
                let (sets, warnings) = recent.series(&one).await?;
                match sets.is_empty() {
                    true => (BTreeSet::new(), warnings),
                    false => (value, warnings),
                }
            }
        }
    };
    Ok(LabelValuesResponse {
        values: texts(values, selection.limit),
        warnings,
        hints: None,
    })
}

pub(super) fn matchers(wire: &[LabelMatcher]) -> Result<Vec<Matcher>, AnswerError> {
    proto::matchers(wire).map_err(|error| AnswerError::Invalid(error.to_string()))
}

fn selection(matchers: Vec<Matcher>, start: i64, end: i64, limit: i64) -> Selection {
    Selection {
        matchers,
        range: TimeRange {
            min: Timestamp(start),
            max: Timestamp(end),
        },
        // A limit below 1 is none.
        limit: usize::try_from(limit).unwrap_or(0),
    }
}

fn texts(texts: BTreeSet<Vec<u8>>, limit: usize) -> Vec<Bytes> {
    let most = if limit == 0 { usize::MAX } else { limit };
    texts.into_iter().take(most).map(Bytes::from).collect()
}
