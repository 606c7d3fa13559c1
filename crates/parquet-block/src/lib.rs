//! The Parquet block: the layout of parquet-common, written and read.
//!
//! Sync, and without an object store. A block has shards, and each shard two files with the same rows in the
//! same row groups:
//!
//! ```text
//! N.labels.parquet   l_<label name>…   optional strings, all by dictionary; null where a series has no such label
//!                    x_<hexadecimal>…  the same, of a name that is not UTF-8
//!                    s_col_indexes     which columns of labels the series has: `col_indexes`
//!                    s_series_hash     8 bytes, big-endian: Prometheus's stable hash of the labels
//! N.chunks.parquet   s_data_0…         the chunks of a time slice, one record after the other: [`envelope`]
//! N.aggregates.parquet   instead of the chunks file in blocks of 5 minutes and of 1 hour:
//!                    s_count_0… s_sum_0… s_min_0… s_max_0… s_counter_0…   an aggregate of a time slice's chunks
//!                    varve_max_chunk_ms: how long the longest chunk is
//! both               minT, maxT (the last millisecond), data_col_duration_ms, varve_checksums
//! ```
//! A row is a series. Rows ascend by `__name__`, then by labels as Prometheus compares them. Columns are in
//! byte order of their names. A chunk of raw samples is cut where a slice ends. One of aggregates is not: it is
//! in the slice in which it begins, and a reader looks for it as far back as the longest chunk reaches.
//!
//! To write: a [`ShardSchema`]; a [`RowGroupBuilder`] takes rows and becomes an [`EncodedRowGroup`], on all
//! threads of the rayon pool; a [`ShardWriter`] appends those in order. To read: a [`Footer`] of each file
//! makes a [`Shard`], from which come lookups ([`Lookup`]). [`LocalBlock`] opens the shards of a local folder; they
//! answer lookups, and a merge reads their rows by [`RowReader`].
//!
//! The `parquet` crate decodes metadata, page indexes, page headers and bloom filters. Pages are written, and values
//! read, here: the reasons, measured, are in docs/performance.md.

mod error;
mod format;
mod layout;
mod local;
mod query;
mod write;

pub use crate::{
    error::Error,
    format::{
        decoded::{DecodedPage, DecodedPages},
        fault::Fault,
        footer::{Footer, FooterRead},
        row_ranges::RowRanges,
        values::Dictionary,
    },
    layout::{
        contents::Contents,
        envelope,
        schema::{Slices, aggregates_file, chunks_file, labels_file},
    },
    local::{
        block::LocalBlock,
        rows::{LabelIds, RowReader},
        shard::LocalShard,
        shared_group::SharedGroup,
    },
    query::{
        chunks::ReadChunks,
        label_values::{ReadLabelNames, ReadLabelValues},
        labels::{Projection, ReadLabels},
        lookup::{Lookup, ShardFile, Step},
        search::Search,
        shard::{Selection, Shard},
    },
    write::{
        BloomFilters, EncodedRowGroup, PageOptions, RowGroupBuilder, ShardSchema, ShardWriter,
        SharedValue, Symbols, WriteOptions,
    },
};
