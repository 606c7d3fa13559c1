//! The folder below a failing bucket.

use std::{fs::File, mem, path::Path, sync::Arc};

use model::Timestamp;
use object_store::{Result, path::Path as StorePath};

use super::faults::{Faults, ReadFault, WriteFault, injected};
use crate::bucket::{Folder, Means, Opened, Staged};

/// Passes files to `inner`, unless they are to fail.
#[derive(Debug)]
pub(super) struct FailingFolder {
    inner: Arc<dyn Folder>,
    faults: Arc<Faults>,
}

impl FailingFolder {
    pub(super) fn new(inner: Arc<dyn Folder>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

impl Folder for FailingFolder {
    fn stage(&self, object: &StorePath, from: File, path: &Path, means: Means) -> Result<Staged> {
        let fault = self.faults.write("upload", object.as_ref());
        if fault == Some(WriteFault::Refused) {
            return Err(injected());
        }
        let staged = self.inner.stage(object, from, path, means)?;
        match fault {
            // As a killed program leaves it.
            Some(WriteFault::Cut) => mem::forget(staged),
            Some(WriteFault::AnswerLost) => staged.publish().map_err(|_| injected())?,
            Some(WriteFault::Refused) | None => return Ok(staged),
        }
        Err(injected())
    }

    fn link(&self, object: &StorePath, to: &Path) -> Result<bool> {
        match self.faults.read("get", object.as_ref()) {
            None => self.inner.link(object, to),
            Some(ReadFault::Refused) => Err(injected()),
            // What is changed on the way is a copy.
            Some(ReadFault::Flipped | ReadFault::FlippedAt(_) | ReadFault::Truncated) => Ok(false),
        }
    }

    fn remove_left(&self, prefix: &StorePath, before: Timestamp) -> Result<usize> {
        self.inner.remove_left(prefix, before)
    }

    /// Parts are read through the store, where reads are to fail.
    fn open(&self, _: &StorePath, _: Option<&str>) -> Result<Option<Opened>> {
        Ok(None)
    }

    fn is_file(&self, object: &StorePath, path: &Path) -> Result<bool> {
        self.inner.is_file(object, path)
    }
}
