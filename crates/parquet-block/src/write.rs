//! Writing a block's Parquet files.
//!
//! ```text
//! rows ─▶ RowGroupBuilder ─▶ encode, on all threads ─▶ EncodedRowGroup ─▶ ShardWriter, in order ─▶ two files
//!                              label_column, byte_column: dictionaries, and where pages end
//!                              format::page: levels, values, compression
//!                                                                          format::file: indexes, footer
//! ```
//! Pages are encoded here, and not by the `parquet` crate, because labels come as ids of a sorted table: the ids
//! of a row group, made dense, are its dictionary's, so no string is hashed, compared or copied for a row. What
//! is written is read by that crate in the tests. The bytes depend on the rows and the options only.

mod builder;
mod byte_column;
mod label_column;
mod options;
mod row_group;
mod rows;
mod schema;
mod shard;

pub use crate::write::{
    builder::RowGroupBuilder,
    byte_column::SharedValue,
    options::{BloomFilters, PageOptions, WriteOptions},
    row_group::EncodedRowGroup,
    rows::Symbols,
    schema::ShardSchema,
    shard::ShardWriter,
};
