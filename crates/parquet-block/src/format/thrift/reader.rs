//! Thrift's compact protocol, as far as it is read before the `parquet` crate decodes the whole: the schema, whose counts
//! and depth the crate does not check, the length of a header, which it does not give, and the types of fields (`shape`).
//!
//! ```text
//! struct   field* 0x00
//! field    delta of id (4 bits) | type (4 bits), or 0 (4 bits) | type, zig-zag varint id; then the value
//! list     size (4 bits, 15: a varint follows) | element type (4 bits), then the elements
//! binary   varint length, bytes
//! integer  zig-zag varint; a byte is one byte; a double is 8 bytes
//! bool     in a field: the type says it (1 true, 2 false); in a list: one byte
//! ```

use crate::format::fault::Fault;

/// The greatest depth of skipped values; Parquet's metadata have a depth of six.
const MAX_DEPTH: u8 = 32;

/// The type of a value on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    True = 1,
    False,
    Byte,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List,
    Set,
    Map,
    Struct,
    Uuid,
}

/// Reads values off the front of a slice.
#[derive(Clone, Debug)]
pub(crate) struct ThriftReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Kind {
    fn from_nibble(nibble: u8, at: usize) -> Result<Self, Fault> {
        Ok(match nibble {
            1 => Self::True,
            2 => Self::False,
            3 => Self::Byte,
            4 => Self::I16,
            5 => Self::I32,
            6 => Self::I64,
            7 => Self::Double,
            8 => Self::Binary,
            9 => Self::List,
            10 => Self::Set,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Uuid,
            other => {
                return Err(Fault::new(
                    at,
                    format!("thrift: expected a known type, found {other}"),
                ));
            }
        })
    }

    const fn is_bool(self) -> bool {
        matches!(self, Self::True | Self::False)
    }
}

