//! Whether a Prometheus may have its blocks uploaded, by its flags.

use std::{collections::BTreeMap, path::Path};

use crate::SidecarError;

const MIN_BLOCK: &str = "storage.tsdb.min-block-duration";
const MAX_BLOCK: &str = "storage.tsdb.max-block-duration";
const DELAY_COMPACT_FILE: &str = "storage.tsdb.delay-compact-file.path";

/// What to do about a Prometheus that compacts its blocks itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnequalBlocks {
    /// Refuse to upload.
    #[default]
    Refuse,
    /// Upload all the same; blocks that it has compacted are left out.
    Ignore,
}

/// Checks that Prometheus leaves its blocks alone until they are uploaded: either it never compacts them, or it waits
/// until the shipper file names them (from 3.9 on).
///
/// # Errors
/// When it does neither, or waits for another file than `shipper_file`.
pub(crate) fn flags(
    flags: &BTreeMap<String, String>,
    shipper_file: &Path,
    unequal: UnequalBlocks,
) -> Result<(), SidecarError> {
    let flag = |name| flags.get(name).map(String::as_str).unwrap_or_default();
    let delay = Path::new(flag(DELAY_COMPACT_FILE));
    if !delay.as_os_str().is_empty() {
        return if cleaned(delay) == cleaned(shipper_file) {
            Ok(())
        } else {
            Err(SidecarError::DelayCompactFile {
                found: delay.to_owned(),
                expected: shipper_file.to_owned(),
            })
        };
    }
    let (min, max) = (flag(MIN_BLOCK), flag(MAX_BLOCK));
    if min != max {
        let error = SidecarError::Compaction {
            min: min.to_owned(),
            max: max.to_owned(),
        };
        if unequal == UnequalBlocks::Refuse {
            return Err(error);
        }
        tracing::warn!(%error, "uploading all the same, as --shipper.ignore-unequal-block-size says");
    }
    if min != "2h" {
        tracing::warn!(found = min, expected = "2h", "unusual {MIN_BLOCK}");
    }
    Ok(())
}

/// The path without `.` and `..` where they say nothing.
fn cleaned(path: &Path) -> std::path::PathBuf {
    use std::path::Component;
    let mut out = std::path::PathBuf::new();
    for part in path.components() {
        match (part, out.components().next_back()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                out.pop();
            }
            _ => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)], unequal: UnequalBlocks) -> Result<(), SidecarError> {
        let pairs = pairs.iter().map(|(n, v)| (n.to_string(), v.to_string()));
        let file = Path::new("data/./thanos.shipper.json");
        flags(&pairs.collect(), file, unequal)
    }

    #[test]
    fn a_prometheus_that_compacts_is_refused() {
        let equal = [(MIN_BLOCK, "2h"), (MAX_BLOCK, "2h")];
        assert!(check(&equal, UnequalBlocks::Refuse).is_ok());
        let unequal = [(MIN_BLOCK, "2h"), (MAX_BLOCK, "36h")];
        let error = check(&unequal, UnequalBlocks::Refuse).unwrap_err();
        assert!(error.is_final());
        assert!(
            error.to_string().contains("max-block-duration 36h"),
            "{error}"
        );
        assert!(check(&unequal, UnequalBlocks::Ignore).is_ok());
    }

    #[test]
    fn a_prometheus_that_waits_for_our_file_may_compact() {
        let unequal = |file| {
            [
                (MIN_BLOCK, "2h"),
                (MAX_BLOCK, "36h"),
                (DELAY_COMPACT_FILE, file),
            ]
        };
        let ours = unequal("data/wal/../thanos.shipper.json");
        assert!(check(&ours, UnequalBlocks::Refuse).is_ok());
        let other = unequal("/other/thanos.shipper.json");
        let error = check(&other, UnequalBlocks::Ignore).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/other/thanos.shipper.json"), "{text}");
        assert!(error.is_final());
    }
}
