//! `thanos.shipper.json`: what has been uploaded from this folder.
//!
//! ```text
//! {
//!   "version": 1,
//!   "uploaded": ["01HF8J5JG0RAVB4GMS32W7ZJ2B", …]
//! }
//! ```
//! Prometheus itself reads it where it was told to delay compaction until blocks are uploaded.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use model::BlockId;
use serde::{Deserialize, Serialize};

use crate::SidecarError;

/// What has been uploaded. Kept in a file that is replaced as a whole.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    uploaded: BTreeSet<BlockId>,
    /// Whether the file says so.
    is_stored: bool,
}

#[derive(Serialize, Deserialize)]
struct OnDisk {
    version: u64,
    // Go writes null for a list that it never made.
    #[serde(default)]
    uploaded: Option<Vec<BlockId>>,
}

impl State {
    /// Reads the file. One that is missing or cannot be used counts as empty: the bucket knows better, and is asked.
    pub(crate) fn load(path: PathBuf) -> Self {
        let (uploaded, is_stored) = match read(&path) {
            Ok(uploaded) => (uploaded, true),
            Err(reason) => {
                tracing::warn!(file = %path.display(), reason, "starting a new shipper file");
                (BTreeSet::new(), false)
            }
        };
        Self {
            path,
            uploaded,
            is_stored,
        }
    }

    /// Whether a block was uploaded.
    pub(crate) fn has(&self, block: BlockId) -> bool {
        self.uploaded.contains(&block)
    }

    /// Notes that a block was uploaded, and writes the file. Where it cannot be written, the note is kept.
    pub(crate) fn add(&mut self, block: BlockId) -> Result<(), SidecarError> {
        self.uploaded.insert(block);
        self.is_stored = false;
        self.store()
    }

    /// Forgets all blocks but those that are still here, and writes the file if it says something else or is not there.
    pub(crate) fn retain(&mut self, here: &BTreeSet<BlockId>) -> Result<(), SidecarError> {
        let before = self.uploaded.len();
        self.uploaded.retain(|block| here.contains(block));
        self.is_stored &= self.uploaded.len() == before;
        let on_disk = self
            .path
            .try_exists()
            .map_err(SidecarError::io(&self.path))?;
        if on_disk && self.is_stored {
            return Ok(());
        }
        self.store()
    }

    fn store(&mut self) -> Result<(), SidecarError> {
        let on_disk = OnDisk {
            version: 1,
            uploaded: Some(self.uploaded.iter().copied().collect()),
        };
        files::replace(&self.path, &to_json(&on_disk), files::Durability::Durable)
            .map_err(SidecarError::io(&self.path))?;
        self.is_stored = true;
        Ok(())
    }
}

fn read(path: &Path) -> Result<BTreeSet<BlockId>, String> {
    let json = files::read(path).map_err(|error| error.to_string())?;
    let Some(json) = json else {
        return Ok(BTreeSet::new());
    };
    let on_disk: OnDisk = serde_json::from_slice(&json).map_err(|e| e.to_string())?;
    if on_disk.version != 1 {
        return Err(format!("version: expected 1, found {}", on_disk.version));
    }
    Ok(on_disk.uploaded.unwrap_or_default().into_iter().collect())
}

/// As Go's encoder writes it: indented by tabs, a newline at the end.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let written = value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut out, format,
    ));
    debug_assert!(written.is_ok(), "{written:?}");
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const BLOCK: &str = "01HF8J5JG0RAVB4GMS32W7ZJ2B";

    fn here(blocks: &[&str]) -> BTreeSet<BlockId> {
        blocks.iter().map(|b| b.parse().unwrap()).collect()
    }

    #[test]
    fn the_file_is_the_one_that_thanos_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thanos.shipper.json");
        let mut state = State::load(path.clone());
        state.add(BLOCK.parse().unwrap()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            format!("{{\n\t\"version\": 1,\n\t\"uploaded\": [\n\t\t\"{BLOCK}\"\n\t]\n}}\n")
        );
        assert!(State::load(path).has(BLOCK.parse().unwrap()));
        let files = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(files, 1, "the temporary file is gone");
    }

    #[test]
    fn a_file_that_cannot_be_used_counts_as_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thanos.shipper.json");
        let texts = [
            "",
            "{\"version\": 1, \"uploaded\": null}",
            "{\"version\": 2, \"uploaded\": [\"01HF8J5JG0RAVB4GMS32W7ZJ2B\"]}",
            "{\"version\": 1, \"uploaded\": [\"what\"]}",
        ];
        for text in texts {
            fs::write(&path, text).unwrap();
            let mut state = State::load(path.clone());
            assert!(!state.has(BLOCK.parse().unwrap()), "{text}");
            state.add(BLOCK.parse().unwrap()).unwrap();
            assert!(State::load(path.clone()).has(BLOCK.parse().unwrap()));
        }
    }

    #[test]
    fn what_could_not_be_written_is_written_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thanos.shipper.json");
        let mut state = State::load(path.clone());
        fs::create_dir(&path).unwrap();
        state.add(BLOCK.parse().unwrap()).unwrap_err();
        state.retain(&here(&[BLOCK])).unwrap_err();
        fs::remove_dir(&path).unwrap();
        // A file that says less.
        fs::write(&path, r#"{"version": 1, "uploaded": []}"#).unwrap();
        state.retain(&here(&[BLOCK])).unwrap();
        assert!(State::load(path).has(BLOCK.parse().unwrap()));
    }

    #[test]
    fn blocks_that_are_gone_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thanos.shipper.json");
        let mut state = State::load(path.clone());
        let other = "01HF8S19R0DEWB2R91W75R7BAS";
        state.add(BLOCK.parse().unwrap()).unwrap();
        state.add(other.parse().unwrap()).unwrap();
        state.retain(&here(&[other])).unwrap();
        let state = State::load(path);
        assert!(!state.has(BLOCK.parse().unwrap()));
        assert!(state.has(other.parse().unwrap()));
    }
}
