//! What this process is and takes, under the names that every Prometheus client library gives it.

use std::fmt;

use procfs::{
    ProcResult, WithCurrentSystemInfo as _,
    process::{LimitValue, Process},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{
        counter::ConstCounter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
};

use crate::Metrics;

/// Registers `process_*` and `thanos_build_info`. A second call changes nothing.
pub(crate) fn register(metrics: &Metrics) {
    metrics.register_once("process", |registry| {
        registry.register_collector(Box::new(ProcessCollector));
    });
    let build = metrics.register(
        "thanos_build_info",
        "Version of this program, and the system that it is built for; always 1",
        Family::<[(&str, &str); 3], Gauge>::default(),
    );
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("goos", std::env::consts::OS),
        ("goarch", std::env::consts::ARCH),
    ];
    build.get_or_create(&labels).set(1);
}

/// Reads `/proc/self` at each scrape.
#[derive(Debug)]
struct ProcessCollector;

/// What `/proc/self` says.
struct Usage {
    cpu_seconds: f64,
    /// Since 1970.
    start_seconds: f64,
    open_fds: u64,
    max_fds: u64,
    resident_bytes: u64,
    virtual_bytes: u64,
    max_virtual_bytes: u64,
}

impl Usage {
    fn read() -> ProcResult<Self> {
        let process = Process::myself()?;
        let (stat, limits) = (process.stat()?, process.limits()?);
        let ticks = procfs::ticks_per_second() as f64;
        // All bits set is what client libraries say of a limit that is none.
        let limit = |value| match value {
            LimitValue::Unlimited => u64::MAX,
            LimitValue::Value(value) => value,
        };
        Ok(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            start_seconds: procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
            open_fds: process.fd_count()? as u64,
            max_fds: limit(limits.max_open_files.soft_limit),
            resident_bytes: stat.rss_bytes().get(),
            virtual_bytes: stat.vsize,
            max_virtual_bytes: limit(limits.max_address_space.soft_limit),
        })
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let usage = match Usage::read() {
            Ok(usage) => usage,
            Err(error) => {
                tracing::debug!(%error, "reading /proc/self");
                return Ok(());
            }
        };
        // The encoder adds `_total`.
        let cpu = ConstCounter::new(usage.cpu_seconds);
        let help = "CPU time of this process, in the program and in the kernel";
        let name = "process_cpu_seconds";
        cpu.encode(encoder.encode_descriptor(name, help, None, cpu.metric_type())?)?;
        let start = ConstGauge::new(usage.start_seconds);
        let help = "Start of this process, in seconds since 1970";
        let name = "process_start_time_seconds";
        start.encode(encoder.encode_descriptor(name, help, None, start.metric_type())?)?;
        for (name, help, value) in [
            ("process_open_fds", "Open file descriptors", usage.open_fds),
            (
                "process_max_fds",
                "Limit of open file descriptors",
                usage.max_fds,
            ),
            (
                "process_resident_memory_bytes",
                "Resident memory",
                usage.resident_bytes,
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory",
                usage.virtual_bytes,
            ),
            (
                "process_virtual_memory_max_bytes",
                "Limit of virtual memory",
                usage.max_virtual_bytes,
            ),
        ] {
            let gauge = ConstGauge::new(value as f64);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock as _, Exposition, SystemClock};

    /// The value of a metric in Prometheus's text.
    fn value(text: &str, name: &str) -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    }

    #[test]
    fn each_scrape_tells_what_the_process_takes_under_the_usual_names() {
        let metrics = Metrics::new();
        register(&metrics);
        register(&metrics);
        let text = metrics.encode(Exposition::Prometheus);
        assert!(
            text.contains("# TYPE process_cpu_seconds_total counter\n"),
            "{text}"
        );
        assert!(
            value(&text, "process_resident_memory_bytes ") > 1e6,
            "{text}"
        );
        assert!(
            value(&text, "process_virtual_memory_bytes ") > 1e6,
            "{text}"
        );
        assert!(
            value(&text, "process_virtual_memory_max_bytes ") > 1e6,
            "{text}"
        );
        let open = value(&text, "process_open_fds ");
        assert!(
            open >= 3.0 && open < value(&text, "process_max_fds "),
            "{text}"
        );
        // Some time after 2023 and not in the future.
        let now = SystemClock.now_ms() as f64 / 1e3;
        let start = value(&text, "process_start_time_seconds ");
        assert!(start > 1.7e9 && start < now + 2.0, "{start}");
        let build = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
        let line = text
            .lines()
            .find(|line| line.starts_with("thanos_build_info{"));
        assert!(
            line.is_some_and(|line| line.contains(&build) && line.ends_with(" 1")),
            "{text}"
        );
    }
}
