//! Pages, and the column chunks that they make; `read::page` draws a page.
//!
//! Data pages are of version 2, and all pages carry a checksum of what is stored.

use super::{
    bounds::Bounds,
    compress::{Kind, compress},
    thrift::Thrift,
};
use crate::error::Error;

pub(super) const PLAIN: i32 = 0;
pub(super) const RLE: i32 = 3;
pub(super) const DELTA_LENGTH_BYTE_ARRAY: i32 = 6;
pub(super) const DELTA_BYTE_ARRAY: i32 = 7;
pub(super) const RLE_DICTIONARY: i32 = 8;

pub(super) const DICTIONARY_PAGE: i32 = 2;
pub(super) const DATA_PAGE_V2: i32 = 3;

/// How much of a page is compressed to see whether it pays.
const SAMPLE: usize = 16 << 10;

/// How the values of a page are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// Compressed by zstd, if that makes them smaller.
    Zstd {
        level: i32,
        /// By how many per cent at least.
        least_saving: u8,
    },
    /// As they are, because nothing makes them smaller.
    None,
}

/// A column of a row group.
#[derive(Debug)]
pub(super) struct EncodedColumn {
    /// Of labels only.
    pub(super) dictionary: Option<Page>,
    pub(super) pages: Vec<Page>,
    /// Of labels, if there are any values.
    pub(super) bounds: Option<Bounds>,
    pub(super) bloom_filter: Option<Vec<u8>>,
}

/// A page as the file has it.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) bytes: Vec<u8>,
    /// How long it would be without compression.
    pub(super) uncompressed: usize,
    pub(super) rows: usize,
    pub(super) nulls: usize,
    /// Of labels, if there are any values.
    pub(super) bounds: Option<Bounds>,
}

/// The contents of a data page.
pub(super) struct DataPage<'a> {
    pub(super) rows: usize,
    pub(super) nulls: usize,
    /// How `values` are encoded.
    pub(super) encoding: i32,
    /// Definition levels, of optional columns.
    pub(super) levels: &'a [u8],
    pub(super) values: &'a [u8],
    pub(super) bounds: Option<Bounds>,
}

impl DataPage<'_> {
    /// The page as the file has it.
    pub(super) fn encode(self, compression: Compression) -> Result<Page, Error> {
        match compression {
            Compression::None => Ok(self.stored(None)),
            Compression::Zstd {
                level,
                least_saving,
            } => {
                let pays = |smaller: usize, of: usize| {
                    smaller < of
                        && smaller * 100 <= of * 100_usize.saturating_sub(least_saving.into())
                };
                // Most of the time is spared where it would be for nothing.
                if least_saving > 0
                    && let Some(sample) = self.values.get(..SAMPLE)
                    && !compress(sample, Kind::Values, level, |smaller| {
                        pays(smaller.len(), SAMPLE)
                    })?
                {
                    return Ok(self.stored(None));
                }
                compress(self.values, Kind::Values, level, |smaller| {
                    self.stored(pays(smaller.len(), self.values.len()).then_some(smaller))
                })
            }
        }
    }

    fn stored(&self, compressed: Option<&[u8]>) -> Page {
        let parts = [self.levels, compressed.unwrap_or(self.values)];
        let size = self.levels.len() + self.values.len();
        let header = header(DATA_PAGE_V2, size, &parts, |t| {
            t.structure(8, |t| {
                t.size(1, self.rows);
                t.size(2, self.nulls);
                t.size(3, self.rows);
                t.i32(4, self.encoding);
                t.size(5, self.levels.len());
                t.size(6, 0);
                t.bool(7, compressed.is_some());
            });
        });
        Page {
            uncompressed: header.len() + size,
            bytes: [&header, parts[0], parts[1]].concat(),
            rows: self.rows,
            nulls: self.nulls,
            bounds: self.bounds.clone(),
        }
    }
}

/// A dictionary of `count` values.
pub(super) fn dictionary(values: &[u8], count: usize, level: i32) -> Result<Page, Error> {
    compress(values, Kind::Texts, level, |stored| {
        let header = header(DICTIONARY_PAGE, values.len(), &[stored], |t| {
            t.structure(7, |t| {
                t.size(1, count);
                t.i32(2, PLAIN);
            });
        });
        Page {
            uncompressed: header.len() + values.len(),
            bytes: [&header, stored].concat(),
            rows: 0,
            nulls: 0,
            bounds: None,
        }
    })
}

fn header(kind: i32, size: usize, stored: &[&[u8]], rest: impl FnOnce(&mut Thrift)) -> Vec<u8> {
    let mut crc = crc32fast::Hasher::new();
    for part in stored {
        crc.update(part);
    }
    Thrift::of(|t| {
        t.i32(1, kind);
        t.size(2, size);
        t.size(3, stored.iter().map(|part| part.len()).sum());
        t.i32(4, crc.finalize().cast_signed());
        rest(t);
    })
}

impl EncodedColumn {
    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.pages.iter().map(|page| page.rows).sum()
    }

    /// How many rows have no value.
    pub(super) fn nulls(&self) -> usize {
        self.pages.iter().map(|page| page.nulls).sum()
    }

    /// All pages in the order of the file.
    pub(super) fn all_pages(&self) -> impl Iterator<Item = &Page> {
        self.dictionary.iter().chain(&self.pages)
    }
}
