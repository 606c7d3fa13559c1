//! What daemons log, in the test's hands.

use std::{io, sync::Arc};

use parking_lot::Mutex;
use tracing::{
    Dispatch, dispatcher,
    subscriber::{DefaultGuard, NoSubscriber},
};
use tracing_subscriber::fmt::MakeWriter;

/// The log of this thread, for as long as this value lives. A test whose runtime has one thread gets all of it.
#[derive(Debug)]
pub struct CapturedLog {
    lines: Buffer,
    _subscriber: DefaultGuard,
    /// With one subscriber alone, tracing asks the thread that comes to a place first, which may be another test's, whether
    /// anybody wants to know of it; with two it asks both.
    _other: Dispatch,
}

#[derive(Clone, Debug, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl CapturedLog {
    /// Begins to capture warnings and errors.
    #[must_use]
    pub fn start() -> Self {
        Self::start_at(tracing::Level::WARN)
    }

    /// Begins to capture what is of this level or above.
    #[must_use]
    pub fn start_at(level: tracing::Level) -> Self {
        let lines = Buffer::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(lines.clone())
            .finish();
        let log = Dispatch::new(subscriber);
        Self {
            lines,
            _other: Dispatch::new(NoSubscriber::default()),
            _subscriber: dispatcher::set_default(&log),
        }
    }

    /// The lines so far, which are forgotten.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.lines.0.lock());
        String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
