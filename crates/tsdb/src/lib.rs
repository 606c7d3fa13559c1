//! The block format of Prometheus: index, chunk segments, tombstones; read and written.
//!
//! Sync, and without an object store. A block in a directory is a [`Block`]. For a block in a bucket
//! there are pairs: what to fetch, and what to make of the bytes. [`Toc`] leads to an
//! [`IndexHeader`], that to a [`PostingsPlan`] and to series, those to [`decode_chunk_record`].
//! [`BlockWriter`] writes blocks that Prometheus and Thanos read.

mod block;
mod chunk;
mod codec;
mod error;
mod index;
mod intervals;
mod read_at;
mod refs;
mod segment;
mod tombstones;

pub use crate::{
    block::{Block, BlockWriter, ChunkCursor, SeriesCursor},
    chunk::{
        AGGREGATES, AggregateChunk, Aggregates, Chunk, ChunkError, DownsampledChunk, Encoding,
        Floats, UnknownEncoding, decode_aggregates, decode_histograms, decode_xor, decode_xor_at,
        encode_aggregates, encode_histograms, encode_long_histograms, encode_xor, encode_xor_onto,
        reencode,
    },
    error::{Error, Result},
    index::{
        HeaderFile, HeaderIdentity, HeaderPages, HeaderRanges, HeaderRoot, HeaderWriter,
        IndexHeader, PostingsPlan, SymbolReader, Symbols, Toc,
    },
    intervals::{Coverage, Intervals},
    read_at::ReadAt,
    refs::{ChunkMeta, ChunkRef, Fetched, SeriesEntry, SeriesRef, SymbolRef},
    segment::{chunk_range, decode_chunk_record, segment_file_name},
    tombstones::Tombstones,
};
