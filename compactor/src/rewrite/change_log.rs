//! `change.log`: what a rewrite changes, one series a line, as Thanos writes it.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use model::Labels;
use tsdb::Intervals;

/// Writes changes, or forgets them.
#[derive(Debug)]
pub(crate) struct ChangeLog {
    file: Option<(PathBuf, BufWriter<File>)>,
}

impl ChangeLog {
    /// Writes into a new file of this name, if there is one.
    pub(crate) fn create(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path else {
            return Ok(Self { file: None });
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = BufWriter::new(File::create(path)?);
        Ok(Self {
            file: Some((path.to_owned(), file)),
        })
    }

    /// The file; empty if there is none.
    pub(crate) fn path(&self) -> PathBuf {
        self.file
            .as_ref()
            .map(|(path, _)| path.clone())
            .unwrap_or_default()
    }

    /// Samples of a series are deleted.
    pub(crate) fn deleted(&mut self, labels: &Labels, deleted: &Intervals) -> io::Result<()> {
        let Some((_, file)) = &mut self.file else {
            return Ok(());
        };
        write!(file, "Deleted {labels} [")?;
        for (place, range) in deleted.ranges().iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(file, "{space}{{{} {}}}", range.min, range.max)?;
        }
        writeln!(file, "]")
    }

    /// A series gets other labels.
    pub(crate) fn relabelled(&mut self, before: &Labels, after: &Labels) -> io::Result<()> {
        match &mut self.file {
            Some((_, file)) => writeln!(file, "Relabelled {before} {after}"),
            None => Ok(()),
        }
    }

    /// The file, complete.
    pub(crate) fn finish(self) -> io::Result<Option<PathBuf>> {
        let Some((path, mut file)) = self.file else {
            return Ok(None);
        };
        file.flush()?;
        Ok(Some(path))
    }
}

#[cfg(test)]
mod tests {
    use model::TimeRange;

    use super::*;

    #[test]
    fn lines_are_those_of_thanos() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new").join("change.log");
        let mut log = ChangeLog::create(Some(&path)).unwrap();
        let [a, b] = ["a", "b"].map(|job| Labels::from_pairs([("job", job)]));
        let deleted = [TimeRange::new(1, 2), TimeRange::new(5, 9)];
        log.deleted(&a, &deleted.into_iter().collect()).unwrap();
        log.relabelled(&a, &b).unwrap();
        assert_eq!(log.finish().unwrap(), Some(path.clone()));
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "Deleted {job=\"a\"} [{1 2} {5 9}]\nRelabelled {job=\"a\"} {job=\"b\"}\n"
        );
    }
}
