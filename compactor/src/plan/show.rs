//! A plan as text.

use std::fmt;

use model::{Counted, Resolution, Rfc3339};

use super::{Plan, Task};
use crate::{Dedup, OutputFormat};

/// Bytes with a binary unit.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = "B";
        let mut tenths = u128::from(self.0) * 10;
        for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
            if tenths < 10_240 {
                break;
            }
            (unit, tenths) = (larger, tenths / 1024);
        }
        match unit {
            "B" => write!(f, "{} B", tenths / 10),
            _ => write!(f, "{}.{} {unit}", tenths / 10, tenths % 10),
        }
    }
}

impl Task {
    /// What is made of what.
    pub(super) fn summary(&self) -> String {
        let outputs = self.outputs.iter().map(|o| o.name());
        format!(
            "{} {} of {} in {} to {} of {} to {}{}{}",
            if self.merges() { "merge" } else { "downsample" },
            Counted(self.inputs.len() as u64, "block"),
            self.labels,
            self.group.resolution.name(),
            outputs.collect::<Vec<_>>().join(" and "),
            Rfc3339(self.min_time),
            Rfc3339(self.max_time),
            match self.format {
                OutputFormat::Parquet => " in Parquet",
                OutputFormat::Tsdb => " in TSDB",
            },
            match self.dedup {
                Dedup::Penalty => ", following one replica at a time",
                Dedup::Exact => "",
            },
        )
    }
}

/// What is made of what, with the inputs below.
impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} to read, {} of disk, {} of memory (task {})",
            self.summary(),
            Bytes(self.bytes_in),
            Bytes(self.disk_bytes),
            Bytes(self.memory_bytes),
            self.id
        )?;
        if let Some(window) = self.window {
            write!(f, "\n  window {window}")?;
        }
        for input in &self.inputs {
            write!(f, "\n  {} {}", input.meta.ulid, Bytes(input.bytes))?;
        }
        Ok(())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for task in &self.tasks {
            writeln!(f, "{task}")?;
        }
        for served in &self.served {
            writeln!(f, "mark {served} as served by a store gateway")?;
        }
        for unserved in &self.unserved {
            writeln!(
                f,
                "remove the mark of {unserved}: no store gateway serves it any more"
            )?;
        }
        for covered in &self.covered {
            writeln!(f, "mark {} for deletion: {}", covered.block, covered.by)?;
        }
        for expired in &self.expired {
            writeln!(f, "mark {} for deletion: {expired}", expired.block)?;
        }
        for skipped in &self.skipped {
            writeln!(f, "leave {}: {}", skipped.block, skipped.reason)?;
        }
        for overdue in &self.overdue {
            let coarser = overdue.group.resolution.coarser();
            let to = coarser.map_or("nothing", Resolution::name);
            writeln!(
                f,
                "keep {}, a {overdue}, until it is downsampled to {to}",
                overdue.block
            )?;
        }
        for unusable in &self.unusable {
            writeln!(f, "leave {}: {}", unusable.root, unusable.reason)?;
        }
        for unread in &self.unread {
            writeln!(f, "not read {}: {}", unread.root, unread.reason)?;
        }
        write!(
            f,
            "to read: {} of {} in {}; to mark: {}; to leave: {}",
            Counted(self.blocks_to_read() as u64, "block"),
            Bytes(self.bytes_to_read()),
            Counted(self.tasks.len() as u64, "task"),
            self.served.len() + self.covered.len() + self.expired.len(),
            self.skipped.len() + self.unusable.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_with_the_unit_that_fits() {
        let text = |n| Bytes(n).to_string();
        assert_eq!(text(0), "0 B");
        assert_eq!(text(1023), "1023 B");
        assert_eq!(text(1536), "1.5 KiB");
        assert_eq!(text(u64::MAX), "16383.9 PiB");
    }
}
