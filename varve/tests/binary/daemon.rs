//! The program as a child process, and blocks for it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use anyhow::{Context as _, ensure};

/// A daemon that runs until it is told to end.
pub(crate) struct Daemon {
    child: Child,
    log: BufReader<ChildStderr>,
    said: String,
}

impl Daemon {
    pub(crate) fn start(args: &[&str]) -> anyhow::Result<Self> {
        let mut child = varve(args).stderr(Stdio::piped()).spawn()?;
        let log = child.stderr.take().context("stderr is piped")?;
        Ok(Self {
            child,
            log: BufReader::new(log),
            said: String::new(),
        })
    }

    /// The address in the first line of the log that holds `text`.
    pub(crate) fn address(&mut self, text: &str) -> anyhow::Result<String> {
        self.says(text)?;
        let mut lines = self.said.lines();
        let line = lines.find(|line| line.contains(text));
        let (_, address) = line
            .and_then(|line| line.split_once("address="))
            .context(text.to_owned())?;
        Ok(address.to_owned())
    }

    /// Reads the log up to the line that holds `text`, unless that was read before.
    pub(crate) fn says(&mut self, text: &str) -> anyhow::Result<()> {
        while !self.said.contains(text) {
            let read = self.log.read_line(&mut self.said)?;
            ensure!(read > 0, "ended before it said {text:?}:\n{}", self.said);
        }
        Ok(())
    }

    pub(crate) fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status()?;
        ensure!(sent.success(), "kill {signal}: {sent}");
        Ok(())
    }

    /// Ends it as an init system does; gives all it said.
    pub(crate) fn end(mut self) -> anyhow::Result<String> {
        self.signal("-TERM")?;
        self.log.read_to_string(&mut self.said)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}:\n{}", self.said);
        Ok(std::mem::take(&mut self.said))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already, but for a test that failed.
        let _ = self.child.kill();
    }
}

pub(crate) fn varve(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_varve"));
    command.args(args).stdin(Stdio::null());
    command
}

pub(crate) fn run(args: &[&str]) -> anyhow::Result<Output> {
    Ok(varve(args).output()?)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Blocks of two hours that a Prometheus scraped, in a folder like its own.
pub(crate) fn sample(to: &Path) -> anyhow::Result<()> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/sample");
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Uploads those blocks to a bucket in `dir`, with the label `a="b"` and more arguments; gives the bucket's argument.
pub(crate) fn uploaded(dir: &Path, more: &[&str]) -> anyhow::Result<String> {
    let tsdb = dir.join("tsdb");
    sample(&tsdb)?;
    let bucket = format!(
        "--objstore.config={{type: FILESYSTEM, config: {{directory: {}}}}}",
        dir.join("bucket").display()
    );
    let tsdb = format!("--tsdb.path={}", tsdb.display());
    let (label, http) = ("--label=a=\"b\"", "--http-address=127.0.0.1:0");
    let upload = run(&[&["sidecar", "--once", &tsdb, label, &bucket, http], more].concat())?;
    anyhow::ensure!(upload.status.success(), "{}", text(&upload.stderr));
    Ok(bucket)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, to): (_, PathBuf) = (entry?, to.to_owned());
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

pub(crate) fn http(address: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// What `varve tools series` answers, line by line.
pub(crate) fn ask(endpoint: &str, selector: &str) -> anyhow::Result<Vec<serde_json::Value>> {
    let asked = run(&[
        "tools",
        "series",
        "--endpoint",
        endpoint,
        "--wait=60s",
        "--output=json",
        selector,
    ])?;
    ensure!(asked.status.success(), "{}", text(&asked.stderr));
    let lines = text(&asked.stdout);
    Ok(lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?)
}
