//! Bits being written, from the highest of each byte on.

/// The most bits that one store writes: with those of an unfinished byte they fit a word.
const STORE: u32 = 56;

/// Collects bits in a word, and stores the word with each write, so that no branch asks whether it is full.
///
/// It only borrows the bytes, so that a loop can hold the rest of it in registers.
#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    /// Whole bytes up to `at`, then those of `word`, then zeros.
    out: &'a mut Vec<u8>,
    /// Where `word` begins.
    at: usize,
    /// The last bits, from the highest on; zeros behind them.
    word: u64,
    /// How many bits come behind `at`; those that `word` has no place for are zeros.
    used: u32,
}

impl<'a> BitWriter<'a> {
    /// Goes on behind whole bytes.
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            at: out.len(),
            out,
            word: 0,
            used: 0,
        }
    }

    /// Makes room for `bytes` more, which spares growing later.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.out.resize(self.at + bytes + size_of::<u64>(), 0);
    }

    /// Writes the low `n` bits of `value`, at most 64; those above them may be anything.
    #[inline(always)]
    pub(super) fn bits(&mut self, value: u64, n: u32) {
        if n > STORE {
            self.store(value >> 32, n - 32);
            self.store(value, 32);
        } else {
            self.store(value, n);
        }
    }

    /// Writes `header` bits and then `value`, which has none but its low `n` bits.
    #[inline(always)]
    pub(super) fn bits_behind(&mut self, header: (u64, u32), value: u64, n: u32) {
        let (bits, width) = header;
        if width + n <= STORE {
            self.store(bits << n | value, width + n);
        } else {
            self.store(bits, width);
            self.bits(value, n);
        }
    }

    /// Writes `n` zeros.
    #[inline]
    pub(super) fn zeros(&mut self, n: u32) {
        self.used += n;
    }

    #[inline(always)]
    fn store(&mut self, value: u64, n: u32) {
        let whole = self.used / 8;
        self.at += whole as usize;
        self.used -= whole * 8;
        self.word = self.word.unbounded_shl(whole * 8);

        self.word |= value.unbounded_shl(64 - n) >> self.used;
        self.used += n;
        let word = self.word.to_be_bytes();
        match place(self.out, self.at) {
            Some(place) => *place = word,
            None => grow(self.out, self.at, word),
        }
    }

    /// Ends the bytes behind the last bit; the last is filled up with zeros.
    pub(super) fn finish(self) {
        let len = self.at + self.used.div_ceil(8) as usize;
        self.out.resize(len, 0);
    }
}

#[inline]
fn place(out: &mut [u8], at: usize) -> Option<&mut [u8; 8]> {
    out.get_mut(at..at + 8)?.first_chunk_mut()
}

/// Makes room, and stores a word there. It takes no writer, which then need not be in memory.
#[cold]
fn grow(out: &mut Vec<u8>, at: usize, word: [u8; 8]) {
    out.resize(at + at.max(32) + size_of::<u64>(), 0);
    if let Some(place) = place(out, at) {
        *place = word;
    }
}
