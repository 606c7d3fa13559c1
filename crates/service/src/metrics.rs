//! The process's metrics, under Thanos's names, and their text.
//!
//! A metric is registered under its whole exported name. The library adds `_total` to counters itself, so that suffix
//! is removed first.

use std::{
    any::Any,
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::{prometheus_text, text},
    metrics::MetricType,
    registry::{Metric, Registry},
};

/// Metrics that are exported together. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    registry: Mutex<Registry>,
    /// The registered metrics by name, with their own types.
    known: Mutex<HashMap<String, Box<dyn Any + Send>>>,
    /// Daemons by name.
    children: Mutex<Vec<(String, Metrics)>>,
}

/// A text format for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus's text format, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Metrics {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The metrics of one of several daemons in this process: each gets the label `daemon`, and all are exported
    /// together. Two daemons may register the same names. A second call returns the same registry.
    #[must_use]
    pub fn daemon(&self, name: &str) -> Self {
        let mut children = self.0.children.lock();
        if let Some((_, child)) = children.iter().find(|(n, _)| n == name) {
            return child.clone();
        }
        let label = (Cow::Borrowed("daemon"), Cow::Owned(name.to_owned()));
        let child = Self(Arc::new(Inner {
            registry: Mutex::new(Registry::with_labels([label].into_iter())),
            ..Inner::default()
        }));
        children.push((name.to_owned(), child.clone()));
        child
    }

    /// Registers `metric` under its exported name (`thanos_…_total` for a counter), and returns it.
    ///
    /// `help` is a sentence without its full stop. If a metric of the same type has the name, that one is returned, so
    /// that a restarted part counts on.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        let mut known = self.0.known.lock();
        if let Some(taken) = known.get(name) {
            if let Some(taken) = taken.downcast_ref::<M>() {
                return taken.clone();
            }
            debug_assert!(false, "{name} is registered with two types");
        }
        known.insert(name.to_owned(), Box::new(metric.clone()));
        let name = match metric.metric_type() {
            MetricType::Counter => name.strip_suffix("_total").unwrap_or(name),
            _ => name,
        };
        self.0.registry.lock().register(name, help, metric.clone());
        metric
    }

    /// Lets `register` use the registry itself, for crates that do not know this type.
    pub fn with_registry<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.0.registry.lock())
    }

    /// As [`Metrics::with_registry`], but returns what was registered under `key` before, so that a restarted part
    /// counts on.
    pub fn register_once<T: Clone + Send + 'static>(
        &self,
        key: &str,
        register: impl FnOnce(&mut Registry) -> T,
    ) -> T {
        let mut known = self.0.known.lock();
        if let Some(known) = known.get(key).and_then(|k| k.downcast_ref::<T>()) {
            return known.clone();
        }
        let registered = register(&mut self.0.registry.lock());
        known.insert(key.to_owned(), Box::new(registered.clone()));
        registered
    }

    /// All metrics as text.
    #[must_use]
    pub fn encode(&self, exposition: Exposition) -> String {
        let mut texts = Vec::new();
        self.encode_each(exposition, &mut texts);
        let mut out = match texts.as_mut_slice() {
            [one] => std::mem::take(one),
            many => merge_families(many),
        };
        if exposition == Exposition::OpenMetrics {
            out.push_str("# EOF\n");
        }
        out
    }

    /// Appends the text of these metrics and then of each daemon's.
    fn encode_each(&self, exposition: Exposition, texts: &mut Vec<String>) {
        let mut out = String::new();
        let encoded = {
            let registry = self.0.registry.lock();
            match exposition {
                Exposition::Prometheus => prometheus_text::encode(&mut out, &registry),
                Exposition::OpenMetrics => text::encode_registry(&mut out, &registry),
            }
        };
        debug_assert_eq!(encoded, Ok(()), "writing to a String cannot fail");
        texts.push(out);
        for (_, child) in self.0.children.lock().iter() {
            child.encode_each(exposition, texts);
        }
    }
}

impl Exposition {
    /// The format that an `Accept` header requests; Prometheus's unless it names OpenMetrics.
    #[must_use]
    pub fn negotiate(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// The `Content-Type` of the format.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl fmt::Display for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.content_type())
    }
}

