//! Hearing of changes in folders.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use tokio::sync::Notify;

use super::metrics::ReloaderMetrics;

/// Hears of changes in folders, and wakes whoever waits for them.
pub(super) trait Watch: Send + 'static {
    /// Watches these folders, which are no links, and no others. Tells whether one of them was not watched before.
    fn follow(&mut self, folders: &BTreeSet<PathBuf>) -> Followed;
}

/// What became of the folders that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// All were watched before.
    AsBefore,
    /// Some are new, so a change in them may have gone unheard.
    More,
}

/// Hears of changes from the system.
#[derive(Debug)]
pub(super) struct FolderWatch {
    /// None where the system gives none: then changes are found by reading again.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    metrics: ReloaderMetrics,
}

impl FolderWatch {
    /// Wakes `changed` at each change.
    pub(super) fn new(metrics: &ReloaderMetrics, changed: Arc<Notify>) -> Self {
        let seen = metrics.clone();
        let handler = move |event: notify::Result<notify::Event>| match event {
            Ok(event) => {
                if changes(event.kind) {
                    seen.watch_events.inc();
                    changed.notify_one();
                }
            }
            Err(error) => {
                tracing::error!(%error, "watching files");
                seen.watch_errors.inc();
                changed.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(handler);
        if let Err(error) = &watcher {
            tracing::warn!(%error, "changes of files are not heard of at once");
            metrics.watch_errors.inc();
        }
        Self {
            watcher: watcher.ok(),
            watched: BTreeSet::new(),
            metrics: metrics.clone(),
        }
    }
}

impl Watch for FolderWatch {
    fn follow(&mut self, folders: &BTreeSet<PathBuf>) -> Followed {
        let Some(watcher) = &mut self.watcher else {
            return Followed::AsBefore;
        };
        for gone in self.watched.difference(folders) {
            // It may be no more, which ends its watch too.
            drop(watcher.unwatch(gone));
        }
        let mut watched = BTreeSet::new();
        for folder in folders {
            // Also those that are watched: another folder may have taken the place of one.
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    watched.insert(folder.clone());
                }
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "folder cannot be watched");
                    self.metrics.watch_errors.inc();
                }
            }
        }
        self.metrics
            .watches
            .set(i64::try_from(watched.len()).unwrap_or(i64::MAX));
        let more = !watched.is_subset(&self.watched);
        self.watched = watched;
        if more {
            Followed::More
        } else {
            Followed::AsBefore
        }
    }
}

/// Whether such an event can mean another content. That a file was read means none, or each look would lead to another.
const fn changes(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, ModifyKind, RemoveKind, RenameMode};

    use super::*;

    #[test]
    fn that_a_file_was_read_is_no_change() {
        for kind in [
            AccessKind::Open(AccessMode::Any),
            AccessKind::Close(AccessMode::Read),
            AccessKind::Read,
            AccessKind::Any,
        ] {
            assert!(!changes(EventKind::Access(kind)), "{kind:?}");
        }
        for kind in [
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Create(CreateKind::File),
            EventKind::Modify(ModifyKind::Data(DataChange::Any)),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
            EventKind::Remove(RemoveKind::Folder),
            // The system has lost count of what changed.
            EventKind::Other,
        ] {
            assert!(changes(kind), "{kind:?}");
        }
    }
}
