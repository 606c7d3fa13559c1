//! The samples of chunks that overlap, folded into one stream, chunk by chunk.
//!
//! ```text
//! so far   1   1   1   1   1           1   1
//! chunk      2   2   2   2   2   2   2   2
//! folded   1   1   1   1   1       2   2   2
//!                          └───────┘ passed over: up to twice the step before it
//! ```

use std::vec;

use model::{Histogram, Timestamp};
use tsdb::{Chunk, ChunkError, Encoding, Floats, decode_histograms, decode_xor};

/// How long the other side is passed over after the very first sample, in milliseconds, while no
/// step is known.
const FIRST_PENALTY: i64 = 5000;

/// A sample of any kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) time: Timestamp,
    pub(super) value: Value,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Float(f64),
    Histogram(Box<Histogram>),
}

/// The samples of the chunks so far; times ascend.
#[derive(Default)]
pub(super) struct Fold {
    folded: Folded,
    /// Memory that is used again.
    chunk: Vec<Sample>,
    tail: Vec<Sample>,
    floats: Floats,
}

#[derive(Default)]
struct Folded {
    samples: Vec<Sample>,
    /// For each sample: as far as all up to it were taken, what lies before this time has been
    /// passed over on the other side.
    passed: Vec<i64>,
}

impl Fold {
    /// Folds in a chunk. Chunks come in the order of their first times.
    ///
    /// Which of two sides is followed is decided sample by sample: the earlier one is taken, the
    /// one of the chunks so far if they are equal; then the other side is passed over for twice the
    /// step that was just made. This is [Thanos's algorithm][thanos], for which both sides are
    /// iterators.
    ///
    /// [thanos]: https://github.com/thanos-io/thanos/blob/v0.42.4/pkg/dedup/iter.go
    ///
    /// # Errors
    /// When the chunk is damaged, or holds downsampled data.
    pub(super) fn add(&mut self, chunk: &Chunk) -> Result<(), ChunkError> {
        self.decode(chunk)?;
        let Some(first) = self.chunk.first().map(|sample| sample.time) else {
            return Ok(());
        };
        // What comes before the chunk is taken as it is, so with a long run of chunks each is
        // compared only with the few that it overlaps.
        let kept = self.folded.keep_until(first, &mut self.tail);
        let mut so_far = self.tail.drain(..).peekable();
        let mut chunk = self.chunk.drain(..).peekable();
        if let Some(time) = kept {
            pass_over(&mut chunk, time);
        }
        loop {
            let (taken, other) = match (so_far.peek(), chunk.peek()) {
                (Some(a), Some(b)) if b.time < a.time => (&mut chunk, &mut so_far),
                (Some(_), _) => (&mut so_far, &mut chunk),
                (None, _) => (&mut chunk, &mut so_far),
            };
            let Some(sample) = taken.next() else {
                return Ok(());
            };
            pass_over(other, self.folded.push(sample));
        }
    }

    /// Gives all samples, and is empty again.
    pub(super) fn drain(&mut self) -> vec::Drain<'_, Sample> {
        self.folded.passed.clear();
        self.folded.samples.drain(..)
    }

    /// Reads the chunk's samples but those whose time is not after that of the one before.
    fn decode(&mut self, chunk: &Chunk) -> Result<(), ChunkError> {
        self.chunk.clear();
        if chunk.encoding == Encoding::Xor {
            decode_xor(&chunk.data, &mut self.floats)?;
            let times = self.floats.timestamps.iter().copied().map(Timestamp);
            let values = self.floats.values.iter().copied().map(Value::Float);
            let samples = times.zip(values);
            self.chunk
                .extend(samples.map(|(time, value)| Sample { time, value }));
        } else {
            let samples = decode_histograms(chunk.encoding, &chunk.data)?;
            self.chunk
                .extend(samples.into_iter().map(|(time, histogram)| Sample {
                    time,
                    value: Value::Histogram(Box::new(histogram)),
                }));
        }
        let mut last = None;
        self.chunk.retain(|sample| {
            let is_later = last.is_none_or(|last| sample.time > last);
            if is_later {
                last = Some(sample.time);
            }
            is_later
        });
        Ok(())
    }
}

impl Folded {
    /// Leaves the samples up to `time`, the rest goes to `tail`; and tells before which time the
    /// other side has been passed over.
    fn keep_until(&mut self, time: Timestamp, tail: &mut Vec<Sample>) -> Option<i64> {
        let kept = self.samples.partition_point(|sample| sample.time <= time);
        tail.clear();
        tail.extend(self.samples.drain(kept..));
        self.passed.truncate(kept);
        self.passed.last().copied()
    }

    /// Adds a sample, and tells before which time the other side is now passed over.
    fn push(&mut self, sample: Sample) -> i64 {
        let time = sample.time.0;
        let penalty = match self.samples.last() {
            Some(last) => time.saturating_sub(last.time.0).saturating_mul(2),
            None => FIRST_PENALTY,
        };
        let passed = time.saturating_add(penalty).saturating_add(1);
        self.samples.push(sample);
        let before = self.passed.last().copied().unwrap_or(passed);
        self.passed.push(before.max(passed));
        passed
    }
}

/// Drops the samples before a time.
fn pass_over(side: &mut std::iter::Peekable<vec::Drain<'_, Sample>>, time: i64) {
    while side.next_if(|sample| sample.time.0 < time).is_some() {}
}