/// Joins texts so that each family of metrics is described once, with all its samples below.
///
/// A family starts at its `# HELP` line, which the library writes for every family.
fn merge_families(texts: &[String]) -> String {
    let mut families: BTreeMap<&str, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
    for text in texts {
        let mut name = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                name = rest.split(' ').next().unwrap_or(rest);
            }
            let (description, samples) = families.entry(name).or_default();
            if !line.starts_with('#') {
                samples.push(line);
            } else if !description.iter().any(|d| same_descriptor(d, line)) {
                description.push(line);
            }
        }
    }
    let mut out = String::new();
    for (description, samples) in families.into_values() {
        for line in description.into_iter().chain(samples) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// Whether two lines describe the same thing (`HELP`, `TYPE` or `UNIT`) of a family.
fn same_descriptor(a: &str, b: &str) -> bool {
    a.split(' ').nth(1) == b.split(' ').nth(1)
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};

    use super::*;

    #[test]
    fn a_counter_is_exported_under_exactly_the_name_given() {
        let metrics = Metrics::new();
        let uploads: Counter = metrics.register(
            "thanos_shipper_uploads_total",
            "Uploads",
            Counter::default(),
        );
        uploads.inc();
        let halted: Gauge = metrics.register("thanos_compact_halted", "Halted", Gauge::default());
        halted.set(0);
        assert_eq!(
            metrics.encode(Exposition::Prometheus),
            "# HELP thanos_shipper_uploads_total Uploads.\n\
             # TYPE thanos_shipper_uploads_total counter\n\
             thanos_shipper_uploads_total 1\n\
             # HELP thanos_compact_halted Halted.\n\
             # TYPE thanos_compact_halted gauge\n\
             thanos_compact_halted 0\n"
        );
        let open = metrics.encode(Exposition::OpenMetrics);
        assert!(
            open.contains("# TYPE thanos_shipper_uploads counter\n"),
            "{open}"
        );
        assert!(
            open.contains("\nthanos_shipper_uploads_total 1\n"),
            "{open}"
        );
        assert!(open.ends_with("# EOF\n"), "{open}");
    }

    #[test]
    fn daemons_of_one_process_share_names_and_are_described_once() {
        let metrics = Metrics::new();
        for name in ["compact", "store"] {
            let syncs: Family<[(&str, &str); 1], Counter> = metrics.daemon(name).register(
                "thanos_blocks_meta_syncs_total",
                "Syncs",
                Family::default(),
            );
            syncs.get_or_create(&[("kind", "full")]).inc();
        }
        assert_eq!(
            metrics.encode(Exposition::Prometheus),
            "# HELP thanos_blocks_meta_syncs_total Syncs.\n\
             # TYPE thanos_blocks_meta_syncs_total counter\n\
             thanos_blocks_meta_syncs_total{daemon=\"compact\",kind=\"full\"} 1\n\
             thanos_blocks_meta_syncs_total{daemon=\"store\",kind=\"full\"} 1\n"
        );
    }

    #[test]
    fn a_daemon_that_starts_anew_counts_on() {
        let metrics = Metrics::new();
        for expected in 1..=2 {
            let runs: Counter = metrics.daemon("compact").register(
                "thanos_compact_iterations_total",
                "Iterations",
                Counter::default(),
            );
            runs.inc();
            let text = metrics.encode(Exposition::Prometheus);
            let line =
                format!("thanos_compact_iterations_total{{daemon=\"compact\"}} {expected}\n");
            assert!(text.ends_with(&line), "{text}");
            assert_eq!(text.matches("# HELP").count(), 1, "{text}");
        }
    }

    #[test]
    fn a_set_of_metrics_is_registered_once() {
        let metrics = Metrics::new();
        let syncs = || {
            metrics.register_once("syncs", |registry| {
                let syncs = Counter::default();
                registry.register("syncs", "Syncs", syncs.clone());
                syncs
            })
        };
        let (first, second): (Counter, Counter) = (syncs(), syncs());
        first.inc();
        second.inc();
        let text = metrics.encode(Exposition::Prometheus);
        assert!(text.ends_with("\nsyncs_total 2\n"), "{text}");
        assert_eq!(text.matches("# HELP").count(), 1, "{text}");
    }

    #[test]
    fn openmetrics_is_served_only_to_those_who_ask() {
        let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
        assert_eq!(
            Exposition::negotiate(Some(prometheus)),
            Exposition::OpenMetrics
        );
        assert_eq!(Exposition::negotiate(Some("*/*")), Exposition::Prometheus);
        assert_eq!(Exposition::negotiate(None), Exposition::Prometheus);
    }
}
