//! What `meta.json` says of the end of a Parquet file, which no checksum in the file covers.
//!
//! ```text
//! N.labels.parquet    pages, bloom filters | column indexes | offset indexes | FileMetaData | length | "PAR1"
//!                                          └──────────────────────── bytes, xxh64 ───────────────────────────┘
//! meta.json           "labels_footer": {"bytes": 1234, "xxh64": "00c0ffee00c0ffee"}
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

/// The length and the hash of the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FooterSum {
    /// The number of the file's last bytes that are hashed.
    pub bytes: u64,
    /// Their hash.
    pub xxh64: Xxh64,
}

/// The size and footer hash by which a file is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSum {
    /// Its size, bytes.
    pub size: u64,
    /// Its end.
    pub footer: FooterSum,
}

/// An XXH64 with seed 0; in JSON 16 hexadecimal digits, as not all readers of JSON have 64-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Xxh64(pub u64);

impl FooterSum {
    /// That of `footer`.
    #[must_use]
    pub fn of(footer: &[u8]) -> Self {
        Self {
            bytes: footer.len() as u64,
            xxh64: Xxh64::of(footer),
        }
    }
}

impl Xxh64 {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh64::xxh64(bytes, 0))
    }
}

impl fmt::Display for Xxh64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<Xxh64> for String {
    fn from(hash: Xxh64) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for Xxh64 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_hex = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex
            .then(|| u64::from_str_radix(&text, 16).ok())
            .flatten()
            .map(Self)
            .ok_or_else(|| format!("xxh64: expected 16 hexadecimal digits, found {text:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_sixteen_digits_and_nothing_else_is_one() {
        let sum = FooterSum::of(b"");
        let json = serde_json::to_string(&sum).unwrap();
        assert_eq!(json, r#"{"bytes":0,"xxh64":"ef46db3751d8e999"}"#);
        assert_eq!(serde_json::from_str::<FooterSum>(&json).unwrap(), sum);
        for wrong in ["", "+123456789abcdef", "1", "00000000000000000"] {
            let error = Xxh64::try_from(wrong.to_owned()).unwrap_err();
            let expected = format!("xxh64: expected 16 hexadecimal digits, found {wrong:?}");
            assert_eq!(error, expected);
        }
    }
}
