//! Reading a block's Parquet files, without reading: what is here tells which bytes of which file it needs,
//! and decodes them.
//!
//! [`Footer`] decodes the end of a file and [`Shard`] puts together a shard's two files. From a shard come
//! lookups ([`Lookup`]): the rows that matchers mean, the labels, the chunks and the aggregates of rows, the
//! names and the values of labels. [`LocalShard`] answers them from local files.
//!
//! ```text
//! thrift → metadata; metadata, page_index → footer → shard
//! thrift → page (codec) → hybrid, delta → values, ids → column → search, labels, data_columns and row_chunks → chunks, label_values, scan
//! handover → shared, data_cursor → rows, scan
//! ```

mod chunks;
mod codec;
mod column;
mod data_columns;
mod data_cursor;
pub(crate) mod delta;
mod fault;
mod footer;
mod handover;
pub(crate) mod hybrid;
mod ids;
mod label_values;
mod labels;
mod local;
mod lookup;
mod metadata;
mod page;
mod page_index;
mod row_chunks;
mod row_ranges;
mod rows;
mod scan;
pub(crate) mod search;
mod shard;
mod shared;
mod thrift;
mod values;

pub use self::{
    chunks::ReadChunks,
    footer::{Footer, FooterRead},
    label_values::{ReadLabelNames, ReadLabelValues},
    labels::{Projection, ReadLabels},
    local::LocalShard,
    lookup::{Lookup, ShardFile, Step},
    row_ranges::RowRanges,
    rows::{LabelIds, RowReader},
    scan::Scan,
    search::Search,
    shard::{Selection, Shard},
    shared::SharedGroup,
    values::Dictionary,
};
