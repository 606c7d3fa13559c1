//! The log as entries of systemd's journal, by its native protocol, with Thanos's fields.
//!
//! ```text
//! ┌─────────────────────────────┬───┐
//! │ NAME=value                  │ \n│   a value of one line
//! ├───────┬───┬─────────────────┼───┤
//! │ NAME  │ \n│ length <8b LE>  │   │   any other value
//! ├───────┴───┴─────────────────┼───┤
//! │ value                       │ \n│
//! └─────────────────────────────┴───┘
//! ```
//! `msg` is `MESSAGE`, `level` is `PRIORITY` as in syslog, and any other key is `THANOS_KEY`.

use std::{
    io::{self, Write as _},
    os::unix::net::UnixDatagram,
    path::Path,
};

use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, fmt::time::FormatTime, layer::Context};

use super::{line::Lines, logfmt};

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// The longest value of an entry that the journal refused as too long.
const CUT: usize = 8 << 10;

/// Sends events to the journal.
pub(super) struct Journal<T> {
    lines: Lines<T>,
    socket: UnixDatagram,
}

impl<T> Journal<T> {
    /// For the journal that listens at `path`.
    pub(super) fn open(path: &Path, lines: Lines<T>) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self { lines, socket })
    }
}

impl<S: Subscriber, T: FormatTime + 'static> Layer<S> for Journal<T> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = self.lines.values(event);
        let sent = self.socket.send(&entry(&line, usize::MAX));
        // A datagram has a size of some 200 KiB at most.
        let sent = sent.or_else(|_| self.socket.send(&entry(&line, CUT)));
        if sent.is_err() {
            // The journal is gone; whoever started the process may still read this. If not, nobody does.
            let _ = writeln!(io::stderr(), "{}", logfmt::line(&line));
        }
    }
}

/// An entry with the keys and values of a line, each value cut after so many bytes.
fn entry(line: &Map<String, Value>, most: usize) -> Vec<u8> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let of = |key: &str| line.get(key).map(text).filter(|text| !text.is_empty());
    let message = of("msg").or_else(|| of("err"));
    let mut entry = Vec::new();
    add(
        &mut entry,
        "MESSAGE",
        message.as_deref().unwrap_or("(no message)"),
        most,
    );
    let priority = match of("level").as_deref() {
        Some("error") => "3",
        Some("warn") => "4",
        Some("debug") => "7",
        _ => "6",
    };
    add(&mut entry, "PRIORITY", priority, most);
    for (key, value) in line {
        if !matches!(key.as_str(), "msg" | "level") {
            add(&mut entry, &name(key), &text(value), most);
        }
    }
    entry
}

/// The field of a key: the journal takes `A` to `Z`, digits and `_`.
fn name(key: &str) -> String {
    let upper = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    };
    let key: String = key.chars().map(upper).collect();
    format!("THANOS_{key}")
}

fn add(entry: &mut Vec<u8>, name: &str, value: &str, most: usize) {
    let value = value
        .get(..value.floor_char_boundary(most))
        .unwrap_or(value);
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{Registry, layer::SubscriberExt as _};

    use super::*;
    use crate::{LogFormat, logging::line::tests::Noon};

    /// What the journal gets of `work`, one text an entry, without the numbers of lines.
    fn entries(work: impl FnOnce()) -> Vec<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        journal.set_nonblocking(true).unwrap();
        let lines = Lines {
            format: LogFormat::Journald,
            name: String::new(),
            timer: Noon,
        };
        let layer = Journal::open(&path, lines).unwrap();
        tracing::subscriber::with_default(Registry::default().with(layer), work);
        let mut buffer = vec![0; 1 << 20];
        let mut all = Vec::new();
        while let Ok(length) = journal.recv(&mut buffer) {
            all.push(buffer[..length].to_vec());
        }
        all
    }

    #[test]
    fn an_entry_has_thanos_s_fields_and_a_priority() {
        let all = entries(|| {
            tracing::warn!(target: "bucket", error = "a\nb", http.method = "GET", n = 3, "not read");
            tracing::error!(error = "only that", "");
            tracing::debug!("");
        });
        let text = |at: usize| String::from_utf8_lossy(&all[at]).into_owned();
        let first = text(0);
        let (before, after) = first.split_once("THANOS_CALLER=journal.rs:").unwrap();
        assert_eq!(
            before,
            "MESSAGE=not read\nPRIORITY=4\nTHANOS_TS=2026-11-29T12:00:00.25Z\n"
        );
        let (_, after) = after.split_once('\n').unwrap();
        assert_eq!(
            after,
            "THANOS_COMPONENT=objstore\nTHANOS_ERR\n\u{3}\0\0\0\0\0\0\0a\nb\nTHANOS_HTTP_METHOD=GET\nTHANOS_N=3\n"
        );
        assert!(
            text(1).starts_with("MESSAGE=only that\nPRIORITY=3\n"),
            "{}",
            text(1)
        );
        assert!(
            text(2).starts_with("MESSAGE=(no message)\nPRIORITY=7\n"),
            "{}",
            text(2)
        );
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn an_entry_that_is_too_long_for_the_journal_is_cut() {
        let long = "é".repeat(1 << 20);
        let all = entries(|| tracing::info!(long, "said"));
        let [entry] = all.as_slice() else {
            panic!("{} entries", all.len());
        };
        let text = String::from_utf8(entry.clone()).unwrap();
        let (_, value) = text.split_once("THANOS_LONG=").unwrap();
        assert_eq!(value.len(), CUT + 1);
    }
}
