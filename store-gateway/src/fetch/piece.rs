//! A part of an object in memory.

use std::ops::Range;

use bytes::Bytes;

/// Bytes of an object, and their offset in it.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// The offset of the first byte.
    pub(crate) start: u64,
    /// The bytes.
    pub(crate) bytes: Bytes,
}

impl Piece {
    /// Its range in the object.
    pub(crate) fn range(&self) -> Range<u64> {
        self.start..self.start.saturating_add(self.bytes.len() as u64)
    }

    /// The bytes of `range`, if all of them are here.
    pub(crate) fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        let from = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(self.start)?).ok()?;
        (from <= to && to <= self.bytes.len()).then(|| self.bytes.slice(from..to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_all_there_is_given() {
        let piece = Piece {
            start: 10,
            bytes: Bytes::from_static(b"abcd"),
        };
        assert_eq!(piece.range(), 10..14);
        assert_eq!(piece.get(&(11..13)).as_deref(), Some(&b"bc"[..]));
        assert_eq!(piece.get(&(10..14)).as_deref(), Some(&b"abcd"[..]));
        assert!(piece.get(&(14..14)).is_some_and(|none| none.is_empty()));
        assert!(piece.get(&(9..11)).is_none() && piece.get(&(13..15)).is_none());
    }
}
