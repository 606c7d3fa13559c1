//! What a message asks, in our own words.

use model::{Aggregate, AggregateSet, Matcher, TimeRange};
use prost::Message;
use prost_types::Any;
use proto::{
    hintspb::{LabelNamesRequestHints, LabelValuesRequestHints, SeriesRequestHints},
    thanos::{self, Aggr, LabelMatcher, PartialResponseStrategy},
};

use crate::{
    error::AnswerError,
    request::{NamesRequest, OnFailure, Selector, SeriesRequest, ValuesRequest},
};

/// What all requests have, as their messages have it.
struct Common<'a> {
    matchers: &'a [LabelMatcher],
    range: TimeRange,
    block_matchers: &'a [LabelMatcher],
    without: &'a [String],
    limit: i64,
    on_failure: OnFailure,
}

/// What the two messages about labels have, under the same names; no type says so.
macro_rules! labels {
    ($wire:expr, $hints:expr) => {
        Common {
            matchers: &$wire.matchers,
            range: TimeRange::new($wire.start, $wire.end),
            block_matchers: &$hints.block_matchers,
            without: &$wire.without_replica_labels,
            limit: $wire.limit,
            on_failure: on_failure(
                $wire.partial_response_disabled,
                $wire.partial_response_strategy(),
            ),
        }
    };
}

pub(super) fn series(wire: &thanos::SeriesRequest) -> Result<SeriesRequest, AnswerError> {
    let hints: SeriesRequestHints = hints(wire.hints.as_ref(), "hintspb.SeriesRequestHints")?;
    let strategy = wire.partial_response_strategy();
    let common = Common {
        matchers: &wire.matchers,
        range: TimeRange::new(wire.min_time, wire.max_time),
        block_matchers: &hints.block_matchers,
        without: &wire.without_replica_labels,
        limit: wire.limit,
        on_failure: on_failure(wire.partial_response_disabled, strategy),
    };
    Ok(SeriesRequest {
        selector: common.selector()?,
        max_resolution: wire.max_resolution_window,
        aggregates: aggregates(wire),
        skip_chunks: wire.skip_chunks,
        shard: wire.shard_info.as_ref().and_then(proto::shard),
    })
}

pub(super) fn names(wire: &thanos::LabelNamesRequest) -> Result<NamesRequest, AnswerError> {
    let hints: LabelNamesRequestHints =
        hints(wire.hints.as_ref(), "hintspb.LabelNamesRequestHints")?;
    let common = labels!(wire, hints);
    Ok(NamesRequest {
        selector: common.selector()?,
    })
}

pub(super) fn values(wire: &thanos::LabelValuesRequest) -> Result<ValuesRequest, AnswerError> {
    if wire.label.is_empty() {
        return Err(AnswerError::Invalid(
            "label name cannot be empty".to_owned(),
        ));
    }
    let hints: LabelValuesRequestHints =
        hints(wire.hints.as_ref(), "hintspb.LabelValuesRequestHints")?;
    let common = labels!(wire, hints);
    Ok(ValuesRequest {
        label: wire.label.clone(),
        selector: common.selector()?,
    })
}

impl Common<'_> {
    fn selector(&self) -> Result<Selector, AnswerError> {
        Ok(Selector {
            matchers: matchers(self.matchers)?,
            range: self.range,
            block_matchers: matchers(self.block_matchers)?,
            without: self.without.iter().map(|n| n.clone().into()).collect(),
            // A limit below 1 is none.
            limit: usize::try_from(self.limit).unwrap_or(0),
            on_failure: self.on_failure,
        })
    }
}

fn matchers(wire: &[LabelMatcher]) -> Result<Vec<Matcher>, AnswerError> {
    proto::matchers(wire).map_err(|error| AnswerError::Invalid(error.to_string()))
}

/// The hints; those that say nothing if there are none.
fn hints<M: Message + Default>(wire: Option<&Any>, name: &str) -> Result<M, AnswerError> {
    let Some(any) = wire else {
        return Ok(M::default());
    };
    let found = any.type_url.rsplit('/').next().unwrap_or_default();
    if found != name {
        let text = format!("hints: expected {name}, found {:?}", any.type_url);
        return Err(AnswerError::Invalid(text));
    }
    M::decode(any.value.as_slice())
        .map_err(|error| AnswerError::Invalid(format!("hints: {name}: {error}")))
}

const fn on_failure(disabled: bool, strategy: PartialResponseStrategy) -> OnFailure {
    match proto::allows_partial(disabled, strategy) {
        true => OnFailure::Warn,
        false => OnFailure::Abort,
    }
}

