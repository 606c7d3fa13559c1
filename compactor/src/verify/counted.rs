//! Reading an output as a reader would, and counting.

use std::path::Path;

use model::{Aggregate, BlockStats, Labels, Resolution, SeriesOrder, TimeRange};
use parquet_block::{Contents, LocalShard};
use rayon::prelude::*;
use tsdb::{Block, Chunk, DownsampledChunk, Encoding, Floats, SeriesEntry, SeriesRef, decode_xor};

use super::{Claim, equal, sources, witness::Witness};
use crate::{CompactError, Dedup, MergeOutput, OutputFormat, Task};

/// Series of a TSDB block that are counted as one piece of work.
const SERIES_PER_TASK: usize = 4096;

/// Checks the counts, the times and the order of the series of each output, and that the outputs agree. The sources
/// are below `dir`.
///
/// # Errors
/// When they are not what the merge says, or fewer samples are there than the sources have.
pub(super) fn check(claims: &[Claim], dir: &Path) -> Result<(), CompactError> {
    let mut totals = Vec::with_capacity(claims.len());
    for claim in claims {
        totals.push((&*claim.output, check_one(claim, dir)?));
    }
    totals.sort_by_key(|(output, _)| output.resolution);
    for pair in totals.array_windows() {
        check_pair(pair)?;
    }
    Ok(())
}

fn check_one(claim: &Claim, dir: &Path) -> Result<Counted, CompactError> {
    let order = claim.task.format.order();
    let mut total = Counted::default();
    let parts = match claim.task.format {
        OutputFormat::Parquet => count_shards(claim)?,
        OutputFormat::Tsdb => count_block(claim)?,
    };
    for counted in parts {
        total.append(counted, order)?;
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
        Some(stated)
            if claim.output.resolution == Resolution::Raw && found.num_samples < stated =>
        {
            sources::hold_at_most(found.num_samples, &claim.task, dir)?;
        }
        _ => {}
    }
    Ok(total)
}

/// A coarser output accounts for the samples of the finer one, except those that downsampling does not count. If the
/// finer one is downsampled itself, it accounts for all.
fn check_pair(
    [(finer, fine), (coarser, coarse)]: &[(&MergeOutput, Counted); 2],
) -> Result<(), CompactError> {
    let (has, tells_of) = if finer.resolution == Resolution::Raw {
        (fine.stats.num_samples, coarse.told)
    } else {
        equal("series", fine.stats.num_series, coarse.stats.num_series)?;
        equal("samples counted by aggregates", fine.told, coarse.told)?;
        (fine.told, coarse.told)
    };
    if coarse.stats.num_series > fine.stats.num_series || tells_of > has {
        return Err(CompactError::Output {
            what: "downsampled series and samples",
            expected: format!("at most {} and {has}", fine.stats.num_series),
            found: format!(
                "{} and {tells_of} at {} ms",
                coarse.stats.num_series,
                coarser.resolution.millis()
            ),
        });
    }
    Ok(())
}

/// How many samples the raw sources have together, if that is known without reading them: they do not overlap, nothing
/// was deleted from them, and each states its number.
fn samples_of_sources(task: &Task) -> Option<u64> {
    if task.dedup != Dedup::Exact || task.group.resolution != Resolution::Raw {
        return None;
    }
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

/// What series in a row hold.
#[derive(Default)]
struct Counted {
    stats: BlockStats,
    /// How many raw samples the aggregates account for.
    told: u64,
    /// The labels of the first series and of the last.
    ends: Option<(Labels, Labels)>,
}

/// An error if a series does not come after the one before.
fn check_order(
    order: SeriesOrder,
    before: Option<&Labels>,
    next: &Labels,
) -> Result<(), CompactError> {
    match before {
        Some(before) if order.compare(before, next).is_ge() => Err(CompactError::Output {
            what: "order of series",
            expected: format!("a series after {before}"),
            found: next.to_string(),
        }),
        _ => Ok(()),
    }
}

impl Counted {
    /// Takes the next series.
    fn add(
        &mut self,
        labels: Labels,
        chunks: &[Chunk],
        range: TimeRange,
        order: SeriesOrder,
    ) -> Result<(), CompactError> {
        let last = self.ends.as_ref().map(|(_, last)| last);
        check_order(order, last, &labels)?;
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
            self.count(chunk).map_err(|error| CompactError::Output {
                what: "chunks",
                expected: "a count of samples".to_owned(),
                found: format!("{error} in {labels}"),
            })?;
        }
        self.ends = Some(match self.ends.take() {
            Some((first, _)) => (first, labels),
            None => (labels.clone(), labels),
        });
        Ok(())
    }

    fn count(&mut self, chunk: &Chunk) -> Result<(), tsdb::ChunkError> {
        let samples = u64::from(chunk.num_samples()?);
        self.stats.num_chunks += 1;
        self.stats.num_samples += samples;
        match chunk.encoding {
            Encoding::Xor => self.stats.num_float_samples += samples,
            Encoding::Histogram | Encoding::FloatHistogram => {
                self.stats.num_histogram_samples += samples;
            }
            Encoding::Aggr => self.told += told_by(chunk)?,
        }
        Ok(())
    }

    /// Takes the series that follow.
    fn append(&mut self, next: Self, order: SeriesOrder) -> Result<(), CompactError> {
        let Some((first, last)) = next.ends else {
            return Ok(());
        };
        check_order(order, self.ends.as_ref().map(|(_, last)| last), &first)?;
        let (stats, more) = (&mut self.stats, next.stats);
        stats.num_series += more.num_series;
        stats.num_chunks += more.num_chunks;
        stats.num_samples += more.num_samples;
        stats.num_float_samples += more.num_float_samples;
        stats.num_histogram_samples += more.num_histogram_samples;
        self.told += next.told;
        self.ends = Some(match self.ends.take() {
            Some((start, _)) => (start, last),
            None => (first, last),
        });
        Ok(())
    }
}

