//! Puts together the chunks of one row from the values of its columns.
//!
//! Raw chunks come one after the other. Of a downsampled chunk each column holds an aggregate, and what belongs
//! together has the same times.

use std::vec;

use bytes::Bytes;
use model::{Aggregate, TimeRange};
use tsdb::{AggregateChunk, Aggregates, Chunk, DownsampledChunk, Encoding};

use crate::{
    error::Error,
    format::{fault::Fault, footer::Footer, page_index::PageLocation},
    layout::envelope,
};

/// The chunks of a row that overlap a time.
#[derive(Debug)]
pub(crate) struct RowChunks<'a> {
    file: &'a Footer,
    range: TimeRange,
    chunks: Vec<Chunk>,
    parts: Vec<Part>,
}

/// An aggregate of a downsampled chunk.
#[derive(Debug)]
struct Part {
    aggregate: Aggregate,
    chunk: Chunk,
    /// The offset of its page in the file.
    page: u64,
}

impl<'a> RowChunks<'a> {
    pub(crate) fn new(file: &'a Footer, range: TimeRange) -> Self {
        Self {
            file,
            range,
            chunks: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Takes the row's value of one column: an aggregate, or chunks.
    pub(crate) fn push(
        &mut self,
        aggregate: Option<Aggregate>,
        location: &PageLocation,
        value: &Bytes,
    ) -> Result<(), Error> {
        let page = location.bytes.start;
        for chunk in envelope::decode(value) {
            // Its offset is in the value, not in the file.
            let chunk = chunk.map_err(|fault| self.file.damaged(page, Fault { at: 0, ..fault }))?;
            if self.range.min > chunk.max || chunk.min > self.range.max {
                continue;
            }
            match aggregate {
                None => self.chunks.push(chunk),
                Some(aggregate) => self.parts.push(Part {
                    aggregate,
                    chunk,
                    page,
                }),
            }
        }
        Ok(())
    }

    /// The chunks: raw ones in the stored order, aggregates in order of time.
    pub(crate) fn finish(mut self) -> Result<Vec<Chunk>, Error> {
        self.join_all()?;
        Ok(self.chunks)
    }

    /// As [`Self::finish`], and starts the next row.
    pub(crate) fn take(&mut self) -> Result<vec::Drain<'_, Chunk>, Error> {
        self.join_all()?;
        Ok(self.chunks.drain(..))
    }

    fn join_all(&mut self) -> Result<(), Error> {
        let key = |part: &Part| (part.chunk.min, part.chunk.max);
        self.parts.sort_by_key(|part| (key(part), part.aggregate));
        for parts in self.parts.chunk_by(|a, b| key(a) == key(b)) {
            self.chunks.push(self.join(parts)?);
        }
        self.parts.clear();
        Ok(())
    }

    /// Joins the aggregates of one chunk, at least one.
    fn join(&self, parts: &[Part]) -> Result<Chunk, Error> {
        let mut aggregates = Aggregates::default();
        for part in parts {
            let Chunk { encoding, data, .. } = &part.chunk;
            let place = aggregates.get_mut(part.aggregate as usize);
            let fault = if place.as_ref().is_some_and(|place| place.is_some()) {
                "found twice".to_owned()
            } else if *encoding == Encoding::Aggr {
                "expected samples, found aggregates".to_owned()
            } else if data.is_empty() {
                "expected samples, found none".to_owned()
            } else {
                if let Some(place) = place {
                    *place = Some(AggregateChunk {
                        encoding: *encoding,
                        data: data.clone(),
                    });
                }
                continue;
            };
            let (name, min, max) = (part.aggregate.name(), part.chunk.min, part.chunk.max);
            let fault = format!("{name} of the chunk from {min} to {max}: {fault}");
            return Err(self.file.damaged(part.page, Fault::new(0, fault)));
        }
        let (min, max) = parts
            .first()
            .map_or_else(Default::default, |part| (part.chunk.min, part.chunk.max));
        Ok(DownsampledChunk {
            min,
            max,
            aggregates,
        }
        .pack())
    }
}
