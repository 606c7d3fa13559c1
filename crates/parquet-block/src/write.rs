//! Writing a block's Parquet files.
//!
//! ```text
//! rows ─▶ RowGroupBuilder ─▶ encode, on all threads ─▶ EncodedRowGroup ─▶ ShardWriter, in order ─▶ two files
//!                              label, bytes: column chunks
//!                              page: header (thrift), levels and ids (hybrid), values (delta), compression
//!                                                                          file: indexes, footer (thrift)
//! ```
//! Pages are encoded here, and not by the `parquet` crate, because labels come as ids of a sorted table: the ids
//! of a row group, made dense, are its dictionary's, so no string is hashed, compared or copied for a row. What
//! is written is read by that crate in the tests. The bytes depend on the rows and the options only.

mod bounds;
mod builder;
mod byte_column;
mod file;
mod label_column;
mod options;
mod page;
mod row_group;
mod schema;
mod shard;

pub use crate::write::{
    builder::{RowGroupBuilder, Symbols},
    byte_column::SharedValue,
    options::{BloomFilters, PageOptions, WriteOptions},
    row_group::EncodedRowGroup,
    schema::ShardSchema,
    shard::ShardWriter,
};
