//! Reads files, and remembers what they held.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::ServiceError;

/// The longest file that is read: more than any certificate or configuration has.
const MAX_BYTES: u64 = 4 << 20;

/// Reads files, and remembers what each held.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    seen: Vec<Seen>,
}

/// What a file held when it was read.
#[derive(Debug)]
pub(crate) struct Seen {
    path: PathBuf,
    content: Content,
}

/// The content of a file; not the bytes, which may be secret.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Sum([u8; 32]),
    Unread(io::ErrorKind),
}

impl Reader {
    /// The content of a file.
    ///
    /// # Errors
    /// [`ServiceError::File`] when it cannot be read, or has more than 4 MiB.
    pub(crate) fn read(&mut self, path: &Path) -> Result<Vec<u8>, ServiceError> {
        let read = read(path);
        self.seen.push(Seen {
            path: path.to_owned(),
            content: Content::of(&read),
        });
        read.map_err(|error| ServiceError::file(path.display(), error))
    }

    /// What was read.
    pub(crate) fn seen(self) -> Vec<Seen> {
        self.seen
    }
}

impl Seen {
    /// Whether the file still holds the same.
    pub(crate) fn is_same(&self) -> bool {
        Content::of(&read(&self.path)) == self.content
    }
}

impl Content {
    fn of(read: &io::Result<Vec<u8>>) -> Self {
        match read {
            Ok(bytes) => Self::Sum(Sha256::digest(bytes).into()),
            Err(error) => Self::Unread(error.kind()),
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = File::open(path)?.take(MAX_BYTES + 1);
    file.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let text = format!("expected at most {MAX_BYTES} bytes, found more");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}
