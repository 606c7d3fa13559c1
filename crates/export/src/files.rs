//! The files of an export, one after the other, in one folder.
//!
//! A file has its name once it is whole; before that it is `.NAME.tmp`.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::{
    ExportError, Layout,
    file::{FileWriter, WriteError},
};

/// The files of an export in one folder.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    layout: Arc<Layout>,
    /// The size in bytes after which the next file begins.
    most: u64,
    next: usize,
    open: Option<Open>,
    finished: Vec<Finished>,
}

/// A complete file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its number of rows.
    pub rows: u64,
}

struct Open {
    path: PathBuf,
    part: PathBuf,
    writer: FileWriter<Counted<BufWriter<File>>>,
    bytes: Arc<AtomicU64>,
    rows: u64,
}

impl Files {
    /// Files below `folder`, which is created with the first one; each of about `most` bytes.
    #[must_use]
    pub const fn new(folder: PathBuf, layout: Arc<Layout>, most: u64) -> Self {
        Self {
            folder,
            layout,
            most,
            next: 0,
            open: None,
            finished: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), ExportError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        if let Err(error) = open.writer.write(batch) {
            return Err(error.of(open.path));
        }
        open.rows += batch.num_rows() as u64;
        if open.bytes.load(Ordering::Relaxed) >= self.most {
            self.finished.push(open.finish()?);
        } else {
            self.open = Some(open);
        }
        Ok(())
    }

    pub(crate) fn take_finished(&mut self) -> Vec<Finished> {
        std::mem::take(&mut self.finished)
    }

    pub(crate) fn finish(mut self) -> Result<Vec<Finished>, ExportError> {
        if let Some(open) = self.open.take() {
            self.finished.push(open.finish()?);
        }
        Ok(self.finished)
    }

    /// The error for a batch that cannot be made.
    pub(crate) fn failed(&self, source: ArrowError) -> ExportError {
        WriteError::Arrow(source).of(self.path())
    }

    fn path(&self) -> PathBuf {
        let suffix = self.layout.format.suffix();
        self.folder.join(format!("part-{:05}.{suffix}", self.next))
    }

    fn create(&mut self) -> Result<Open, ExportError> {
        let path = self.path();
        let part = part_of(&path);
        let failed = |error: WriteError| error.of(path.clone());
        fs::create_dir_all(&self.folder).map_err(|e| failed(e.into()))?;
        let file = File::create(&part).map_err(|e| failed(e.into()))?;
        let bytes = Arc::new(AtomicU64::new(0));
        let to = Counted {
            to: BufWriter::new(file),
            bytes: Arc::clone(&bytes),
        };
        let writer = FileWriter::new(&self.layout, to).map_err(failed)?;
        self.next += 1;
        Ok(Open {
            path,
            part,
            writer,
            bytes,
            rows: 0,
        })
    }
}

impl Open {
    fn finish(self) -> Result<Finished, ExportError> {
        let Self {
            path,
            part,
            writer,
            bytes,
            rows,
        } = self;
        let done = || -> Result<(), WriteError> {
            let file = writer.finish()?.to.into_inner();
            file.map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&part, &path)?;
            Ok(())
        };
        done().map_err(|error| error.of(path.clone()))?;
        Ok(Finished {
            path,
            bytes: bytes.load(Ordering::Relaxed),
            rows,
        })
    }
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("path", &self.path)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// The name of a file before it is whole.
fn part_of(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

impl WriteError {
    fn of(self, path: PathBuf) -> ExportError {
        match self {
            Self::Io(source) => ExportError::Io { path, source },
            Self::Arrow(source) => ExportError::Arrow { path, source },
            Self::Parquet(source) => ExportError::Parquet { path, source },
        }
    }
}

/// Counts what is written.
struct Counted<W> {
    to: W,
    bytes: Arc<AtomicU64>,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
