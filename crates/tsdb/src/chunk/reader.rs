//! Reads bits, from the highest of each byte.

use super::ChunkError;

/// A position in the bits of a chunk's data.
///
/// [`BitReader::peek`] and [`BitReader::skip`] may run past the end, where all bits are zero; the caller must call
/// [`BitReader::check_end`] before it uses what it read. All other methods check.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The next bit, counted from the start of `bytes`.
    at: usize,
}

/// Bits that one [`BitReader::peek`] always gives.
pub(super) const PEEK: u32 = 57;

impl<'a> BitReader<'a> {
    /// All of a chunk's data, read from the byte `start` on.
    pub(super) fn new(bytes: &'a [u8], start: usize) -> Self {
        Self {
            bytes,
            at: start * 8,
        }
    }

    /// The next bits, highest first: at least [`PEEK`], followed by zeros, also behind the end.
    #[inline]
    pub(super) fn peek(&self) -> u64 {
        self.peek_whole()
            .unwrap_or_else(|| last_bytes(self.bytes, self.at / 8) << (self.at % 8))
    }

    /// As [`BitReader::peek`] if eight bytes are left from that of the next bit on, so that all bits are within the
    /// data.
    #[inline]
    pub(super) fn peek_whole(&self) -> Option<u64> {
        let first = self.at / 8;
        let word = self.bytes.get(first..first + 8)?.first_chunk()?;
        Some(u64::from_be_bytes(*word) << (self.at % 8))
    }

    /// Moves on by `bits`.
    #[inline]
    pub(super) fn skip(&mut self, bits: u32) {
        self.at += bits as usize;
    }

    /// Moves on by `bits`.
    #[inline]
    pub(super) fn skip_bits(&mut self, bits: usize) {
        self.at += bits;
    }

    /// The position of the next bit, counted from the start of the data.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The number of bits left.
    pub(super) fn left(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at)
    }

    /// Checks that nothing was read from behind the end.
    #[inline]
    pub(super) fn check_end(&self, expected: &'static str) -> Result<(), ChunkError> {
        if self.at > self.bytes.len() * 8 {
            return Err(ChunkError::end(self.bytes, expected));
        }
        Ok(())
    }

    /// The next `n` bits, at most 64, as the low ones of a word.
    #[inline]
    pub(super) fn bits(&mut self, n: u32, expected: &'static str) -> Result<u64, ChunkError> {
        let value = self.unchecked_bits(n);
        self.check_end(expected)?;
        Ok(value)
    }

    /// As [`BitReader::bits`]; may run past the end.
    #[inline]
    pub(super) fn unchecked_bits(&mut self, n: u32) -> u64 {
        let low = n.saturating_sub(PEEK);
        let mut value = top(self.peek(), n - low);
        self.skip(n - low);
        if low > 0 {
            value = value << low | top(self.peek(), low);
            self.skip(low);
        }
        value
    }

    /// An uvarint of up to 64 bits.
    pub(super) fn uvarint(&mut self, expected: &'static str) -> Result<u64, ChunkError> {
        // Most end in the bytes of one word.
        let mut word = self.peek();
        let mut value = 0;
        for place in 0..PEEK / 8 {
            value |= (word >> 56 & 0x7f) << (7 * place);
            if word >> 63 == 0 {
                self.skip(8 * (place + 1));
                self.check_end(expected)?;
                return Ok(value);
            }
            word <<= 8;
        }
        self.long_uvarint(expected)
    }

    fn long_uvarint(&mut self, expected: &'static str) -> Result<u64, ChunkError> {
        let start = self.at;
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.bits(8, expected)?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ChunkError::corrupt(
            start,
            expected,
            "an integer of more than 64 bits",
        ))
    }

    /// A varint.
    pub(super) fn varint(&mut self, expected: &'static str) -> Result<i64, ChunkError> {
        let zigzag = self.uvarint(expected)?;
        Ok((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
    }
}

/// The highest `n` bits of a word, as its low ones.
#[inline]
fn top(word: u64, n: u32) -> u64 {
    word.checked_shr(64 - n).unwrap_or(0)
}

/// The bytes from `first` on, fewer than eight, and zeros.
#[cold]
fn last_bytes(bytes: &[u8], first: usize) -> u64 {
    let rest = bytes.get(first..).unwrap_or_default();
    if let (Some(word), 1..8) = (bytes.last_chunk(), rest.len()) {
        return u64::from_be_bytes(*word) << (64 - 8 * rest.len());
    }
    rest.iter()
        .fold((0, 64), |(word, shift), byte| {
            (word | u64::from(*byte) << (shift - 8), shift - 8)
        })
        .0
}
