//! Which spans are sent, as Thanos decides it.

use std::{sync::Arc, time::Instant};

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt as _, TraceId},
};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};
use parking_lot::Mutex;

/// The attribute of a span that is sent whatever the sampler says.
pub(crate) const FORCE: &str = "thanos.force_tracing";

/// Decides which spans are sent.
#[derive(Clone, Debug)]
pub(super) struct Sampling {
    /// Decides about spans without a parent.
    pub(super) root: Root,
    /// What a parent decides. None: nothing, and `root` decides about each span.
    pub(super) parents: Option<Parents>,
}

/// Decides by the trace alone.
#[derive(Clone, Debug)]
pub(super) enum Root {
    Always,
    Never,
    /// This share of the traces, by their ids.
    Ratio(f64),
    /// So many a second.
    PerSecond(Arc<Limiter>),
}

/// Of which parents the root sampler decides again; a child of any other is sent if its parent is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parents {
    /// Of sampled ones of this process.
    pub(super) ask_for_local: bool,
    /// Of sampled ones of other processes.
    pub(super) ask_for_remote: bool,
}

/// Lets so many a second pass.
#[derive(Debug)]
pub(super) struct Limiter {
    per_second: f64,
    /// What is saved up, and when it was counted last.
    saved: Mutex<(f64, Option<Instant>)>,
}

impl Sampling {
    /// That of Thanos without a configured one: a child as its parent, all else sent.
    pub(super) fn of_parent(root: Root) -> Self {
        let parents = Some(Parents::default());
        Self { root, parents }
    }
}

impl ShouldSample for Sampling {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let root = || match &self.root {
            Root::Always => true,
            Root::Never => false,
            Root::PerSecond(limiter) => limiter.passes(Instant::now()),
            Root::Ratio(ratio) => {
                let sampler = Sampler::TraceIdRatioBased(*ratio);
                let result =
                    sampler.should_sample(None, trace_id, name, span_kind, attributes, links);
                result.decision == SamplingDecision::RecordAndSample
            }
        };
        let parent = parent_context.map(|context| context.span().span_context().clone());
        let parent = parent.filter(opentelemetry::trace::SpanContext::is_valid);
        let is_forced = attributes.iter().any(|one| one.key.as_str() == FORCE);
        let is_sampled = is_forced
            || match (&parent, self.parents) {
                (Some(parent), Some(asks)) => {
                    let asks_again = match parent.is_remote() {
                        true => asks.ask_for_remote,
                        false => asks.ask_for_local,
                    };
                    parent.is_sampled() && (!asks_again || root())
                }
                _ => root(),
            };
        SamplingResult {
            decision: match is_sampled {
                true => SamplingDecision::RecordAndSample,
                false => SamplingDecision::Drop,
            },
            attributes: Vec::new(),
            trace_state: parent
                .map(|parent| parent.trace_state().clone())
                .unwrap_or_default(),
        }
    }
}

impl Limiter {
    pub(super) fn new(per_second: f64) -> Self {
        Self {
            per_second,
            saved: Mutex::new((per_second.max(1.0), None)),
        }
    }

    fn passes(&self, now: Instant) -> bool {
        let mut saved = self.saved.lock();
        let (balance, counted) = &mut *saved;
        let passed = counted.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        *balance = (*balance + passed * self.per_second).min(self.per_second.max(1.0));
        *counted = Some(now);
        let passes = *balance >= 1.0;
        if passes {
            *balance -= 1.0;
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};

    use super::*;

    /// A parent of this or another process.
    fn parent(sampled: TraceFlags, is_remote: bool) -> Context {
        let ids = (TraceId::from(7), SpanId::from(8));
        let context = SpanContext::new(ids.0, ids.1, sampled, is_remote, TraceState::default());
        Context::new().with_remote_span_context(context)
    }

    fn is_sent(sampling: &Sampling, parent: Option<&Context>, attributes: &[KeyValue]) -> bool {
        let kind = &SpanKind::Internal;
        // The ratio is compared with the last eight bytes of the id.
        let id = TraceId::from(u128::from(u64::MAX / 2));
        let result = sampling.should_sample(parent, id, "x", kind, attributes, &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn a_child_is_sent_if_its_parent_is() {
        for root in [Root::Always, Root::Never, Root::Ratio(0.1)] {
            let sampling = Sampling::of_parent(root);
            for is_remote in [true, false] {
                let sent = |flags| is_sent(&sampling, Some(&parent(flags, is_remote)), &[]);
                assert!(sent(TraceFlags::SAMPLED), "{sampling:?}");
                assert!(!sent(TraceFlags::NOT_SAMPLED), "{sampling:?}");
            }
        }
    }

    #[test]
    fn the_root_sampler_decides_alone_and_where_parents_say_so() {
        for (root, expected) in [
            (Root::Always, true),
            (Root::Never, false),
            (Root::Ratio(0.6), true),
            (Root::Ratio(0.4), false),
            (Root::PerSecond(Arc::new(Limiter::new(0.0))), true),
        ] {
            let sampling = Sampling::of_parent(root.clone());
            assert_eq!(is_sent(&sampling, None, &[]), expected, "{root:?}");
        }
        let alone = Sampling {
            root: Root::Always,
            parents: None,
        };
        assert!(is_sent(
            &alone,
            Some(&parent(TraceFlags::NOT_SAMPLED, true)),
            &[]
        ));
        for is_remote in [true, false] {
            let parents = Parents {
                ask_for_local: !is_remote,
                ask_for_remote: is_remote,
            };
            let sampling = Sampling {
                root: Root::Never,
                parents: Some(parents),
            };
            let sampled = |is_remote| parent(TraceFlags::SAMPLED, is_remote);
            assert!(!is_sent(&sampling, Some(&sampled(is_remote)), &[]));
            assert!(is_sent(&sampling, Some(&sampled(!is_remote)), &[]));
        }
    }

    #[test]
    fn a_forced_span_is_sent_whatever_the_sampler_says() {
        let sampling = Sampling {
            root: Root::Never,
            parents: None,
        };
        let forced = [KeyValue::new(FORCE, "true")];
        assert!(is_sent(&sampling, None, &forced));
        let unsampled = parent(TraceFlags::NOT_SAMPLED, true);
        assert!(is_sent(
            &Sampling::of_parent(Root::Never),
            Some(&unsampled),
            &forced
        ));
    }

    #[test]
    fn a_limiter_lets_so_many_a_second_pass_and_saves_up_one_second() {
        let start = Instant::now();
        let passed = |limiter: &Limiter, at_ms: u64| {
            let now = start + Duration::from_millis(at_ms);
            (0..10).filter(|_| limiter.passes(now)).count()
        };
        let limiter = Limiter::new(2.0);
        assert_eq!(passed(&limiter, 0), 2);
        assert_eq!(passed(&limiter, 400), 0);
        assert_eq!(passed(&limiter, 500), 1);
        assert_eq!(passed(&limiter, 60_000), 2);
        let slow = Limiter::new(0.5);
        assert_eq!(passed(&slow, 0), 1);
        assert_eq!(passed(&slow, 1_000), 0);
        assert_eq!(passed(&slow, 2_000), 1);
    }
}
