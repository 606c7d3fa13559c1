//! Reading files again while a daemon runs: when they change, and when someone requests it.

mod file;
mod reader;
mod watched;

use std::sync::Arc;

use tokio::sync::watch;

pub use self::file::ReloadedFile;
pub(crate) use self::{reader::Reader, watched::Watched};

/// A request to read files again, such as SIGHUP. Clones share it.
#[derive(Clone, Debug)]
pub struct Reload(Arc<watch::Sender<u64>>);

impl Reload {
    /// One that nobody has requested yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Requests that files are read again; returns how many readers there are.
    pub fn request(&self) -> usize {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
        self.0.receiver_count()
    }

    /// The requests from now on.
    pub(crate) fn requests(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

impl Default for Reload {
    fn default() -> Self {
        Self::new()
    }
}
