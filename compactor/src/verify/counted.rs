//! Reading the output as a reader would, and counting.

use std::path::Path;

use model::{BlockStats, Labels, METRIC_NAME, TimeRange};
use parquet_block::{LocalShard, chunks_file, labels_file};
use rayon::prelude::*;
use tsdb::{Chunk, Encoding};

use super::{Claim, equal};
use crate::{CompactError, Task};

/// Checks the counts, the times and the order of the rows.
///
/// # Errors
/// When they are not what the merge says, or fewer samples are there than the sources have.
pub(super) fn check(claim: &Claim) -> Result<(), CompactError> {
    let mut total = Counted::default();
    for number in 0..claim.output.shards.len() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        for counted in count_shard(&claim.dir, number, claim.task.range())? {
            total.append(counted)?;
        }
    }
    let stats = &claim.output.stats;
    let found = &total.stats;
    equal("series", stats.num_series, found.num_series)?;
    equal("chunks", stats.num_chunks, found.num_chunks)?;
    equal("samples", stats.num_samples, found.num_samples)?;
    equal(
        "float samples",
        stats.num_float_samples,
        found.num_float_samples,
    )?;
    let histograms = found.num_histogram_samples;
    equal("histogram samples", stats.num_histogram_samples, histograms)?;
    match samples_of_sources(&claim.task) {
        Some(expected) if found.num_samples < expected => Err(CompactError::Output {
            what: "samples",
            expected: format!("the {expected} of the sources"),
            found: found.num_samples.to_string(),
        }),
        _ => Ok(()),
    }
}

/// How many samples the sources have together, where that can be told without reading them: they share no time, nothing
/// was deleted from them, and each says how many it has.
fn samples_of_sources(task: &Task) -> Option<u64> {
    let mut end = None;
    let mut sum = 0_u64;
    for input in &task.inputs {
        let meta = &input.meta;
        let overlaps = end.is_some_and(|end| meta.min_time < end);
        if overlaps || meta.stats.num_tombstones > 0 || meta.stats.num_samples == 0 {
            return None;
        }
        end = Some(meta.max_time);
        sum = sum.checked_add(meta.stats.num_samples)?;
    }
    Some(sum)
}

/// What rows in a row hold.
#[derive(Default)]
struct Counted {
    stats: BlockStats,
    /// The labels of the first and of the last row.
    ends: Option<(Labels, Labels)>,
}

impl Counted {
    /// Takes the next row.
    fn add(
        &mut self,
        labels: Labels,
        chunks: &[Chunk],
        range: TimeRange,
    ) -> Result<(), CompactError> {
        let before = self.ends.as_ref().map(|(_, last)| last);
        in_order(before, &labels)?;
        self.stats.num_series += 1;
        for chunk in chunks {
            let times = TimeRange {
                min: chunk.min,
                max: chunk.max,
            };
            if !range.covers(times) {
                return Err(CompactError::Output {
                    what: "times",
                    expected: format!("{} to {}", range.min, range.max),
                    found: format!("{} to {} in {labels}", times.min, times.max),
                });
            }
            let samples = u64::from(chunk.num_samples().map_err(|error| CompactError::Output {
                what: "chunks",
                expected: "a count of samples".to_owned(),
                found: format!("{error} in {labels}"),
            })?);
            self.stats.num_chunks += 1;
            self.stats.num_samples += samples;
            match chunk.encoding {
                Encoding::Xor => self.stats.num_float_samples += samples,
                _ => self.stats.num_histogram_samples += samples,
            }
        }
        self.ends = Some(match self.ends.take() {
            Some((first, _)) => (first, labels),
            None => (labels.clone(), labels),
        });
        Ok(())
    }

    /// Takes the rows that follow.
    fn append(&mut self, next: Self) -> Result<(), CompactError> {
        let Some((first, last)) = next.ends else {
            return Ok(());
        };
        in_order(self.ends.as_ref().map(|(_, last)| last), &first)?;
        let (stats, more) = (&mut self.stats, next.stats);
        stats.num_series += more.num_series;
        stats.num_chunks += more.num_chunks;
        stats.num_samples += more.num_samples;
        stats.num_float_samples += more.num_float_samples;
        stats.num_histogram_samples += more.num_histogram_samples;
        self.ends = Some(match self.ends.take() {
            Some((start, _)) => (start, last),
            None => (first, last),
        });
        Ok(())
    }
}

/// Rows ascend by metric name, then by labels, and none comes twice.
fn in_order(before: Option<&Labels>, next: &Labels) -> Result<(), CompactError> {
    fn key(labels: &Labels) -> (&str, &Labels) {
        (labels.get(METRIC_NAME).unwrap_or_default(), labels)
    }
    match before {
        Some(before) if key(before) >= key(next) => Err(CompactError::Output {
            what: "order of series",
            expected: format!("a series after {before}"),
            found: next.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Counts the rows of each row group, in order.
fn count_shard(dir: &Path, number: u32, range: TimeRange) -> Result<Vec<Counted>, CompactError> {
    let shard = LocalShard::open(
        &dir.join(labels_file(number)),
        &dir.join(chunks_file(number)),
    )?;
    let groups: Vec<usize> = (0..shard.shard().row_groups()).collect();
    let count = |group: usize| {
        let mut counted = Counted::default();
        for row in shard.scan_rows(group, 0..shard.shard().rows(group)) {
            let (labels, chunks) = row?;
            counted.add(labels, &chunks, range)?;
        }
        Ok(counted)
    };
    groups.into_par_iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(name: &str, a: &str) -> Labels {
        Labels::from_pairs([(METRIC_NAME, name), ("A", a)])
    }

    #[test]
    fn rows_ascend_by_metric_and_then_by_labels() {
        let rows = [
            Labels::from_pairs([("Z", "1")]),
            labels("a", "2"),
            labels("b", "1"),
            labels("b", "2"),
        ];
        for pair in rows.windows(2) {
            in_order(Some(&pair[0]), &pair[1]).unwrap();
            assert!(in_order(Some(&pair[1]), &pair[0]).is_err());
            assert!(in_order(Some(&pair[0]), &pair[0]).is_err());
        }
    }

    #[test]
    fn parts_are_put_together_in_order_only() {
        let part = |name: &str| {
            let mut counted = Counted::default();
            counted.add(labels(name, "1"), &[], TimeRange::ALL).unwrap();
            counted.add(labels(name, "2"), &[], TimeRange::ALL).unwrap();
            counted
        };
        let mut total = part("a");
        total.append(Counted::default()).unwrap();
        total.append(part("b")).unwrap();
        assert_eq!(total.stats.num_series, 4);
        let error = total.append(part("a")).unwrap_err().to_string();
        assert!(
            error.starts_with("output of order of series: expected a series after"),
            "{error}"
        );
    }
}
