//! The header file: what is kept of an index to answer which series match, in pages of which a reader takes those it
//! needs. Ours alone: nobody else reads it, and whoever finds one that is damaged or of another index makes it anew
//! from the index's symbols and postings offset table.
//!
//! ```text
//! offset   size
//! 0        4     magic 0xBAAA_0EAD, be32
//! 4        1     version: 1
//! 5        …     pages, each behind those that it names    header_file/page.rs
//! end−114  114   tail
//!
//! tail
//! 0        4     magic, be32
//! 4        1     version: 1
//! 5        8     be64 size in bytes of the index that this is made of
//! 13       8     be64 stamp: what else its maker knows of that index
//! 21       52    the index's table of contents, as it is there
//! 73       1     version of the index
//! 74       4     be32 how many symbols
//! 78       16    root page of the symbols: be64 offset, be64 length; zeros where there are none
//! 94       16    root page of the label names, likewise
//! 110      4     be32 crc32 of the tail before it
//! ```
//! Three kinds of trees, each of leaves in order, and of directories where there are several leaves: one of the
//! symbols, one of the label names, and for each name one of its values with the ranges of their postings. A leaf is
//! at most 16 KiB, unless one entry alone is more. Opening reads the tail, and a lookup one page of each level.

mod entries;
mod page;
mod section;
mod source;
mod tree;
mod tree_writer;
mod writer;

pub(super) use self::{
    page::{Page, PageRange, Tree},
    source::InMemory,
    tree::PageReader,
};
pub use self::{
    source::{HeaderFile, HeaderPages},
    writer::HeaderWriter,
};
use super::toc::Toc;
use crate::{
    codec::{CRC_LEN, Fault, Input, check_crc},
    error::{Error, Result},
};

const MAGIC: u32 = 0xBAAA_0EAD;
const VERSION: u8 = 1;
/// Length of magic and version.
const HEAD_LEN: u64 = 5;
/// Length of the tail.
const TAIL_LEN: u64 = 114;

/// The index from which a header is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderIdentity {
    /// Size of the index in bytes.
    pub index_size: u64,
    /// A hash of its version in the bucket, or whatever else identifies it.
    pub stamp: u64,
}

/// The tail of a header file: the start of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRoot {
    pub(super) identity: HeaderIdentity,
    pub(super) toc: Toc,
    /// Of the index.
    pub(super) version: u8,
    /// How many.
    pub(super) symbols: u32,
    pub(super) symbol_root: Option<PageRange>,
    pub(super) name_root: Option<PageRange>,
}

impl HeaderRoot {
    /// Reads the tail of a header file of `size` bytes, which is in `file`.
    ///
    /// # Errors
    /// When it is damaged, or of another version.
    pub fn decode(tail: &[u8], size: u64, file: &str) -> Result<Self> {
        let start = size.saturating_sub(TAIL_LEN);
        if tail.len() as u64 != TAIL_LEN || size < HEAD_LEN + TAIL_LEN {
            let expected = format!("a header of at least {} bytes", HEAD_LEN + TAIL_LEN);
            return Err(Error::corrupt(file, 0, expected, format!("one of {size}")));
        }
        let mut input = Input::new(tail, start);
        let magic = |input: &mut Input<'_>| Ok((input.be32()?, input.byte()?));
        let fail = |input: &Input<'_>, fault| input.error(file, "the tail of a header", fault);
        let (magic, version) = magic(&mut input).map_err(|fault| fail(&input, fault))?;
        if magic != MAGIC {
            let expected = format!("magic {MAGIC:#010x}");
            let found = format!("{magic:#010x}");
            return Err(Error::corrupt(file, start, expected, found));
        }
        if version != VERSION {
            return Err(Error::Version {
                file: file.to_owned(),
                expected: "1",
                found: version,
            });
        }
        if let Some((summed, stored)) = tail.split_last_chunk::<CRC_LEN>() {
            let at = start + summed.len() as u64;
            let stored = u32::from_be_bytes(*stored);
            check_crc(file, at, "the tail of a header", summed, stored)?;
        }
        let identity = Self::identity(&mut input).map_err(|fault| fail(&input, fault))?;
        let toc = input.take(Toc::LEN).map_err(|fault| fail(&input, fault))?;
        let toc = Toc::decode(toc, identity.index_size)?;
        let read = |input: &mut Input<'_>| {
            Ok(Self {
                identity,
                toc,
                version: input.byte()?,
                symbols: input.be32()?,
                symbol_root: Self::root(input, start)?,
                name_root: Self::root(input, start)?,
            })
        };
        read(&mut input).map_err(|fault| fail(&input, fault))
    }

    /// The index from which the header was built.
    #[must_use]
    pub fn made_of(&self) -> HeaderIdentity {
        self.identity
    }

    fn identity(input: &mut Input<'_>) -> Result<HeaderIdentity, Fault> {
        Ok(HeaderIdentity {
            index_size: input.be64()?,
            stamp: input.be64()?,
        })
    }

    /// A page before `end`.
    fn root(input: &mut Input<'_>, end: u64) -> Result<Option<PageRange>, Fault> {
        let (start, len) = (input.be64()?, input.be64()?);
        if (start, len) == (0, 0) {
            return Ok(None);
        }
        PageRange::new(start, len, end).map(Some)
    }

    /// The encoded tail.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(MAGIC.to_be_bytes());
        out.push(VERSION);
        out.extend(self.identity.index_size.to_be_bytes());
        out.extend(self.identity.stamp.to_be_bytes());
        out.extend(self.toc.encode());
        out.push(self.version);
        out.extend(self.symbols.to_be_bytes());
        for root in [self.symbol_root, self.name_root] {
            let (start, len) = root.map_or((0, 0), |root| (root.start, root.len()));
            out.extend(start.to_be_bytes());
            out.extend(len.to_be_bytes());
        }
        out.extend(crc32c::crc32c(&out).to_be_bytes());
        out
    }
}

/// Magic and version at the start of a header file.
fn encode_head() -> [u8; 5] {
    let [a, b, c, d] = MAGIC.to_be_bytes();
    [a, b, c, d, VERSION]
}
