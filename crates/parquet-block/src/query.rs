//! Questions to a shard. None reads anything: each is a [`lookup::Lookup`], which tells the bytes of which file it needs,
//! and decodes them.
//!
//! A [`shard::Shard`] is made of the footers of two files. From it come the lookups: the rows that matchers mean, the
//! labels, the chunks and the aggregates of rows, the names and the values of labels.
//!
//! ```text
//! shard, column → search, labels, row_chunks → chunks, label_values → lookups
//! ```

pub(crate) mod chunks;
pub(crate) mod column;
pub(crate) mod data_columns;
pub(crate) mod label_values;
pub(crate) mod labels;
pub(crate) mod lookup;
mod lookups;
pub(crate) mod row_chunks;
pub(crate) mod search;
pub(crate) mod shard;
