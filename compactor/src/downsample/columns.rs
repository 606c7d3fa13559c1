//! The aggregates of a chunk of floats, as they are collected.

use model::Timestamp;

use tsdb::DownsampledChunk;

use super::{DownsampleError, chunk::encode_together};

/// What is to become a downsampled chunk.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) times: Vec<i64>,
    pub(super) count: Vec<f64>,
    pub(super) sum: Vec<f64>,
    pub(super) min: Vec<f64>,
    pub(super) max: Vec<f64>,
    pub(super) counter_times: Vec<i64>,
    pub(super) counter: Vec<f64>,
    encoded: Vec<u8>,
}

/// The samples of one window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Window {
    pub(super) const EMPTY: Self = Self {
        count: 0.0,
        sum: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };
}

impl Columns {
    pub(super) fn clear(&mut self) {
        self.times.clear();
        self.counter_times.clear();
        for values in [
            &mut self.count,
            &mut self.sum,
            &mut self.min,
            &mut self.max,
            &mut self.counter,
        ] {
            values.clear();
        }
    }

    #[inline]
    pub(super) fn push(&mut self, time: i64, window: &Window, counter: f64) {
        self.times.push(time);
        self.count.push(window.count);
        self.sum.push(window.sum);
        self.min.push(window.min);
        self.max.push(window.max);
        self.counter_times.push(time);
        self.counter.push(counter);
    }

    pub(super) fn encode(&mut self) -> Result<Option<DownsampledChunk>, DownsampleError> {
        let (Some(min), Some(max)) = (self.times.first(), self.times.last()) else {
            return Ok(None);
        };
        let columns = [
            (self.times.as_slice(), self.count.as_slice()),
            (&self.times, &self.sum),
            (&self.times, &self.min),
            (&self.times, &self.max),
            (&self.counter_times, &self.counter),
        ];
        Ok(Some(DownsampledChunk {
            min: Timestamp(*min),
            max: Timestamp(*max),
            aggregates: encode_together(columns, &mut self.encoded)?,
        }))
    }
}

/// The second where it is less. Of zeros the first stays, whatever their signs.
#[inline]
pub(super) fn lesser(least: f64, value: f64) -> f64 {
    if value < least { value } else { least }
}

/// The second where it is greater.
#[inline]
pub(super) fn greater(greatest: f64, value: f64) -> f64 {
    if value > greatest { value } else { greatest }
}
