//! Samples of any kind, made into chunks.

use std::mem;

use model::{Histogram, Timestamp};
use tsdb::{Chunk, Encoding, Floats, encode_histograms, encode_xor};

use super::fold::{Sample, Value};

/// Floats after which a chunk is followed by another, as in Prometheus.
const FLOATS_PER_CHUNK: usize = 120;

/// What is not in a chunk yet: floats or histograms, never both.
#[derive(Default)]
pub(super) struct Encoder {
    floats: Floats,
    histograms: Vec<(Timestamp, Histogram)>,
    chunks: Vec<Chunk>,
}

impl Encoder {
    /// Makes chunks of samples whose times ascend. A chunk ends where Prometheus would end it, so
    /// that headers of histograms tell of each counter reset.
    pub(super) fn encode(&mut self, samples: impl Iterator<Item = Sample>) -> Vec<Chunk> {
        for Sample { time, value } in samples {
            match value {
                Value::Float(value) => {
                    self.end_histograms();
                    self.floats.timestamps.push(time.0);
                    self.floats.values.push(value);
                    if self.floats.values.len() == FLOATS_PER_CHUNK {
                        self.end_floats();
                    }
                }
                Value::Histogram(histogram) => {
                    self.end_floats();
                    self.histograms.push((time, *histogram));
                }
            }
        }
        self.end_floats();
        self.end_histograms();
        mem::take(&mut self.chunks)
    }

    fn end_floats(&mut self) {
        let times = &self.floats.timestamps;
        if let (Some(min), Some(max)) = (times.first(), times.last()) {
            self.chunks.push(Chunk {
                encoding: Encoding::Xor,
                min: Timestamp(*min),
                max: Timestamp(*max),
                data: encode_xor(times, &self.floats.values),
            });
        }
        self.floats.timestamps.clear();
        self.floats.values.clear();
    }

    fn end_histograms(&mut self) {
        self.chunks.extend(encode_histograms(&self.histograms));
        self.histograms.clear();
    }
}
