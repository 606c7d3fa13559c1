//! Bits being written, from the highest of each byte on.

/// Collects bits in a word, and words in bytes.
#[derive(Debug)]
pub(super) struct BitWriter {
    out: Vec<u8>,
    /// Bits not in `out` yet, from the highest on; zeros behind them.
    word: u64,
    /// How many they are, less than 64.
    used: u32,
}

impl BitWriter {
    /// Goes on behind whole bytes.
    pub(super) fn new(out: Vec<u8>) -> Self {
        Self {
            out,
            word: 0,
            used: 0,
        }
    }

    /// Writes the low `n` bits of `value`, at most 64; those above them may be anything.
    #[inline]
    pub(super) fn bits(&mut self, value: u64, n: u32) {
        if n == 0 {
            return;
        }
        let value = value << (64 - n);
        self.word |= value >> self.used;
        let used = self.used + n;
        if used < 64 {
            self.used = used;
            return;
        }
        self.out.extend_from_slice(&self.word.to_be_bytes());
        // What of `value` found no room; nothing when the word was empty.
        self.word = value.checked_shl(64 - self.used).unwrap_or(0);
        self.used = used - 64;
    }

    /// Writes an uvarint.
    pub(super) fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bits(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.bits(value, 8);
    }

    /// Writes a varint.
    pub(super) fn varint(&mut self, value: i64) {
        self.uvarint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// All bytes; the last is filled up with zeros.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let bytes = self.used.div_ceil(8) as usize;
        self.out.extend(self.word.to_be_bytes().iter().take(bytes));
        self.out
    }
}
