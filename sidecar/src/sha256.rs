//! SHA-256 of files.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};

/// A hash.
pub(crate) type Hash = [u8; 32];

/// The hash of a file's content.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn of_file(path: &Path) -> io::Result<Hash> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(buffer.get(..length).unwrap_or_default());
    }
}

/// A hash in hexadecimal digits.
pub(crate) fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
