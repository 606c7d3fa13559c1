//! Settings, times and memory.

use std::{
    fmt, fs,
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

/// What a question has cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The median of the rounds, in milliseconds.
    pub wall_ms: f64,
    /// CPU time of all threads in milliseconds, the mean of the rounds.
    pub cpu_ms: f64,
}

/// Does `work` a few times; its last result, and what it has cost.
///
/// # Errors
/// As `work` says.
pub fn cost<T>(work: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<(T, Cost)> {
    let (started, before) = (Instant::now(), all_threads_cpu());
    let (result, wall_ms) = median(|| started.elapsed(), work)?;
    let cpu = all_threads_cpu().saturating_sub(before).as_secs_f64();
    let cpu_ms = cpu * 1e3 / ROUNDS as f64;
    Ok((result, Cost { wall_ms, cpu_ms }))
}

/// Does `work` a few times; its last result, and the median of the CPU times of this thread in milliseconds.
/// What else the machine does matters less than by the clock.
///
/// # Errors
/// As `work` says.
pub fn median_cpu_ms<T>(work: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<(T, f64)> {
    median(thread_cpu, work)
}

fn median<T>(
    clock: impl Fn() -> Duration,
    mut work: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<(T, f64)> {
    let mut times = Vec::with_capacity(ROUNDS);
    loop {
        let started = clock();
        let result = work()?;
        times.push(clock().saturating_sub(started));
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

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    on_cpu(Path::new("/proc/thread-self"))
}

/// CPU time of the threads that there are. Those that run are behind by up to some milliseconds.
fn all_threads_cpu() -> Duration {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    threads.flatten().map(|thread| on_cpu(&thread.path())).sum()
}

/// CPU time of a thread, as the kernel tells it; nothing where it does not.
fn on_cpu(thread: &Path) -> Duration {
    let stat = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let ns = stat
        .split_whitespace()
        .next()
        .and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or_default())
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ms ({:.2} CPU)", self.wall_ms, self.cpu_ms)
    }
}

/// An entry of the process's status, in bytes.
fn status(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(key));
    let kib = value.and_then(|v| v.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}
