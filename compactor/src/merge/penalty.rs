//! The chunks of one series from replicas that scraped at times of their own, made into one series.
//!
//! One replica is followed for as long as it has samples; another's are passed over, unless they
//! come later than twice the last step: the penalty for changing over. What is made of chunks of one
//! encoding is what [Thanos's compactor][thanos] makes of them, sample by sample, so that a bucket
//! may pass from the one to the other. There, of chunks of several encodings that overlap all but
//! those of the first one's encoding are lost; here all are merged.
//!
//! [thanos]: https://github.com/thanos-io/thanos/blob/v0.42.4/pkg/dedup/chunk_iter.go

mod encoder;
mod fold;
mod heads;

use std::collections::VecDeque;

use tsdb::{Chunk, ChunkError, reencode};

use self::{encoder::Encoder, fold::Fold, heads::Heads};
use super::input::SourceChunk;

/// Merges the chunks of one series, each of which comes with the number of its replica: `chunks` is
/// emptied, and `out` gets chunks in order of time that do not overlap.
///
/// A chunk that overlaps no other is passed on as it is; the same chunk of several replicas is
/// passed on once; what else overlaps is decoded and encoded again. Of a replica that has none
/// beside it nothing is passed over. Downsampled chunks may not overlap.
///
/// # Errors
/// When a chunk that has to be decoded is damaged.
pub fn penalty(chunks: &mut Vec<SourceChunk>, out: &mut Vec<Chunk>) -> Result<(), ChunkError> {
    chunks.sort_by_key(|(source, chunk)| (*source, chunk.min, chunk.max));
    if chunks.is_sorted_by(|(_, a), (_, b)| a.max < b.min) {
        out.extend(chunks.drain(..).map(|(_, chunk)| chunk));
        return Ok(());
    }
    let mut heads = Heads::of(chunks);
    let mut merge = Merge::default();
    let mut run: Vec<SourceChunk> = Vec::new();
    while let Some(first) = heads.next() {
        let mut end = first.1.max;
        run.push(first);
        while let Some(next) = heads.next_until(end) {
            // Compared with the last one only, as Thanos does: any other is merged.
            if run.last().is_none_or(|(_, last)| *last != next.1) {
                end = end.max(next.1.max);
                run.push(next);
            }
        }
        if run.len() == 1 {
            out.extend(run.drain(..).map(|(_, chunk)| chunk));
            continue;
        }
        let mut made = merge.run(&mut run)?;
        out.extend(made.pop_front().map(|(_, chunk)| chunk));
        // They overlap nothing any more, but in which order replicas with equal chunks come
        // depends on what has gone through.
        heads.push(made);
    }
    Ok(())
}

/// Merges run after run, in memory that is used again.
#[derive(Default)]
struct Merge {
    fold: Fold,
    encoder: Encoder,
}

impl Merge {
    /// Empties a run of chunks that overlap one another, and gives what they come to.
    fn run(&mut self, run: &mut Vec<SourceChunk>) -> Result<VecDeque<SourceChunk>, ChunkError> {
        let source = run.first().map(|(source, _)| *source).unwrap_or_default();
        let made = if run.iter().all(|(other, _)| *other == source) {
            let chunks: Vec<Chunk> = run.drain(..).map(|(_, chunk)| chunk).collect();
            reencode(&chunks, &[])?
        } else {
            for (_, chunk) in run.drain(..) {
                self.fold.add(&chunk)?;
            }
            self.encoder.encode(self.fold.drain())
        };
        Ok(made.into_iter().map(|chunk| (source, chunk)).collect())
    }
}

#[cfg(test)]
mod tests;
