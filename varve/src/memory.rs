//! The memory that this process may use, by its control group.

use std::{fs, path::Path};

/// Where a container sees its own control group.
const ROOT: &str = "/sys/fs/cgroup";
/// The memory of a merge without a smaller limit.
const MOST_FOR_MERGE: u64 = 256 << 20;

/// The default memory of a merge in bytes: half of the control group's limit, as the symbols of the inputs and the
/// data in flight come on top, and at most 256 MiB, beyond which a merge is not faster.
pub(crate) fn merge_budget() -> u64 {
    budget_of(limit(Path::new(ROOT)))
}

/// The default memory of a store gateway in bytes: two thirds of the control group's limit, as the list of blocks, the
/// buffers of connections and what the allocator keeps come on top; without a limit, `otherwise`.
pub(crate) fn store_budget(otherwise: u64) -> u64 {
    store_budget_of(limit(Path::new(ROOT)), otherwise)
}

fn budget_of(limit: Option<u64>) -> u64 {
    limit.map_or(MOST_FOR_MERGE, |limit| (limit / 2).min(MOST_FOR_MERGE))
}

fn store_budget_of(limit: Option<u64>, otherwise: u64) -> u64 {
    // Version 1 has a number beyond all memory where there is no limit.
    let limit = limit.filter(|limit| *limit < 1 << 60);
    limit.map_or(otherwise, |limit| limit / 3 * 2)
}

/// The limit in bytes: `memory.max` of version 2, `memory/memory.limit_in_bytes` of version 1.
fn limit(root: &Path) -> Option<u64> {
    ["memory.max", "memory/memory.limit_in_bytes"]
        .iter()
        .filter_map(|file| fs::read_to_string(root.join(file)).ok())
        // "max" is no limit; version 1 has a number beyond all memory instead.
        .find_map(|text| text.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_as_both_versions_write_it() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(limit(root.path()), None);
        let old = root.path().join("memory");
        fs::create_dir(&old).unwrap();
        fs::write(old.join("memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
        assert_eq!(limit(root.path()), Some(9_223_372_036_854_771_712));
        fs::write(root.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(budget_of(limit(root.path())), MOST_FOR_MERGE);
        fs::write(root.path().join("memory.max"), "268435456\n").unwrap();
        assert_eq!(limit(root.path()), Some(256 << 20));
    }

    #[test]
    fn a_store_gateway_takes_two_thirds_of_its_container() {
        assert_eq!(store_budget_of(Some(3 << 30), 7), 2 << 30);
        assert_eq!(store_budget_of(None, 7), 7);
        assert_eq!(store_budget_of(Some(9_223_372_036_854_771_712), 7), 7);
    }

    #[test]
    fn a_small_container_leaves_half_of_its_memory_to_the_rest() {
        assert_eq!(budget_of(None), 256 << 20);
        assert_eq!(budget_of(Some(8 << 30)), 256 << 20);
        assert_eq!(budget_of(Some(256 << 20)), 128 << 20);
    }
}