impl<'a> ThriftReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The number of bytes read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(crate) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::new(self.at, reason)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let Some(&byte) = self.bytes.get(self.at) else {
            return Err(self.fault("thrift value ends early"));
        };
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        let slice = self
            .at
            .checked_add(n)
            .and_then(|end| self.bytes.get(self.at..end));
        match slice {
            Some(slice) => {
                self.at += n;
                Ok(slice)
            }
            None => Err(self.fault(format!("expected {n} bytes, found {}", self.remaining()))),
        }
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.fault("varint is longer than 10 bytes"))
    }

    fn i64(&mut self) -> Result<i64, Fault> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Fault> {
        let value = self.i64()?;
        i32::try_from(value)
            .map_err(|_| self.fault(format!("expected a 32-bit integer, found {value}")))
    }

    /// A 32-bit count or size that is not negative.
    pub(crate) fn size(&mut self) -> Result<usize, Fault> {
        let value = self.i32()?;
        usize::try_from(value).map_err(|_| self.fault(format!("expected 0 or more, found {value}")))
    }

    pub(crate) fn binary(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.varint()?;
        match usize::try_from(len) {
            Ok(len) => self.take(len),
            Err(_) => Err(self.fault(format!(
                "length: expected one that fits memory, found {len}"
            ))),
        }
    }

    /// Begins a list: the type and number of its elements, at most as many as bytes.
    pub(super) fn list(&mut self) -> Result<(Kind, usize), Fault> {
        let at = self.at;
        let head = self.byte()?;
        // Some writers give an empty list no type.
        if head == 0 {
            return Ok((Kind::Byte, 0));
        }
        let kind = Kind::from_nibble(head & 0x0f, at)?;
        let len = match head >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        match usize::try_from(len) {
            Ok(len) if len <= self.remaining() => Ok((kind, len)),
            _ => Err(Fault::new(
                at,
                format!(
                    "list: expected as many elements as fit {} bytes, found {len}",
                    self.remaining()
                ),
            )),
        }
    }

    /// Begins a list of structs; gives their number.
    pub(crate) fn structs(&mut self) -> Result<usize, Fault> {
        let at = self.at;
        match self.list()? {
            // An empty list may have any type.
            (Kind::Struct, len) | (_, len @ 0) => Ok(len),
            (found, _) => Err(Fault::new(
                at,
                format!("expected a list of structs, found one of {found:?}"),
            )),
        }
    }

    /// Reads a struct: `read` is called for each field and must read or skip the field's value.
    pub(crate) fn fields(
        &mut self,
        mut read: impl FnMut(&mut Self, i16, Kind) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut id = 0i16;
        while let Some((next, kind)) = self.field(id)? {
            id = next;
            read(self, id, kind)?;
        }
        Ok(())
    }

    /// The id and type of the next field of a struct, whose value follows; `None` at its end.
    pub(crate) fn field(&mut self, last: i16) -> Result<Option<(i16, Kind)>, Fault> {
        let at = self.at;
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let id = match head >> 4 {
            0 => i16::try_from(self.i64()?).ok(),
            delta => last.checked_add(i16::from(delta)),
        };
        let kind = Kind::from_nibble(head & 0x0f, at)?;
        id.map(|id| Some((id, kind)))
            .ok_or_else(|| Fault::new(at, "field id: expected one of 16 bits, found a larger one"))
    }

    /// Skips the value of a field, or an element of a list, of `kind`. Lists and maps with booleans are refused, since the
    /// `parquet` crate skips them wrongly (`shape`).
    pub(crate) fn skip(&mut self, kind: Kind) -> Result<(), Fault> {
        self.skip_nested(kind, MAX_DEPTH)
    }

    fn skip_nested(&mut self, kind: Kind, depth: u8) -> Result<(), Fault> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.fault(format!(
                "thrift: expected at most {MAX_DEPTH} nested values, found more"
            )));
        };
        match kind {
            Kind::True | Kind::False => Ok(()),
            Kind::Byte => self.byte().map(drop),
            Kind::I16 | Kind::I32 | Kind::I64 => self.varint().map(drop),
            Kind::Double => self.take(8).map(drop),
            Kind::Uuid => self.take(16).map(drop),
            Kind::Binary => self.binary().map(drop),
            Kind::List | Kind::Set => {
                let at = self.at;
                let (element, len) = self.list()?;
                if len > 0 && element.is_bool() {
                    return Err(Fault::new(
                        at,
                        format!(
                            "thrift: expected no list of booleans in an unknown field, found one of {len}"
                        ),
                    ));
                }
                for _ in 0..len {
                    self.skip_nested(element, depth)?;
                }
                Ok(())
            }
            Kind::Map => self.skip_map(depth),
            Kind::Struct => self.fields(|t, _, kind| t.skip_nested(kind, depth)),
        }
    }

    fn skip_map(&mut self, depth: u8) -> Result<(), Fault> {
        let len = self.varint()?;
        if len == 0 {
            return Ok(());
        }
        if len > self.remaining() as u64 {
            return Err(self.fault(format!(
                "map: expected as many entries as fit {} bytes, found {len}",
                self.remaining()
            )));
        }
        let at = self.at;
        let kinds = self.byte()?;
        let (key, value) = (
            Kind::from_nibble(kinds >> 4, at)?,
            Kind::from_nibble(kinds & 0x0f, at)?,
        );
        if key.is_bool() || value.is_bool() {
            return Err(Fault::new(
                at,
                format!(
                    "thrift: expected no map with booleans in an unknown field, found one of {len} entries"
                ),
            ));
        }
        for _ in 0..len {
            self.skip_nested(key, depth)?;
            self.skip_nested(value, depth)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_id_and_unknown_ones_skipped() {
        // 1: i32 -3; 3: list<i32> [1, 2]; 20 (long form): binary "ab"; end.
        let bytes = [
            0x15, 0x05, 0x29, 0x25, 0x02, 0x04, 0x08, 0x28, 0x02, b'a', b'b', 0x00, 0xff,
        ];
        let mut thrift = ThriftReader::new(&bytes);
        let (mut first, mut last) = (0, Vec::new());
        thrift
            .fields(|t, id, kind| {
                match id {
                    1 => first = t.i32()?,
                    20 => last = t.binary()?.to_vec(),
                    _ => t.skip(kind)?,
                }
                Ok(())
            })
            .unwrap();
        assert_eq!((first, last.as_slice()), (-3, b"ab".as_slice()));
        assert_eq!(thrift.position(), 12);
    }

    #[test]
    fn a_list_longer_than_its_bytes_is_refused_before_it_is_read() {
        let fault = ThriftReader::new(&[0xf5, 0xff, 0xff, 0x7f, 0x00])
            .list()
            .unwrap_err();
        assert!(
            fault.reason.contains("list: expected") && fault.reason.ends_with("found 2097151"),
            "{fault}"
        );
    }

    #[test]
    fn values_that_nest_without_end_are_refused() {
        let bytes = [0x1c; 64];
        let fault = ThriftReader::new(&bytes).skip(Kind::Struct).unwrap_err();
        assert!(fault.reason.contains("at most 32 nested values"), "{fault}");
    }

    #[test]
    fn a_cut_value_is_told_with_its_place() {
        let fault = ThriftReader::new(&[0x05, b'a']).binary().unwrap_err();
        assert_eq!(fault, Fault::new(1, "expected 5 bytes, found 1"));
    }
}
