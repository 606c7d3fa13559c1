//! A value that is made of files, and made again when they change.

use std::{convert::Infallible, fmt, future::pending, sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::sleep;

use super::{Reader, Reload, reader::Seen};
use crate::{Clock as _, Metrics, ServiceError, SystemClock, blocking};

/// The time between two looks at the files.
const EVERY: Duration = Duration::from_secs(1);

/// A value that is made of files. Clones share it.
pub(crate) struct Watched<T>(Arc<State<T>>);

/// Makes the value; the last one is given for comparison.
type Load<T> = dyn Fn(&mut Reader, Option<&T>) -> Result<T, ServiceError> + Send + Sync;

struct State<T> {
    /// For the log, such as `the gRPC certificates`.
    what: &'static str,
    load: Box<Load<T>>,
    current: RwLock<Arc<T>>,
    /// What was read by the last attempt, successful or not.
    seen: Mutex<Vec<Seen>>,
    reload: Reload,
    successful: Gauge,
    success_time: Gauge,
}

/// What a look at the files came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    /// They hold what they held.
    Same,
    /// They have changed, and the value is new.
    Taken,
    /// They have changed, and make no value; the old one stays.
    Refused,
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Makes the first value. The metrics are called `varve_<name>_last_reload_…`.
    ///
    /// # Errors
    /// Those of `load`.
    pub(crate) fn open(
        what: &'static str,
        name: &str,
        metrics: &Metrics,
        reload: &Reload,
        load: impl Fn(&mut Reader, Option<&T>) -> Result<T, ServiceError> + Send + Sync + 'static,
    ) -> Result<Self, ServiceError> {
        let mut reader = Reader::default();
        let current = load(&mut reader, None)?;
        let successful: Gauge = metrics.register(
            &format!("varve_{name}_last_reload_successful"),
            "Whether the files were usable when they were last read; 0: those from before are in use",
            Gauge::default(),
        );
        let success_time: Gauge = metrics.register(
            &format!("varve_{name}_last_reload_success_timestamp_seconds"),
            "Time at which usable files were last read, in seconds since 1970",
            Gauge::default(),
        );
        let state = State {
            what,
            load: Box::new(load),
            current: RwLock::new(Arc::new(current)),
            seen: Mutex::new(reader.seen()),
            reload: reload.clone(),
            successful,
            success_time,
        };
        state.succeeded();
        Ok(Self(Arc::new(state)))
    }

    /// The value of now.
    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.current.read())
    }

    /// Looks at the files every second, and when it is requested.
    pub(crate) async fn follow(&self) -> Infallible {
        let mut requests = self.0.reload.requests();
        let mut requested = false;
        loop {
            let looked = self.look().await;
            if requested && looked == Looked::Same {
                tracing::info!("{} have not changed", self.0.what);
            }
            requested = tokio::select! {
                () = sleep(EVERY) => false,
                // Never an error: the sender is ours too.
                _ = requests.changed() => true,
            };
        }
    }

    /// As [`Watched::follow`]; without one, for ever idle.
    pub(crate) async fn follow_any(watched: Option<&Self>) -> Infallible {
        match watched {
            Some(watched) => watched.follow().await,
            None => pending().await,
        }
    }

    /// Makes the value again if a file has changed.
    pub(crate) async fn look(&self) -> Looked {
        let state = Arc::clone(&self.0);
        blocking(move || state.look()).await
    }
}

impl<T> State<T> {
    fn look(&self) -> Looked {
        let mut seen = self.seen.lock();
        if seen.iter().all(Seen::is_same) {
            return Looked::Same;
        }
        let mut reader = Reader::default();
        let last = Arc::clone(&self.current.read());
        let loaded = (self.load)(&mut reader, Some(&last));
        *seen = reader.seen();
        match loaded {
            Ok(value) => {
                *self.current.write() = Arc::new(value);
                self.succeeded();
                tracing::info!("{} were read again", self.what);
                Looked::Taken
            }
            Err(error) => {
                self.successful.set(0);
                let what = self.what;
                tracing::error!(%error, "{what} cannot be used; those from before stay in use");
                Looked::Refused
            }
        }
    }

    fn succeeded(&self) {
        self.successful.set(1);
        self.success_time.set(SystemClock.now_ms() / 1000);
    }
}

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The same files, not equal ones.
impl<T> PartialEq for Watched<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Eq for Watched<T> {}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value may hold secrets.
        write!(f, "Watched({})", self.0.what)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Exposition;

    #[tokio::test]
    async fn a_value_changes_with_its_file_and_stays_if_the_file_is_unusable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("number");
        fs::write(&path, "1").unwrap();
        let metrics = Metrics::new();
        let read = path.clone();
        let watched = Watched::open(
            "numbers",
            "numbers",
            &metrics,
            &Reload::new(),
            move |reader, _| {
                let text = String::from_utf8(reader.read(&read)?).unwrap_or_default();
                let number = text.parse::<u8>();
                number.map_err(|error| ServiceError::file(read.display(), error))
            },
        );
        let watched = watched.unwrap();
        let successful = || {
            let text = metrics.encode(Exposition::Prometheus);
            let line = text
                .lines()
                .find_map(|l| l.strip_prefix("varve_numbers_last_reload_successful "));
            line.unwrap().to_owned()
        };
        assert_eq!(watched.look().await, Looked::Same);
        assert_eq!((*watched.get(), successful().as_str()), (1, "1"));
        fs::write(&path, "2").unwrap();
        assert_eq!(watched.look().await, Looked::Taken);
        assert_eq!(*watched.get(), 2);
        fs::write(&path, "two").unwrap();
        assert_eq!(watched.look().await, Looked::Refused);
        assert_eq!((*watched.get(), successful().as_str()), (2, "0"));
        // Said once, not at each look.
        assert_eq!(watched.look().await, Looked::Same);
        fs::remove_file(&path).unwrap();
        assert_eq!(watched.look().await, Looked::Refused);
        assert_eq!(watched.look().await, Looked::Same);
        fs::write(&path, "3").unwrap();
        assert_eq!(watched.look().await, Looked::Taken);
        assert_eq!((*watched.get(), successful().as_str()), (3, "1"));
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long");
        fs::write(&path, vec![0; (4 << 20) + 1]).unwrap();
        let error = Reader::default().read(&path).unwrap_err().to_string();
        let text = "expected at most 4194304 bytes, found more";
        assert_eq!(error, format!("{}: {text}", path.display()));
    }
}
