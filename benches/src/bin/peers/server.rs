//! A server process: started, asked whether it is ready, and what it has taken.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::child;

/// How long one may take to become ready.
const START: Duration = Duration::from_secs(120);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// A running server; stopped when it is dropped.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts it; what it says goes to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = command
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// Tries until `ready` is so.
    pub(crate) async fn wait(
        &mut self,
        mut ready: impl AsyncFnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let Err(error) = ready().await else {
                return Ok(());
            };
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("it has ended: {status}");
            }
            if started.elapsed() > START {
                return Err(error.context(format!("not ready after {START:?}")));
            }
            thread::sleep(PAUSE);
        }
    }

    /// CPU time so far, of the program and of the kernel for it, to a hundredth of a second.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        child::cpu(&self.child.id().to_string(), 11)
    }

    /// Bytes of an entry of its `/proc/<pid>/status`, as `VmHWM:`.
    pub(crate) fn memory(&self, key: &str) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).context(path)?;
        child::memory(&status, key).with_context(|| format!("no {key}"))
    }

    /// Lets the peak of its memory, `VmHWM:`, begin anew.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        fs::write(&path, "5").context(path)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address of this machine where nothing listens.
pub(crate) fn free_address() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}
