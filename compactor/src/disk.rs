//! Space in the work folder.

use std::path::Path;

use crate::CompactError;

/// Checks that `needed` bytes can be written below `dir`, an existing folder.
///
/// # Errors
/// When there is less space; the error states both.
pub(crate) fn check(dir: &Path, needed: u64) -> Result<(), CompactError> {
    let available = available(dir)?;
    if needed > available {
        return Err(CompactError::Disk {
            dir: dir.to_owned(),
            needed,
            available,
        });
    }
    Ok(())
}

/// Bytes that a user other than root may still write to the file system of `dir`.
fn available(dir: &Path) -> Result<u64, CompactError> {
    let stat = rustix::fs::statvfs(dir).map_err(|e| CompactError::io(dir)(e.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_does_not_fit_is_refused_with_both_figures() {
        let dir = tempfile::tempdir().unwrap();
        assert!(available(dir.path()).unwrap() > 0);
        check(dir.path(), 1).unwrap();
        let error = check(dir.path(), u64::MAX).unwrap_err().to_string();
        assert!(error.contains("16383.9 PiB of disk needed"), "{error}");
    }
}
