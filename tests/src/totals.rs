//! How many samples there are and what they add up to, which is the same at every resolution.

use std::collections::BTreeMap;

use anyhow::Context as _;
use model::{Labels, Matcher};
use proto::thanos::{AggrChunk, Chunk};
use tsdb::{Floats, decode_xor};

use crate::{Answer, SeriesAnswer};

/// The number and the sum of the samples of each series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals(BTreeMap<Labels, (f64, f64)>);

impl Totals {
    /// Of samples as they were scraped. Only floats count.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        let mut totals = Self::default();
        for (labels, value) in answer.floats() {
            totals.add(labels, 1.0, value);
        }
        totals
    }

    /// Of a Series answer: of each chunk its raw samples, or else its aggregates. A chunk that comes twice counts
    /// twice.
    ///
    /// # Errors
    /// When something is missing in the answer, or a chunk has neither raw samples nor aggregates.
    pub fn of_series(answer: &SeriesAnswer) -> anyhow::Result<Self> {
        anyhow::ensure!(answer.warnings.is_empty(), "{:?}", answer.warnings);
        let mut totals = Self::default();
        for (labels, chunks) in &answer.series {
            for chunk in chunks {
                let (count, sum) = of_chunk(chunk).with_context(|| labels.to_string())?;
                totals.add(labels, count, sum);
            }
        }
        Ok(totals)
    }

    /// Those of the series that all matchers match.
    #[must_use]
    pub fn select(&self, matchers: &[Matcher]) -> Self {
        let matches = |labels: &Labels| {
            let value = |m: &Matcher| labels.get(&m.name).unwrap_or_default().to_owned();
            matchers.iter().all(|m| m.matches(value(m)))
        };
        let series = self.0.iter().filter(|(labels, _)| matches(labels));
        Self(series.map(|(labels, of)| (labels.clone(), *of)).collect())
    }

    fn add(&mut self, labels: &Labels, count: f64, sum: f64) {
        let total = self.0.entry(labels.clone()).or_default();
        total.0 += count;
        total.1 += sum;
    }
}

fn of_chunk(chunk: &AggrChunk) -> anyhow::Result<(f64, f64)> {
    if let Some(raw) = &chunk.raw {
        let values = values(raw)?;
        let count = values.iter().map(|_| 1.0).sum();
        return Ok((count, values.iter().sum()));
    }
    let count = chunk.count.as_ref().context("neither raw nor counts")?;
    let sum = chunk.sum.as_ref().context("no sums")?;
    Ok((values(count)?.iter().sum(), values(sum)?.iter().sum()))
}

fn values(chunk: &Chunk) -> anyhow::Result<Vec<f64>> {
    let mut floats = Floats::default();
    decode_xor(&chunk.data, &mut floats)?;
    Ok(floats.values)
}
