//! Encodes pages, and the column chunks that they make; `decoder` draws a page.
//!
//! Data pages are of version 2, and all pages carry a checksum of what is stored. It does not cover their headers:
//! the offset index has checksums of those.

use std::borrow::Cow;

use bytes::Bytes;

use super::Encoding;
use crate::{
    error::Error,
    format::{
        bounds::Bounds,
        compression::{Kind, compress},
        thrift::ThriftWriter,
    },
};

/// How much of a page is compressed to see whether it pays, from how many places of it: series of one kind lie
/// together, and some shrink where others do not.
const SAMPLE: usize = 16 << 10;
const PLACES: usize = 4;
/// The level of zstd for it, at most; and for the page, unless it gets smaller by more than so many per cent.
const SAMPLE_LEVEL: i32 = 1;
const WORTH_MORE: usize = 30;

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    Dictionary,
    /// Of version 2.
    Data,
}

/// How the values of a page are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
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
pub(crate) struct EncodedColumn {
    /// Of labels only.
    pub(crate) dictionary: Option<EncodedPage>,
    pub(crate) pages: Vec<EncodedPage>,
    /// Of labels, if there are any values.
    pub(crate) bounds: Option<Bounds>,
    pub(crate) bloom_filter: Option<Vec<u8>>,
}

/// A page as the file has it.
#[derive(Debug, Default)]
pub(crate) struct EncodedPage {
    /// The header, and what else comes before the values.
    pub(crate) head: Vec<u8>,
    /// The values, in pieces. Those that are not compressed are shared with the row group that they are of.
    pub(crate) body: Vec<Bytes>,
    /// CRC-32 of the header.
    pub(crate) header_crc: u32,
    /// How long it would be without compression.
    pub(crate) uncompressed: usize,
    pub(crate) rows: usize,
    pub(crate) nulls: usize,
    /// Of labels, if there are any values.
    pub(crate) bounds: Option<Bounds>,
}

/// The contents of a data page.
pub(crate) struct DataPage<'a> {
    pub(crate) rows: usize,
    pub(crate) nulls: usize,
    /// How `values` are encoded.
    pub(crate) encoding: Encoding,
    /// Definition levels, of optional columns.
    pub(crate) levels: &'a [u8],
    /// The part of the values that was made for the page: the lengths of byte strings, or all of it.
    pub(crate) made: &'a [u8],
    /// The rest of the values, in the pieces in which the row group has them.
    pub(crate) values: Vec<Bytes>,
    pub(crate) bounds: Option<Bounds>,
}

impl DataPage<'_> {
    /// The page as the file has it.
    pub(crate) fn encode(self, compression: Compression) -> Result<EncodedPage, Error> {
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
                let mut level = level;
                // Most of the time is spared where it would be for nothing, or for little.
                if least_saving > 0
                    && let Some(sample) = sample(&self.values)
                {
                    let quick = level.min(SAMPLE_LEVEL);
                    let smaller = compress(&sample, Kind::Sample, quick, <[u8]>::len)?;
                    if !pays(smaller, sample.len()) {
                        return Ok(self.stored(None));
                    }
                    if smaller * 100 > sample.len() * (100 - WORTH_MORE) {
                        level = quick;
                    }
                }
                let all = match &*self.values {
                    [] => Cow::Borrowed(self.made),
                    rest => Cow::Owned(parts(self.made, rest).collect::<Vec<_>>().concat()),
                };
                compress(&all, Kind::Values, level, |smaller| {
                    self.stored(pays(smaller.len(), all.len()).then_some(smaller))
                })
            }
        }
    }

    fn stored(&self, compressed: Option<&[u8]>) -> EncodedPage {
        let (made, values) = match compressed {
            Some(compressed) => (&[][..], vec![Bytes::copy_from_slice(compressed)]),
            None => (self.made, self.values.clone()),
        };
        let size = self.levels.len() + self.made.len() + len(&self.values);
        let stored = [self.levels].into_iter().chain(parts(made, &values));
        let mut head = header(PageKind::Data, size, stored, |t| {
            t.structure(8, |t| {
                t.size(1, self.rows);
                t.size(2, self.nulls);
                t.size(3, self.rows);
                t.i32(4, self.encoding.id());
                t.size(5, self.levels.len());
                t.size(6, 0);
                t.bool(7, compressed.is_some());
            });
        });
        let uncompressed = head.len() + size;
        let header_crc = crc32fast::hash(&head);
        head.extend_from_slice(self.levels);
        head.extend_from_slice(made);
        EncodedPage {
            head,
            body: values,
            header_crc,
            uncompressed,
            rows: self.rows,
            nulls: self.nulls,
            bounds: self.bounds.clone(),
        }
    }
}

impl PageKind {
    /// The number that stands for it in a file.
    pub(crate) const fn id(self) -> i32 {
        match self {
            Self::Dictionary => 2,
            Self::Data => 3,
        }
    }
}

fn parts<'a>(made: &'a [u8], values: &'a [Bytes]) -> impl Iterator<Item = &'a [u8]> {
    let values = values.iter().map(|piece| &**piece);
    std::iter::once(made).chain(values)
}

