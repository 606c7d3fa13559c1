//! A program, and what it takes.
//!
//! CPU time and bytes are what the kernel adds to this process's own when it has waited for the program. Memory is
//! what `/proc/<pid>/status` says while it runs: its peak only grows, so but the last milliseconds of it can be
//! missed. (The peak that a wait tells may be that of this process before it became the program.)

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

/// Time between two looks at the memory.
const PAUSE: Duration = Duration::from_millis(10);

/// What a program has taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    pub(crate) wall: Duration,
    /// In the program and in the kernel.
    pub(crate) cpu: Duration,
    /// Most resident memory, in bytes; mapped files count as far as they are in memory.
    pub(crate) peak: u64,
    /// Most of it that is no file, as seen each few milliseconds.
    pub(crate) anonymous: u64,
    /// Bytes that it was given by calls that read; files that are mapped are not seen.
    pub(crate) read: u64,
    /// Bytes that it gave to calls that write.
    pub(crate) written: u64,
    /// What it said last, where it did not succeed.
    pub(crate) refused: Option<String>,
}

/// Runs a program to its end; what it says goes to `log`.
pub(crate) fn run(command: &mut Command, log: &Path) -> anyhow::Result<Used> {
    let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let (cpu, read, written) = (children_cpu()?, io("rchar:")?, io("wchar:")?);
    let started = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut used = Used::default();
    // What this process reads meanwhile is not the program's.
    let mut looked = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // One that has just ended has no memory any more.
        let status = fs::read_to_string(&status_file).unwrap_or_default();
        looked += status.len() as u64;
        let bytes = |key| memory(&status, key).unwrap_or_default();
        used.peak = used.peak.max(bytes("VmHWM:"));
        used.anonymous = used.anonymous.max(bytes("RssAnon:"));
        thread::sleep(PAUSE);
    };
    used.wall = started.elapsed();
    used.cpu = children_cpu()?.saturating_sub(cpu);
    used.read = io("rchar:")?.saturating_sub(read + looked);
    used.written = io("wchar:")?.saturating_sub(written);
    if !status.success() {
        let said = fs::read_to_string(log)?;
        let line = said.lines().rfind(|line| line.contains("error"));
        let line = line.or(said.lines().next_back()).unwrap_or_default();
        used.refused = Some(format!("{status}: {line}"));
    }
    Ok(used)
}

/// CPU time of all programs that this process has waited for.
fn children_cpu() -> anyhow::Result<Duration> {
    cpu("self", 13)
}

/// CPU time of a process, in the program and in the kernel, of which `/proc/<pid>/stat` tells the ticks from a field on,
/// counted after the name.
pub(crate) fn cpu(pid: &str, field: usize) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).context(path)?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    // A hundredth of a second each.
    let ticks = fields.split_whitespace().skip(field).take(2);
    let ticks: u64 = ticks.filter_map(|t| t.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// Bytes read or written by this process and all that it has waited for.
fn io(key: &str) -> anyhow::Result<u64> {
    let io = fs::read_to_string("/proc/self/io").context("reading /proc/self/io")?;
    let value = io.lines().find_map(|line| line.strip_prefix(key));
    value
        .and_then(|v| v.trim().parse().ok())
        .with_context(|| format!("no {key} in /proc/self/io"))
}

/// An entry of a process's status, in bytes.
pub(crate) fn memory(status: &str, key: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = value.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}
