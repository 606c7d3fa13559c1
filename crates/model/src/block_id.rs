//! A block's name: a ULID, 26 characters of Crockford's base 32.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use ulid::Ulid;

use crate::time::Timestamp;

/// The name of a block: a ULID. Its order is the order of creation.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(Ulid);

/// The text is not a ULID.
#[derive(Debug, thiserror::Error)]
#[error("block id: expected a ULID of 26 characters, found {0:?}")]
pub struct InvalidBlockId(String);

impl BlockId {
    /// A new id created at `now` with 80 bits of `entropy`.
    #[must_use]
    pub fn new(now: Timestamp, entropy: u128) -> Self {
        Self(Ulid::from_parts(now.0.max(0).unsigned_abs(), entropy))
    }

    /// The time at which the id was made.
    #[must_use]
    pub fn time(self) -> Timestamp {
        Timestamp(i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX))
    }
}

impl FromStr for BlockId {
    type Err = InvalidBlockId;

    fn from_str(text: &str) -> Result<Self, InvalidBlockId> {
        // ULID decoders accept lower case, which is never a block's name, and drop bits that are too many.
        let is_too_large = text.bytes().next().is_some_and(|first| first > b'7');
        if text.len() != 26 || is_too_large || text.bytes().any(|b| b.is_ascii_lowercase()) {
            return Err(InvalidBlockId(text.to_owned()));
        }
        Ulid::from_string(text)
            .map(Self)
            .map_err(|_| InvalidBlockId(text.to_owned()))
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for BlockId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlockId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_id_is_a_ulid_in_upper_case() {
        let id: BlockId = "01HF8J5JG0RAVB4GMS32W7ZJ2B".parse().unwrap();
        assert_eq!(id.to_string(), "01HF8J5JG0RAVB4GMS32W7ZJ2B");
        assert_eq!(id.time(), Timestamp(1_700_020_800_000));
        for bad in [
            "",
            "parquet",
            "01hf8j5jg0ravb4gms32w7zj2b",
            "01HF8J5JG0RAVB4GMS32W7ZJ2U",
            "81HF8J5JG0RAVB4GMS32W7ZJ2B",
        ] {
            assert!(bad.parse::<BlockId>().is_err(), "{bad}");
        }
    }
}