fn len(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

/// Parts of a page that stand for it; none of a page that is not larger.
fn sample(values: &[Bytes]) -> Option<Vec<u8>> {
    let len = len(values);
    if len <= SAMPLE {
        return None;
    }
    let part = SAMPLE / PLACES;
    // The last part ends where the page does.
    let step = (len - part) / (PLACES - 1);
    let mut sample = Vec::with_capacity(SAMPLE);
    let mut start = 0;
    for piece in values {
        let end = start + piece.len();
        for place in (0..PLACES).map(|place| place * step) {
            let range = start.max(place)..end.min(place + part);
            if range.start < range.end {
                let wanted = piece.get(range.start - start..range.end - start);
                sample.extend_from_slice(wanted.unwrap_or_default());
            }
        }
        start = end;
    }
    Some(sample)
}

/// A dictionary of `count` values.
pub(crate) fn dictionary(values: &[u8], count: usize, level: i32) -> Result<EncodedPage, Error> {
    compress(values, Kind::Texts, level, |stored| {
        let header = header(
            PageKind::Dictionary,
            values.len(),
            [stored].into_iter(),
            |t| {
                t.structure(7, |t| {
                    t.size(1, count);
                    t.i32(2, Encoding::Plain.id());
                });
            },
        );
        EncodedPage {
            uncompressed: header.len() + values.len(),
            header_crc: crc32fast::hash(&header),
            head: header,
            body: vec![Bytes::copy_from_slice(stored)],
            rows: 0,
            nulls: 0,
            bounds: None,
        }
    })
}

fn header<'a>(
    kind: PageKind,
    size: usize,
    stored: impl Iterator<Item = &'a [u8]>,
    rest: impl FnOnce(&mut ThriftWriter),
) -> Vec<u8> {
    let mut crc = crc32fast::Hasher::new();
    let mut len = 0;
    for part in stored {
        crc.update(part);
        len += part.len();
    }
    ThriftWriter::of(|t| {
        t.i32(1, kind.id());
        t.size(2, size);
        t.size(3, len);
        t.i32(4, crc.finalize().cast_signed());
        rest(t);
    })
}

impl EncodedPage {
    /// Its bytes in the file, part by part.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        parts(&self.head, &self.body)
    }

    /// How many bytes it takes in the file.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + len(&self.body)
    }
}

impl EncodedColumn {
    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.pages.iter().map(|page| page.rows).sum()
    }

    /// How many rows have no value.
    pub(crate) fn nulls(&self) -> usize {
        self.pages.iter().map(|page| page.nulls).sum()
    }

    /// All pages in the order of the file.
    pub(crate) fn all_pages(&self) -> impl Iterator<Item = &EncodedPage> {
        self.dictionary.iter().chain(&self.pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that nothing makes smaller.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..len).map(|_| next()).collect()
    }

    fn stored(values: &[u8]) -> usize {
        stored_at(1, values)
    }

    fn stored_at(level: i32, values: &[u8]) -> usize {
        let page = DataPage {
            rows: 1,
            nulls: 0,
            encoding: Encoding::Plain,
            levels: &[],
            made: &[],
            values: vec![Bytes::copy_from_slice(values)],
            bounds: None,
        };
        let compression = Compression::Zstd {
            level,
            least_saving: 10,
        };
        page.encode(compression).unwrap().len()
    }

    #[test]
    fn several_places_of_a_page_tell_whether_it_is_worth_compressing() {
        let (noise, same) = (noise(64 << 10), vec![7; 64 << 10]);
        for page in [
            [&noise, &same, &same, &same],
            [&same, &noise, &same, &same],
            [&same, &same, &same, &noise],
        ] {
            let len = stored(&page.map(Vec::as_slice).concat());
            assert!(len < 80 << 10, "{len}");
        }
        let all = [noise.as_slice(); 4].concat();
        assert!(stored(&noise) > noise.len());
        assert_eq!(sample(&[all.into()]).unwrap().len(), SAMPLE);
        assert_eq!(sample(&[Bytes::from(noise).slice(..SAMPLE)]), None);
    }

    #[test]
    fn only_what_shrinks_much_is_worth_a_higher_level() {
        let noise = noise(64 << 10);
        let words: Vec<u8> = noise
            .iter()
            .flat_map(|byte| format!("pod-{} ", byte % 40).into_bytes())
            .collect();
        assert!(stored_at(3, &words) < stored_at(1, &words));
        // An eighth less: of each byte a bit.
        let half: Vec<u8> = noise.iter().map(|byte| byte & 0x7f).collect();
        assert!(stored(&half) < half.len());
        assert_eq!(stored_at(3, &half), stored_at(1, &half));
    }

    #[test]
    fn a_sample_is_of_the_beginning_and_of_the_end_and_of_between() {
        let values: Bytes = (0..4_u8).flat_map(|i| vec![i; 20 << 10]).collect();
        let expected: Vec<u8> = (0..4_u8).flat_map(|i| vec![i; 4 << 10]).collect();
        for len in [values.len(), 20 << 10, 3000, 1] {
            let pieces = values.chunks(len).map(Bytes::copy_from_slice);
            let pieces: Vec<Bytes> = pieces.collect();
            assert_eq!(sample(&pieces).unwrap(), expected, "pieces of {len}");
        }
    }
}