/// What is wanted of downsampled blocks; everything where nothing is said.
fn aggregates(wire: &thanos::SeriesRequest) -> AggregateSet {
    let wanted: AggregateSet = wire.aggregates().filter_map(aggregate).collect();
    if wire.aggregates.is_empty() {
        AggregateSet::ALL
    } else {
        wanted
    }
}

const fn aggregate(wire: Aggr) -> Option<Aggregate> {
    match wire {
        Aggr::Raw => None,
        Aggr::Count => Some(Aggregate::Count),
        Aggr::Sum => Some(Aggregate::Sum),
        Aggr::Min => Some(Aggregate::Min),
        Aggr::Max => Some(Aggregate::Max),
        Aggr::Counter => Some(Aggregate::Counter),
    }
}

#[cfg(test)]
mod tests {
    use proto::thanos::ShardInfo;
    use series::Hashed;

    use super::*;

    fn wire() -> thanos::SeriesRequest {
        thanos::SeriesRequest {
            min_time: -5,
            max_time: 7,
            matchers: vec![LabelMatcher {
                r#type: 2,
                name: "job".to_owned(),
                value: "a|b".into(),
            }],
            ..thanos::SeriesRequest::default()
        }
    }

    fn any(type_url: &str, message: &impl Message) -> Option<Any> {
        Some(Any {
            type_url: type_url.to_owned(),
            value: message.encode_to_vec(),
        })
    }

    #[test]
    fn a_plain_request_asks_for_raw_series_without_limits() {
        let asked = series(&wire()).unwrap();
        assert_eq!(asked.selector.range, TimeRange::new(-5, 7));
        assert!(asked.selector.matchers[0].matches("b"));
        assert_eq!((asked.max_resolution, asked.selector.limit), (0, 0));
        assert_eq!(asked.selector.on_failure, OnFailure::Warn);
        assert_eq!(asked.shard, None);
        assert_eq!(asked.aggregates, AggregateSet::ALL);
        assert!(!asked.skip_chunks);
    }

    #[test]
    fn partial_answers_are_refused_by_either_field() {
        let refused = |disabled, strategy: PartialResponseStrategy| {
            let wire = thanos::SeriesRequest {
                partial_response_disabled: disabled,
                partial_response_strategy: strategy.into(),
                ..wire()
            };
            series(&wire).unwrap().selector.on_failure == OnFailure::Abort
        };
        assert!(refused(true, PartialResponseStrategy::Warn));
        assert!(refused(false, PartialResponseStrategy::Abort));
        assert!(!refused(false, PartialResponseStrategy::Warn));
    }

    #[test]
    fn aggregates_and_shares_are_understood() {
        let asked = series(&thanos::SeriesRequest {
            aggregates: vec![Aggr::Count.into(), Aggr::Sum.into()],
            shard_info: Some(ShardInfo {
                shard_index: 1,
                total_shards: 3,
                by: true,
                labels: vec!["pod".to_owned()],
            }),
            limit: -1,
            ..wire()
        })
        .unwrap();
        assert_eq!(
            asked.aggregates,
            Aggregate::ALL[..2].iter().copied().collect()
        );
        let shard = asked.shard.unwrap();
        assert_eq!((shard.index, shard.total.get()), (1, 3));
        assert_eq!(shard.hashed, Hashed::Only(["pod".into()].into()));
        assert_eq!(asked.selector.limit, 0);
        let none = ShardInfo::default();
        assert_eq!(proto::shard(&none), None);
    }

    #[test]
    fn hints_restrict_blocks_and_must_be_of_their_kind() {
        let hints = SeriesRequestHints {
            block_matchers: wire().matchers,
            enable_query_stats: false,
        };
        let url = "type.googleapis.com/hintspb.SeriesRequestHints";
        let with = |hints| thanos::SeriesRequest { hints, ..wire() };
        let asked = series(&with(any(url, &hints))).unwrap();
        assert_eq!(asked.selector.block_matchers[0].name, "job");

        let other = any("type.googleapis.com/hintspb.LabelNamesRequestHints", &hints);
        assert_eq!(
            series(&with(other)).unwrap_err().to_string(),
            "hints: expected hintspb.SeriesRequestHints, found \
             \"type.googleapis.com/hintspb.LabelNamesRequestHints\""
        );
        let damaged = Some(Any {
            type_url: url.to_owned(),
            value: vec![0x0a, 0xff],
        });
        assert!(matches!(
            series(&with(damaged)),
            Err(AnswerError::Invalid(_))
        ));
    }

    #[test]
    fn what_cannot_be_asked_is_the_clients_fault() {
        let mut bad = wire();
        bad.matchers[0].value = "(".into();
        assert!(matches!(series(&bad), Err(AnswerError::Invalid(_))));
        let nameless = thanos::LabelValuesRequest::default();
        assert!(matches!(values(&nameless), Err(AnswerError::Invalid(_))));
    }
}
