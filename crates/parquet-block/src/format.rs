//! What is Parquet: its encodings, its pages and its footer, whatever the columns mean.
//!
//! ```text
//! thrift → metadata; metadata, page_index → footer
//! thrift → page (compression) → hybrid, delta → values, ids
//! bounds → page → file
//! ```
//! An encoder lies beside its decoder. The `parquet` crate decodes metadata, page indexes, page headers and bloom
//! filters; what of them it does not check is checked here before.

pub(crate) mod bloom;
pub(crate) mod bounds;
pub(crate) mod compression;
pub(crate) mod decoded;
pub(crate) mod delta;
pub(crate) mod fault;
pub(crate) mod file;
pub(crate) mod footer;
pub(crate) mod hybrid;
pub(crate) mod ids;
pub(crate) mod metadata;
pub(crate) mod page;
pub(crate) mod page_index;
pub(crate) mod row_ranges;
pub(crate) mod thrift;
pub(crate) mod values;
pub(crate) mod varint;
