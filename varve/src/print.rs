//! The output of commands. Its reader may stop at any time (`| head`); that ends a command without an error.

use std::io;

use anyhow::Context as _;

/// Nobody reads any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads {0} any more")]
pub(crate) struct Unread(&'static str);

/// Writes to stdout, at once.
pub(crate) fn stdout(text: &str) -> anyhow::Result<()> {
    print("stdout", io::stdout().lock(), text)
}

/// Writes to stderr.
pub(crate) fn stderr(text: &str) -> anyhow::Result<()> {
    print("stderr", io::stderr().lock(), text)
}

fn print(name: &'static str, mut to: impl io::Write, text: &str) -> anyhow::Result<()> {
    let written = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unread(name).into()),
        other => other.with_context(|| format!("writing to {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_nobody_reads_is_told_from_a_disk_that_is_full() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let error = print("stdout", writer, "text").unwrap_err();
        assert!(error.is::<Unread>(), "{error}");
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let error = print("stdout", full, "text").unwrap_err();
        assert!(!error.is::<Unread>(), "{error}");
        assert_eq!(error.to_string(), "writing to stdout");
    }
}
