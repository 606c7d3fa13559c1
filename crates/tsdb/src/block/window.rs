//! A window of a file in memory, which moves forward with the reads.

use std::io;

use bytes::{Bytes, BytesMut};

use crate::read_at::ReadAt;

/// Bytes that are read first, when nothing is known of later reads.
const FIRST: usize = 16 << 10;

/// A window of one file. It grows while reads are in order, and is small again after a jump.
#[derive(Debug)]
pub(super) struct Window {
    /// The longest window, unless one record needs more.
    max: usize,
    /// Bytes of the next read.
    ahead: usize,
    /// Bytes that will be read in order, as far as they were announced.
    expected: usize,
    start: u64,
    bytes: Bytes,
}

impl Window {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max: max.max(FIRST),
            ahead: 0,
            expected: 0,
            start: 0,
            bytes: Bytes::new(),
        }
    }

    /// Announces about how many bytes will be read in order.
    pub(super) fn expect(&mut self, bytes: usize) {
        self.expected = bytes;
    }

    /// Forgets its contents, since another file is read next.
    pub(super) fn clear(&mut self) {
        self.ahead = 0;
        self.start = 0;
        self.bytes = Bytes::new();
    }

    /// Makes sure that at least `needed` bytes from `offset` on are in memory. The data ends at `end`, which `offset +
    /// needed` must not exceed.
    pub(super) fn fill(
        &mut self,
        source: &impl ReadAt,
        offset: u64,
        needed: u64,
        end: u64,
    ) -> io::Result<()> {
        let held = self.bytes.len() as u64;
        if let Some(skipped) = offset.checked_sub(self.start)
            && skipped.saturating_add(needed) <= held
        {
            return Ok(());
        }
        let near = offset >= self.start && offset - self.start <= held + self.ahead as u64;
        self.ahead = if self.expected > 0 {
            let ahead = self.expected.clamp(FIRST, self.max);
            self.expected -= ahead.min(self.expected);
            ahead
        } else if near && self.ahead > 0 {
            (self.ahead * 2).min(self.max)
        } else {
            FIRST
        };
        let len = needed
            .max(self.ahead as u64)
            .min(end.saturating_sub(offset));
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // The memory is reused unless a slice of it is in use.
        let mut buf = match std::mem::take(&mut self.bytes).try_into_mut() {
            Ok(mut buf) => {
                buf.resize(len, 0);
                buf
            }
            Err(_) => BytesMut::zeroed(len),
        };
        source.read_at(offset, &mut buf)?;
        self.start = offset;
        self.bytes = buf.freeze();
        Ok(())
    }

    /// The bytes in memory from `offset` on.
    pub(super) fn from(&self, offset: u64) -> &[u8] {
        self.skipped(offset)
            .and_then(|skipped| self.bytes.get(skipped..))
            .unwrap_or_default()
    }

    /// The bytes in memory from `offset` on, as a slice that can be kept.
    pub(super) fn share(&self, offset: u64) -> Bytes {
        self.skipped(offset)
            .filter(|skipped| *skipped <= self.bytes.len())
            .map_or_else(Bytes::new, |skipped| self.bytes.slice(skipped..))
    }

    fn skipped(&self, offset: u64) -> Option<usize> {
        usize::try_from(offset.checked_sub(self.start)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Bytes {
        (0..200_000_u32).map(|i| (i % 251) as u8).collect()
    }

    #[test]
    fn the_window_grows_while_reads_are_in_order_and_shrinks_after_a_leap() {
        let source = source();
        let mut window = Window::new(64 << 10);
        let mut lengths = Vec::new();
        for offset in [0, 16 << 10, 48 << 10, 112 << 10, 100] {
            window.fill(&source, offset, 10, 200_000).unwrap();
            let start = usize::try_from(offset).unwrap();
            let held = window.from(offset);
            assert_eq!(held, &source[start..start + held.len()]);
            lengths.push(held.len() >> 10);
        }
        assert_eq!(lengths, [16, 32, 64, 64, 16]);
    }

    #[test]
    fn announced_bytes_are_read_at_once_and_later_ones_in_small_windows() {
        let source = source();
        let mut window = Window::new(64 << 10);
        window.expect(100 << 10);
        let mut lengths = Vec::new();
        for offset in [0, 64 << 10, 100 << 10, 120 << 10] {
            window.fill(&source, offset, 10, 200_000).unwrap();
            lengths.push(window.from(offset).len() >> 10);
        }
        assert_eq!(lengths, [64, 36, 64, 44]);
    }

    #[test]
    fn a_slice_that_is_kept_is_not_overwritten() {
        let source = source();
        let mut window = Window::new(16 << 10);
        window.fill(&source, 5, 10, 200_000).unwrap();
        let kept = window.share(5).slice(..10);
        window.fill(&source, 100_000, 10, 200_000).unwrap();
        assert_eq!(kept, source[5..15]);
    }

    #[test]
    fn nothing_is_read_past_the_end() {
        let source = source();
        let mut window = Window::new(1 << 20);
        window.fill(&source, 199_990, 10, 200_000).unwrap();
        assert_eq!(window.from(199_990).len(), 10);
        assert_eq!(window.from(7), &[] as &[u8]);
        assert!(window.fill(&source, 199_995, 10, 200_005).is_err());
    }
}