/// The sum of a downsampled chunk's counts.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are whole numbers, and far from where floats leave some out"
)]
fn told_by(chunk: &Chunk) -> Result<u64, tsdb::ChunkError> {
    let chunk = DownsampledChunk::unpack(chunk)?;
    let Some(count) = chunk.get(Aggregate::Count) else {
        return Ok(0);
    };
    let mut floats = Floats::default();
    decode_xor(&count.data, &mut floats)?;
    Ok(floats.values.iter().sum::<f64>() as u64)
}

/// Counts the rows of each row group, in order.
fn count_shards(claim: &Claim) -> Result<Vec<Counted>, CompactError> {
    let range = claim.task.range();
    let contents = Contents::of(claim.output.resolution);
    let mut parts = Vec::new();
    for (number, listed) in claim.output.shards.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        LocalShard::open(&claim.dir, number, contents, listed)?.check_heads()?;
        let shard = Witness::open(&claim.dir, number, contents)?;
        let count = |group: usize| {
            let mut counted = Counted::default();
            shard.read(group, |labels, chunks| {
                counted.add(labels, chunks, range, SeriesOrder::ByName)
            })?;
            Ok(counted)
        };
        let counted = (0..shard.row_groups()).into_par_iter().map(count);
        parts.extend(counted.collect::<Result<Vec<_>, CompactError>>()?);
    }
    Ok(parts)
}

/// Counts the series of the block, in order.
fn count_block(claim: &Claim) -> Result<Vec<Counted>, CompactError> {
    let range = claim.task.range();
    let block = Block::open(&claim.dir)?;
    let mut refs = block.refs_by_name()?;
    refs.sort_unstable();
    let count = |series: &[SeriesRef]| {
        let mut counted = Counted::default();
        let (mut cursor, mut chunks) = (block.series_cursor(), block.chunk_cursor());
        let mut entry = SeriesEntry::default();
        for series in series {
            cursor.read(*series, &mut entry)?;
            let text = |symbol| block.symbols().get(symbol);
            let labels = entry.labels.iter().map(|(n, v)| (text(*n), text(*v)));
            let labels = Labels::from_sorted(labels);
            let chunks = entry.chunks.iter().map(|meta| chunks.read(meta));
            let chunks = chunks.collect::<Result<Vec<_>, _>>()?;
            counted.add(labels, &chunks, range, SeriesOrder::ByLabels)?;
        }
        Ok(counted)
    };
    refs.par_chunks(SERIES_PER_TASK).map(count).collect()
}

#[cfg(test)]
mod tests {
    use model::METRIC_NAME;

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
            let order = SeriesOrder::ByName;
            check_order(order, Some(&pair[0]), &pair[1]).unwrap();
            assert!(check_order(order, Some(&pair[1]), &pair[0]).is_err());
            assert!(check_order(order, Some(&pair[0]), &pair[0]).is_err());
        }
        // "A" sorts before "__name__".
        let order = SeriesOrder::ByLabels;
        check_order(order, Some(&rows[2]), &rows[1]).unwrap();
        assert!(check_order(order, Some(&rows[1]), &rows[2]).is_err());
    }

    #[test]
    fn parts_are_put_together_in_order_only() {
        let order = SeriesOrder::ByName;
        let part = |name: &str| {
            let mut counted = Counted::default();
            for value in ["1", "2"] {
                let labels = labels(name, value);
                counted.add(labels, &[], TimeRange::ALL, order).unwrap();
            }
            counted
        };
        let mut total = part("a");
        total.append(Counted::default(), order).unwrap();
        total.append(part("b"), order).unwrap();
        assert_eq!(total.stats.num_series, 4);
        let error = total.append(part("a"), order).unwrap_err().to_string();
        assert!(
            error.starts_with("output of order of series: expected a series after"),
            "{error}"
        );
    }

    #[test]
    fn outputs_that_contradict_one_another_are_refused() {
        let output = |resolution| MergeOutput {
            resolution,
            ..MergeOutput::default()
        };
        let [raw, five, hour] = [
            Resolution::Raw,
            Resolution::FiveMinutes,
            Resolution::OneHour,
        ]
        .map(output);
        let counted = |num_series, num_samples, told| Counted {
            stats: BlockStats {
                num_series,
                num_samples,
                ..BlockStats::default()
            },
            told,
            ends: None,
        };
        check_pair(&[(&raw, counted(2, 100, 0)), (&five, counted(1, 5, 90))]).unwrap();
        assert!(check_pair(&[(&raw, counted(2, 80, 0)), (&five, counted(1, 5, 90))]).is_err());
        assert!(check_pair(&[(&raw, counted(1, 100, 0)), (&five, counted(2, 5, 90))]).is_err());
        check_pair(&[(&five, counted(2, 9, 90)), (&hour, counted(2, 2, 90))]).unwrap();
        assert!(check_pair(&[(&five, counted(2, 9, 90)), (&hour, counted(2, 2, 89))]).is_err());
        assert!(check_pair(&[(&five, counted(2, 9, 90)), (&hour, counted(1, 2, 90))]).is_err());
    }
}
