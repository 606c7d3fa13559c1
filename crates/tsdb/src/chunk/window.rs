//! Floats as the exclusive or with the float before, cut to the bits that are not zero.
//!
//! ```text
//! 0                                          the same float
//! 10  significant bits                       of as many bits as the last time, in the same place
//! 11  u5 leading zeros  u6 how many  bits    0 stands for 64 significant bits
//! ```

use super::{ChunkError, reader::BitReader, writer::BitWriter};

/// Where the significant bits are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Zeros before them.
    pub(super) leading: u32,
    /// How many they are.
    pub(super) significant: u32,
}

impl Window {
    /// Before anything was read.
    pub(super) const READ: Self = Self {
        leading: 0,
        significant: 64,
    };
    /// Before anything was written; no difference has so many leading zeros.
    pub(super) const WRITE: Self = Self {
        leading: 64,
        significant: 0,
    };

    /// The window after `word`, which holds the two bits and the two numbers of the header; and
    /// the header's length.
    #[inline]
    pub(super) fn next(self, word: u64) -> (Self, u32) {
        let leading = (word << 2 >> 59) as u32;
        let significant = (word << 7 >> 58) as u32;
        let significant = if significant == 0 { 64 } else { significant };
        // Written so that no branch comes of it: which it is, is hard to foresee.
        if word >> 62 == 0b11 {
            (
                Self {
                    leading,
                    significant,
                },
                13,
            )
        } else {
            (self, 2)
        }
    }

    /// Zeros behind the significant bits, unless there are more bits than a float has.
    #[inline]
    pub(super) fn trailing(self, bit: usize) -> Result<u32, ChunkError> {
        64_u32
            .checked_sub(self.leading + self.significant)
            .ok_or_else(|| {
                let found = format!("{} behind {} zeros", self.significant, self.leading);
                ChunkError::corrupt(bit, "at most 64 bits of a float", found)
            })
    }

    /// Reads a float that follows the float `bits`, into `bits`.
    #[inline]
    pub(super) fn read(
        &mut self,
        input: &mut BitReader<'_>,
        bits: &mut u64,
        expected: &'static str,
    ) -> Result<(), ChunkError> {
        let word = input.peek();
        if word >> 63 == 0 {
            input.skip(1);
            return input.check_end(expected);
        }
        let (window, header) = self.next(word);
        let trailing = window.trailing(input.at())?;
        *self = window;
        input.skip(header);
        *bits ^= input.bits(window.significant, expected)? << trailing;
        Ok(())
    }

    /// Writes the float `bits` that follows the float `before`.
    #[inline(always)]
    pub(super) fn write(&mut self, out: &mut BitWriter<'_>, before: u64, bits: u64) {
        let xor = before ^ bits;
        if xor == 0 {
            out.zeros(1);
            return;
        }
        // The number has five bits.
        let leading = xor.leading_zeros().min(31);
        let trailing = xor.trailing_zeros();
        // Written so that no branch comes of it, as in `next`.
        let fits = (leading >= self.leading) & (trailing >= 64 - self.leading - self.significant);
        let significant = 64 - leading - trailing;
        let numbers = u64::from(leading << 6 | significant & 0x3f);
        let (window, header) = if fits {
            (*self, (0b10, 2))
        } else {
            let window = Self {
                leading,
                significant,
            };
            (window, (0b11 << 11 | numbers, 13))
        };
        *self = window;
        let value = xor >> (64 - window.leading - window.significant);
        out.bits_behind(header, value, window.significant);
    }
}
