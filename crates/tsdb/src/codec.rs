//! The integers and strings that all files of a block are made of.
//!
//! ```text
//! be32, be64   big-endian, 4 and 8 bytes
//! uvarint      7 bits a byte, lowest first, the high bit set on all but the last; at most 10 bytes
//! varint       an uvarint whose lowest bit is the sign (zigzag)
//! string       uvarint length, then so many bytes, which may be no UTF-8
//! crc32        be32, Castagnoli
//! ```

use crate::error::Error;

/// Length of a checksum.
pub(crate) const CRC_LEN: usize = 4;

/// Bytes being read, with their offset in the file for errors.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
    /// Offset in the file of the first byte of `rest`.
    offset: u64,
}

/// Why [`Input`] cannot be read further. It then stands at the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// So many bytes are missing.
    End { missing: u64 },
    /// An uvarint that does not fit its type.
    Overlong,
    /// A value that the format does not allow here.
    Bad { expected: &'static str, found: u64 },
}

/// Why a decoder that reads more than its input failed.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The input is at fault.
    Fault(Fault),
    /// Something else is.
    Error(Error),
}

impl<'a> Input<'a> {
    /// Bytes that start at `offset` of their file.
    pub(crate) fn new(bytes: &'a [u8], offset: u64) -> Self {
        Self {
            rest: bytes,
            offset,
        }
    }

    /// The offset in the file of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The number of bytes left.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether no byte is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `n` bytes.
    #[inline]
    pub(crate) fn take(&mut self, n: u64) -> Result<&'a [u8], Fault> {
        let missing = || Fault::End {
            missing: n - self.rest.len() as u64,
        };
        let (taken, rest) = usize::try_from(n)
            .ok()
            .and_then(|n| self.rest.split_at_checked(n))
            .ok_or_else(missing)?;
        self.rest = rest;
        self.offset += n;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Fault::End {
            missing: N.saturating_sub(self.rest.len()) as u64,
        })?;
        self.rest = rest;
        self.offset += N as u64;
        Ok(*taken)
    }

    /// A byte.
    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A be32.
    pub(crate) fn be32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_be_bytes)
    }

    /// A be64.
    pub(crate) fn be64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_be_bytes)
    }

    /// An uvarint of up to 64 bits.
    #[inline]
    pub(crate) fn uvarint(&mut self) -> Result<u64, Fault> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                self.offset += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_uvarint(),
        }
    }

    fn long_uvarint(&mut self) -> Result<u64, Fault> {
        let mut value = 0_u64;
        for (i, &byte) in self.rest.iter().enumerate() {
            let shift = 7 * i;
            if shift > 63 || (shift == 63 && byte > 1) {
                return Err(Fault::Overlong);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                self.take(i as u64 + 1)?;
                return Ok(value);
            }
        }
        Err(Fault::End { missing: 1 })
    }

    /// An uvarint of up to 32 bits.
    #[inline]
    pub(crate) fn uvarint32(&mut self) -> Result<u32, Fault> {
        let before = self.clone();
        u32::try_from(self.uvarint()?).map_err(|_| {
            *self = before;
            Fault::Overlong
        })
    }

    /// A varint.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<i64, Fault> {
        let zigzag = self.uvarint()?;
        Ok((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
    }

    /// A string.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Fault> {
        let before = self.clone();
        let len = self.uvarint()?;
        self.take(len).inspect_err(|_| *self = before)
    }

    /// The error for a fault at this position of `file`, in reading `what`.
    #[cold]
    pub(crate) fn error(&self, file: &str, what: &str, fault: Fault) -> Error {
        let (expected, found) = match fault {
            Fault::End { missing } => (
                what.to_owned(),
                format!("the end of the data, {missing} bytes short"),
            ),
            Fault::Overlong => (what.to_owned(), "an integer that is too long".to_owned()),
            Fault::Bad { expected, found } => (format!("{expected} in {what}"), found.to_string()),
        };
        Error::corrupt(file, self.offset, expected, found)
    }

    /// The error of a decoder that stopped at this position of `file`.
    #[cold]
    pub(crate) fn stopped(&self, file: &str, what: &str, stop: Stop) -> Error {
        match stop {
            Stop::Fault(fault) => self.error(file, what, fault),
            Stop::Error(error) => error,
        }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Checks the checksum of `bytes`, stored at `offset` of `file`.
pub(crate) fn check_crc(
    file: &str,
    offset: u64,
    what: &str,
    bytes: &[u8],
    stored: u32,
) -> Result<(), Error> {
    check_sum(file, offset, what, crc32c::crc32c(bytes), stored)
}

/// Compares a checksum with the one stored at `offset` of `file`.
pub(crate) fn check_sum(
    file: &str,
    offset: u64,
    what: &str,
    computed: u32,
    stored: u32,
) -> Result<(), Error> {
    if computed == stored {
        return Ok(());
    }
    Err(Error::corrupt(
        file,
        offset,
        format!("checksum {computed:#010x} of {what}"),
        format!("{stored:#010x}"),
    ))
}

/// Appends an uvarint.
pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Appends a string.
pub(crate) fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    put_uvarint(out, text.len() as u64);
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_uvarint_is_read_back(value: u64, zeros in 0..64_u32) {
            let value = value >> zeros;
            let mut out = Vec::new();
            put_uvarint(&mut out, value);
            let mut input = Input::new(&out, 7);
            prop_assert_eq!(input.uvarint(), Ok(value));
            prop_assert!(input.is_empty());
            prop_assert_eq!(input.offset(), 7 + out.len() as u64);
        }

        #[test]
        fn a_varint_is_read_back(value: i64, zeros in 0..64_u32) {
            let value = value >> zeros;
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(Input::new(&out, 0).varint(), Ok(value));
        }
    }

    #[test]
    fn an_integer_of_more_than_64_bits_is_a_fault() {
        let mut eleven = [0xff; 11];
        assert_eq!(Input::new(&eleven, 0).uvarint(), Err(Fault::Overlong));
        eleven[9] = 1;
        assert_eq!(Input::new(&eleven, 0).uvarint(), Ok(u64::MAX));
        let mut input = Input::new(&eleven, 0);
        assert_eq!(input.uvarint32(), Err(Fault::Overlong));
        assert_eq!(input.offset(), 0);
    }

    #[test]
    fn a_string_longer_than_the_data_is_a_fault_where_it_starts() {
        let mut input = Input::new(&[0xff, 0xff, 0xff, 0xff, 0x0f, b'a'], 100);
        assert_eq!(
            input.string(),
            Err(Fault::End {
                missing: 0xffff_ffff - 1
            })
        );
        assert_eq!(input.offset(), 100);
    }
}
