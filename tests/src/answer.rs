//! Series as sets of samples, which is what two ways to the same data have to agree on.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use model::{CounterReset, Labels, Matcher, TimeRange, Timestamp};
use tsdb::{Encoding, Floats, decode_histograms, decode_xor};

use crate::block::read_block;

/// Series with their samples, wherever those come from.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Answer(BTreeMap<Labels, Samples>);

type Samples = BTreeMap<i64, Value>;

/// The value of a sample.
#[derive(Clone, PartialEq, Eq)]
enum Value {
    /// By its bits: NaNs are the same as themselves, and not all the same.
    Float(u64),
    /// In words.
    Histogram(String),
}

impl Answer {
    /// Reads blocks file by file, as Prometheus would, and gives each series the external labels.
    ///
    /// # Errors
    /// When a block cannot be read.
    pub fn of_blocks(dirs: &[PathBuf], external: &Labels) -> anyhow::Result<Self> {
        let mut answer = Self::default();
        for dir in dirs {
            answer
                .read(dir, external)
                .with_context(|| dir.display().to_string())?;
        }
        Ok(answer)
    }

    fn read(&mut self, dir: &std::path::Path, external: &Labels) -> anyhow::Result<()> {
        read_block(dir, |mut labels, chunks| {
            for (name, value) in external.iter() {
                labels.set(name, value);
            }
            let labels = labels.finish();
            for chunk in chunks {
                self.add_chunk(&labels, chunk.encoding, &chunk.data)?;
            }
            Ok(())
        })
    }

    /// Adds the samples of a chunk; says the times of its first and its last one.
    ///
    /// # Errors
    /// When it cannot be decoded, or has another value at a time than another chunk.
    pub fn add_chunk(
        &mut self,
        labels: &Labels,
        encoding: Encoding,
        data: &[u8],
    ) -> anyhow::Result<Option<(i64, i64)>> {
        let samples: Vec<(i64, Value)> = if encoding == Encoding::Xor {
            let mut floats = Floats::default();
            decode_xor(data, &mut floats)?;
            let bits = floats.values.iter().map(|v| Value::Float(v.to_bits()));
            floats.timestamps.iter().copied().zip(bits).collect()
        } else {
            let histograms = decode_histograms(encoding, data)?.into_iter();
            let samples = histograms.map(|(time, mut histogram)| {
                // Where a chunk is cut, the hint of its first sample changes.
                histogram.reset = CounterReset::Unknown;
                (time.0, Value::Histogram(format!("{histogram:?}")))
            });
            samples.collect()
        };
        let times = samples.first().zip(samples.last()).map(|(a, b)| (a.0, b.0));
        self.add(labels, samples)?;
        Ok(times)
    }

    fn add(
        &mut self,
        labels: &Labels,
        samples: impl IntoIterator<Item = (i64, Value)>,
    ) -> anyhow::Result<()> {
        let of_series = self.0.entry(labels.clone()).or_default();
        for (time, value) in samples {
            match of_series.entry(time) {
                Entry::Vacant(free) => {
                    free.insert(value);
                }
                Entry::Occupied(found) if *found.get() == value => {}
                Entry::Occupied(found) => {
                    bail!("{labels} at {time}: both {:?} and {value:?}", found.get());
                }
            }
        }
        Ok(())
    }

    /// Adds the samples of another one.
    ///
    /// # Errors
    /// When the two have different values at one time.
    pub fn merge(&mut self, other: Self) -> anyhow::Result<()> {
        other
            .0
            .into_iter()
            .try_for_each(|(labels, samples)| self.add(&labels, samples))
    }

    /// The series that all matchers match, with their samples in `range`; none where there is no sample.
    #[must_use]
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Self {
        let matches = |labels: &Labels| {
            let value = |m: &Matcher| labels.get(&m.name).unwrap_or_default().to_owned();
            matchers.iter().all(|m| m.matches(value(m)))
        };
        let within = |samples: &Samples| {
            let samples = samples
                .iter()
                .filter(|(t, _)| range.contains(Timestamp(**t)));
            samples.map(|(t, v)| (*t, v.clone())).collect()
        };
        let series = self.0.iter().filter(|(labels, _)| matches(labels));
        let series = series.map(|(labels, samples)| (labels.clone(), within(samples)));
        Self(
            series
                .filter(|(_, samples): &(_, BTreeMap<_, _>)| !samples.is_empty())
                .collect(),
        )
    }

    /// The same without some labels; series that become one are merged.
    ///
    /// # Errors
    /// When such series have different values at one time.
    pub fn without(&self, names: &[&str]) -> anyhow::Result<Self> {
        let mut out = Self::default();
        for (labels, samples) in &self.0 {
            let rest = labels
                .iter()
                .filter(|(name, _)| !names.iter().any(|n| n.as_bytes() == *name));
            let rest = Labels::from_pairs(rest);
            out.add(&rest, samples.clone())?;
        }
        Ok(out)
    }

    /// What is there of one series.
    #[must_use]
    pub fn of_series(&self, labels: &Labels) -> Self {
        let found = self.0.get_key_value(labels).into_iter();
        Self(found.map(|(l, s)| (l.clone(), s.clone())).collect())
    }

    /// The labels of each series, sorted.
    pub fn series(&self) -> impl Iterator<Item = &Labels> {
        self.0.keys()
    }

    /// The samples that are floats, each with its series.
    pub(crate) fn floats(&self) -> impl Iterator<Item = (&Labels, f64)> {
        self.0.iter().flat_map(|(labels, samples)| {
            let floats = samples.values().filter_map(|value| match value {
                Value::Float(bits) => Some(f64::from_bits(*bits)),
                Value::Histogram(_) => None,
            });
            floats.map(move |value| (labels, value))
        })
    }

    /// The times of all samples, series by series.
    pub fn times(&self) -> impl Iterator<Item = i64> {
        self.0.values().flat_map(BTreeMap::keys).copied()
    }

    /// The number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// The times of the first and the last sample.
    #[must_use]
    pub fn extent(&self) -> Option<(i64, i64)> {
        Some((self.times().min()?, self.times().max()?))
    }

    /// What the first difference to `expected` is, in words; nothing where the two are equal.
    #[must_use]
    pub fn difference(&self, expected: &Self) -> Option<String> {
        for (labels, samples) in &expected.0 {
            let Some(found) = self.0.get(labels) else {
                return Some(format!("{labels}: missing"));
            };
            for (time, value) in samples {
                match found.get(time) {
                    Some(other) if other == value => {}
                    other => {
                        return Some(format!(
                            "{labels} at {time}: expected {value:?}, found {other:?}"
                        ));
                    }
                }
            }
            if found.len() != samples.len() {
                let extra = found.iter().find(|(time, _)| !samples.contains_key(time));
                return Some(format!("{labels}: unexpected sample {extra:?}"));
            }
        }
        let extra = self
            .0
            .keys()
            .find(|labels| !expected.0.contains_key(labels));
        extra.map(|labels| format!("{labels}: unexpected"))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(bits) => write!(f, "{} (bits {bits:016x})", f64::from_bits(*bits)),
            Self::Histogram(text) => f.write_str(text),
        }
    }
}

/// Short: what an answer holds is too much to be read.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} series, {} samples", self.0.len(), self.samples())
    }
}
