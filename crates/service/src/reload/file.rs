//! A file of settings that is read again when it changes.

use std::{convert::Infallible, future::Future, path::PathBuf};

use super::{Reload, Watched};
use crate::{Metrics, ServiceError};

/// A file of settings, whose texts are handed to those who use them.
#[derive(Clone, Debug)]
pub struct ReloadedFile(Watched<String>);

impl ReloadedFile {
    /// Reads the file, and `take`s its text; later each new one. A text that is not taken, or empty where there was one,
    /// changes nothing: it is an error in the log, and `varve_<name>_last_reload_successful` is 0. `what` is for the log,
    /// such as `the rules`.
    ///
    /// # Errors
    /// [`ServiceError::File`] when the file cannot be read, or its first text is not taken.
    pub fn open(
        path: PathBuf,
        what: &'static str,
        name: &str,
        metrics: &Metrics,
        reload: &Reload,
        take: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Result<Self, ServiceError> {
        let load = move |reader: &mut super::Reader, last: Option<&String>| {
            let wrong = |found: String| ServiceError::file(path.display(), found);
            let bytes = reader.read(&path)?;
            let text = String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
            if text.trim().is_empty() && last.is_some_and(|last| !last.trim().is_empty()) {
                // It may be about to be written.
                return Err(wrong("expected settings, found an empty file".to_owned()));
            }
            take(&text).map_err(wrong)?;
            Ok(text)
        };
        Watched::open(what, name, metrics, reload, load).map(Self)
    }

    /// Does `work` while the file is read again when it changes, and when it is requested.
    pub async fn beside<T>(file: Option<&Self>, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            never = Watched::follow_any(file.map(|file| &file.0)) => {
                let never: Infallible = never;
                match never {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use parking_lot::Mutex;

    use super::*;
    use crate::{Exposition, reload::watched::Looked};

    #[tokio::test]
    async fn each_new_text_is_taken_and_a_wrong_or_empty_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules.yaml");
        fs::write(&path, "one").unwrap();
        let (metrics, taken) = (Metrics::new(), Arc::new(Mutex::new(Vec::new())));
        let to = Arc::clone(&taken);
        let take = move |text: &str| match text {
            "wrong" => Err("expected another".to_owned()),
            text => {
                to.lock().push(text.to_owned());
                Ok(())
            }
        };
        let reload = Reload::new();
        let file = ReloadedFile::open(path.clone(), "rules", "rules", &metrics, &reload, take);
        let file = file.unwrap();
        for (text, looked, successful) in [
            ("one", Looked::Same, 1),
            ("two", Looked::Taken, 1),
            ("wrong", Looked::Refused, 0),
            ("", Looked::Refused, 0),
            ("three", Looked::Taken, 1),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(file.0.look().await, looked, "{text}");
            let line = format!("varve_rules_last_reload_successful {successful}\n");
            assert!(
                metrics.encode(Exposition::Prometheus).contains(&line),
                "{text}"
            );
        }
        assert_eq!(*taken.lock(), ["one", "two", "three"]);
    }
}
