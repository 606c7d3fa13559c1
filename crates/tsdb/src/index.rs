//! The index: which series a block holds, their labels, and where their chunks are.
//!
//! ```text
//! offset  size
//! 0       4     magic 0xBAAAD700, be32
//! 4       1     version: 1, 2 or 3
//! 5       …     symbols                  symbols.rs
//!         …     series, 16-byte aligned  series.rs
//!         …     label indices            not read, not written
//!         …     postings                 postings.rs
//!         …     label index table        not read, not written
//!         …     postings offset table    postings_table.rs
//! end−52  52    table of contents        toc.rs
//! ```
//! Version 1 has series at any offset, and names symbols and series by their offsets in bytes.
//! Version 3 is laid out as version 2.

mod header;
mod plan;
mod postings;
mod postings_table;
mod series;
mod symbols;
mod toc;
mod writer;

pub use self::{
    header::IndexHeader,
    plan::PostingsPlan,
    postings_table::LabelValues,
    symbols::Symbols,
    toc::{HeaderRanges, Toc},
};
pub(crate) use self::{
    postings::Postings,
    writer::{IndexWriter, sync_dir},
};

/// The file's path below the block.
pub(crate) const FILE: &str = "index";
/// The first four bytes.
const MAGIC: u32 = 0xBAAA_D700;
/// Length of magic and version.
const HEAD_LEN: u64 = 5;
/// Series start at multiples of this, from version 2 on.
const SERIES_ALIGN: u64 = 16;
