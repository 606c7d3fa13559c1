//! A series as both halves send it.

use std::cmp::Ordering;

use bytes::Bytes;
use proto::thanos::{AggrChunk, Chunk, Series};
use series::Mergeable;

/// A series of the wire.
#[derive(Debug)]
pub(super) struct WireSeries(pub(super) Series);

impl Mergeable for WireSeries {
    fn cmp_labels(&self, other: &Self) -> Ordering {
        pairs(&self.0).cmp(pairs(&other.0))
    }

    fn join(&mut self, other: Self) {
        self.0.chunks.extend(other.0.chunks);
    }

    /// Puts the chunks in order of time, the larger first where times are equal; of those that are the same, as what was
    /// uploaded and is still in Prometheus, one is kept.
    fn finish(&mut self) {
        let chunks = &mut self.0.chunks;
        if chunks.is_sorted_by(|a, b| a.max_time < b.min_time) {
            return;
        }
        chunks.sort_by(|a, b| {
            let times = (a.min_time, a.max_time).cmp(&(b.min_time, b.max_time));
            let sizes = || size(b).cmp(&size(a));
            let bytes = || parts(a).map(bytes_of).cmp(parts(b).map(bytes_of));
            times.then_with(sizes).then_with(bytes)
        });
        chunks.dedup();
    }
}

fn pairs(series: &Series) -> impl Iterator<Item = (&Bytes, &Bytes)> {
    series
        .labels
        .iter()
        .map(|label| (&label.name, &label.value))
}

fn size(chunk: &AggrChunk) -> usize {
    parts(chunk).map(|part| bytes_of(part).len()).sum()
}

fn parts(chunk: &AggrChunk) -> impl Iterator<Item = &Option<Chunk>> {
    let AggrChunk {
        raw,
        count,
        sum,
        min,
        max,
        counter,
        ..
    } = chunk;
    [raw, count, sum, min, max, counter].into_iter()
}

fn bytes_of(part: &Option<Chunk>) -> &[u8] {
    part.as_ref().map_or(&[], |part| &part.data)
}
