//! The index: which series a block holds, their labels, and where their chunks are.
//!
//! ```text
//! offset  size
//! 0       4     magic 0xBAAAD700, be32
//! 4       1     version: 1, 2 or 3
//! 5       …     symbols
//!         …     series, 16-byte aligned  series.rs
//!         …     label indices            not read, not written
//!         …     postings                 postings.rs
//!         …     label index table        not read, not written
//!         …     postings offset table
//! end−52  52    table of contents        toc.rs
//!
//! symbols: each label name and value of the block, once, in byte order
//! be32      length of what follows, without the checksum
//! be32      how many
//! string    each
//! be32      crc32 of the count and the symbols
//!
//! postings offset table: where the postings of each label name and value are
//! be32      length of what follows, without the checksum
//! be32      how many entries
//! entries   uvarint 2, string name, string value, uvarint offset of the postings in the index
//! be32      crc32 of the count and the entries
//! ```
//! Entries of the table are sorted by name and value, and the postings lie in the same order. The entry of the empty
//! name and value is for all series. Both are read once, into a header of pages: header_file.rs.
//!
//! Version 1 has series at any offset, and names symbols and series by their offsets in bytes; its table is in any order.
//! Version 3 is laid out as version 2.

mod header;
mod header_file;
mod label_table;
mod plan;
mod postings;
mod series;
mod symbols;
mod toc;
mod writer;

pub use self::{
    header::IndexHeader,
    header_file::{HeaderFile, HeaderIdentity, HeaderPages, HeaderRoot, HeaderWriter},
    plan::PostingsPlan,
    symbols::{SymbolReader, Symbols},
    toc::{HeaderRanges, Toc},
};
pub(crate) use self::{postings::Postings, writer::IndexWriter};

/// The file's path below the block.
pub(crate) const FILE: &str = "index";
/// The first four bytes.
const MAGIC: u32 = 0xBAAA_D700;
/// Length of magic and version.
const HEAD_LEN: u64 = 5;
/// Series start at multiples of this, from version 2 on.
const SERIES_ALIGN: u64 = 16;
