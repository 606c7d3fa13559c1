//! A local file as `arrow`'s reader wants it: read by position, so that row groups are read at the same time.

use std::{
    error::Error as StdError,
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use parquet::{
    errors::ParquetError,
    file::reader::{ChunkReader, Length},
};
use parquet_block::Error;

/// Bytes that are read where the reader does not say how many it needs: a header.
const BUFFER: usize = 512;

/// An open file.
#[derive(Clone)]
pub(super) struct Source(Arc<Inner>);

struct Inner {
    file: File,
    name: String,
    size: u64,
    /// What could not be read, which the reader of `arrow` makes a text of.
    failed: OnceLock<io::Error>,
}

/// Reads on from a place.
pub(super) struct At {
    source: Source,
    at: u64,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let name = path.to_string_lossy().into_owned();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((size, file)) => Ok(Self(Arc::new(Inner {
                file,
                name,
                size,
                failed: OnceLock::new(),
            }))),
            Err(source) => Err(Error::Io { file: name, source }),
        }
    }

    /// An error about what the file says.
    pub(super) fn corrupt(&self, reason: impl Into<String>) -> Error {
        Error::Corrupt {
            file: self.0.name.clone(),
            offset: 0,
            reason: reason.into(),
        }
    }

    /// An error of the reader.
    pub(super) fn error(&self, error: &dyn StdError) -> Error {
        match self.0.failed.get() {
            Some(failed) => Error::Io {
                file: self.0.name.clone(),
                source: io::Error::new(failed.kind(), failed.to_string()),
            },
            None => self.corrupt(error.to_string()),
        }
    }

    /// Keeps an error, and gives one like it.
    fn failed(&self, error: io::Error) -> io::Error {
        let same = io::Error::new(error.kind(), error.to_string());
        // The first is told of.
        let _ = self.0.failed.set(error);
        same
    }
}

impl Read for At {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.source.0.file.read_at(bytes, self.at);
        let read = read.map_err(|error| self.source.failed(error))?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.0.size
    }
}

impl ChunkReader for Source {
    type T = BufReader<At>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let source = self.clone();
        Ok(BufReader::with_capacity(BUFFER, At { source, at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.0.size) {
            let reason = format!("{length} bytes at {start} in a file of {}", self.0.size);
            return Err(ParquetError::EOF(reason));
        }
        let read = files::read_range(&self.0.file, start..start + length as u64);
        Ok(read.map_err(|error| self.failed(error))?.into())
    }
}
