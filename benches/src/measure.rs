//! Settings, times and memory.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How often a question is asked.
const ROUNDS: usize = 5;

/// What a piece of work has taken.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    started: Instant,
    cpu: Duration,
    /// Resident memory before, in bytes.
    before: u64,
}

/// The number in the environment variable `name`, or `default`.
#[must_use]
pub fn setting(name: &str, default: usize) -> usize {
    let value = std::env::var(name).ok();
    value.and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// Where blocks of `series` series are kept from run to run, below cargo's target folder.
#[must_use]
pub fn folder(target: &str, series: usize) -> PathBuf {
    Path::new(target).join(format!("blocks-{series}"))
}

/// Bytes of a file; of a folder, those of all files below it.
#[must_use]
pub fn size(path: &Path) -> u64 {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| size(&entry.path())).sum(),
        Err(_) => fs::metadata(path).map_or(0, |m| m.len()),
    }
}

/// Does `work` a few times; its last result, and the median of its times in milliseconds.
///
/// # Errors
/// As `work` says.
pub fn median_ms<T>(mut work: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<(T, f64)> {
    let mut times = Vec::with_capacity(ROUNDS);
    loop {
        let started = Instant::now();
        let result = work()?;
        times.push(started.elapsed());
        if times.len() == ROUNDS {
            times.sort_unstable();
            let median = times.get(ROUNDS / 2).copied().unwrap_or_default();
            return Ok((result, median.as_secs_f64() * 1e3));
        }
    }
}

impl Usage {
    /// Begins to measure. The kernel is asked to forget the peak of memory so far.
    #[must_use]
    pub fn begin() -> Self {
        // Where this is not possible, the peak is that of the process.
        drop(fs::write("/proc/self/clear_refs", "5"));
        Self {
            before: status("VmRSS:"),
            cpu: cpu(),
            started: Instant::now(),
        }
    }

    /// The times and the memory since the beginning, in words.
    #[must_use]
    pub fn end(self) -> String {
        let wall = self.started.elapsed().as_secs_f64();
        let cpu = cpu().saturating_sub(self.cpu).as_secs_f64();
        format!(
            "{wall:.2} s wall, {cpu:.2} s CPU, peak RSS {} MiB ({} MiB before)",
            status("VmHWM:") >> 20,
            self.before >> 20,
        )
    }
}

/// CPU time of this process, as the kernel tells it; nothing where it does not.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    // Ticks in the kernel and in the program, a hundredth of a second each.
    let ticks = fields.split_whitespace().skip(11).take(2);
    Duration::from_millis(ticks.filter_map(|t| t.parse::<u64>().ok()).sum::<u64>() * 10)
}

/// An entry of the process's status, in bytes.
fn status(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(key));
    let kib = value.and_then(|v| v.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}
