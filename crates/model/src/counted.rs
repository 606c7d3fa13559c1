//! Counts in texts for people.

use std::fmt;

/// A count of things, written as `1 file` or `2 files`. The word forms its plural with an `s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted(pub u64, pub &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, word) = self;
        match count {
            1 => write!(f, "1 {word}"),
            _ => write!(f, "{count} {word}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_written_in_the_singular() {
        let texts = [0, 1, 2].map(|count| Counted(count, "file").to_string());
        assert_eq!(texts, ["0 files", "1 file", "2 files"]);
    }
}
