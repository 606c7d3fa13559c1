//! What a run of the compactor says of itself.

use compactor::{Outcome, Summary};

/// What failed and why, each in a line.
#[must_use]
pub fn failures(summary: &Summary) -> Vec<String> {
    let failed = summary.failed.iter();
    failed
        .map(|(what, error)| format!("{what}: {error}"))
        .collect()
}

/// How many tasks made blocks.
#[must_use]
pub fn merged(summary: &Summary) -> usize {
    let outcomes = summary.merged.iter();
    outcomes
        .filter(|(_, outcome)| matches!(outcome, Outcome::Merged(_)))
        .count()
}
