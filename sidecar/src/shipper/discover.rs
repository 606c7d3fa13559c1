//! Finding the blocks of a TSDB folder.

use std::{fs, io, path::Path};

use model::{BlockId, BlockMeta};

use crate::SidecarError;

/// What lies in a TSDB folder.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The blocks, oldest first.
    pub(crate) blocks: Vec<BlockMeta>,
    /// Folders that are named as blocks and are none, with the reason.
    pub(crate) broken: Vec<(BlockId, SidecarError)>,
}

/// Reads the `meta.json` of each folder in `dir` that is named by a ULID.
///
/// A block that Prometheus is writing or deleting has another name (`….tmp-for-creation`, `….tmp-for-deletion`).
///
/// # Errors
/// When the folder itself cannot be listed.
pub(crate) fn blocks(dir: &Path) -> Result<Found, SidecarError> {
    let mut found = Found::default();
    for entry in fs::read_dir(dir).map_err(SidecarError::io(dir))? {
        let entry = entry.map_err(SidecarError::io(dir))?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|n| n.parse::<BlockId>().ok()) else {
            continue;
        };
        match read_meta(&entry.path(), id) {
            Ok(Some(meta)) => found.blocks.push(meta),
            Ok(None) => {}
            Err(error) => found.broken.push((id, error)),
        }
    }
    found.blocks.sort_by_key(|m| (m.min_time, m.ulid));
    found.broken.sort_by_key(|(id, _)| *id);
    Ok(found)
}

/// The `meta.json` of the block in `dir`; none if `dir` was deleted meanwhile.
fn read_meta(dir: &Path, id: BlockId) -> Result<Option<BlockMeta>, SidecarError> {
    let path = dir.join(BlockMeta::FILE);
    let json = match fs::read(&path) {
        Ok(json) => json,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let here = dir.try_exists().map_err(SidecarError::io(dir))?;
            return if here {
                Err(SidecarError::Io {
                    path,
                    source: error,
                })
            } else {
                Ok(None)
            };
        }
        Err(source) => return Err(SidecarError::Io { path, source }),
    };
    let meta = match BlockMeta::decode(&json) {
        Ok(meta) => meta,
        Err(source) => return Err(SidecarError::Meta { path, source }),
    };
    if meta.ulid != id {
        let found = meta.ulid;
        return Err(SidecarError::WrongBlock { path, found });
    }
    Ok(Some(meta))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, ulid: &str, min: i64, version: u8) {
        let block = dir.join(name);
        fs::create_dir_all(&block).unwrap();
        let json = format!(
            r#"{{"ulid":"{ulid}","minTime":{min},"maxTime":{},"version":{version}}}"#,
            min + 1
        );
        fs::write(block.join("meta.json"), json).unwrap();
    }

    #[test]
    fn blocks_come_oldest_first_and_broken_ones_apart() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let [a, b, c, d, e] = [
            "01HF8B9V80XM795QY4ZC4QZX6R",
            "01HF8J5JG0RAVB4GMS32W7ZJ2B",
            "01HF8S19R0DEWB2R91W75R7BAS",
            "01HF8ZX100G6RE14BBWZZ6609A",
            "01HF96RR80XM795QY4ZC4QZX6R",
        ];
        write(dir, a, a, 20, 1);
        write(dir, b, b, 10, 1);
        write(dir, c, c, 0, 2);
        write(dir, d, a, 0, 1);
        fs::create_dir(dir.join(e)).unwrap();
        let tmp = format!("{e}.tmp-for-creation");
        write(dir, &tmp, e, 0, 1);
        for other in ["wal", "chunks_head", "thanos"] {
            fs::create_dir(dir.join(other)).unwrap();
        }
        fs::write(dir.join("lock"), "").unwrap();
        let found = blocks(dir).unwrap();
        let ids: Vec<String> = found.blocks.iter().map(|m| m.ulid.to_string()).collect();
        assert_eq!(ids, [b, a]);
        let broken: Vec<String> = found.broken.iter().map(|(_, e)| e.to_string()).collect();
        assert_eq!(broken.len(), 3);
        assert!(broken[0].ends_with("meta.json: version: expected 1, found 2"));
        assert!(broken[1].contains(&format!("found {a}")), "{}", broken[1]);
        assert!(
            broken[2].contains("meta.json: No such file"),
            "{}",
            broken[2]
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_that_names_it() {
        let error = blocks(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(
            error.to_string().starts_with("/nowhere/at/all: "),
            "{error}"
        );
    }
}
