//! A block in local files: lookups are answered at once, with positioned reads, and rows are read for a merge.

pub(crate) mod block;
mod data_cursor;
mod file;
pub(crate) mod rows;
pub(crate) mod shard;
pub(crate) mod shared_group;
mod shared_pages;
