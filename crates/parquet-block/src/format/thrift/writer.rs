//! Writes Thrift's compact protocol, as far as Parquet's metadata use it; `reader` draws it.

use super::reader::Kind;
use crate::format::varint;

/// A struct in progress: its fields come in order of their ids. Its last byte is not written yet.
#[derive(Debug, Default)]
pub(crate) struct ThriftWriter {
    out: Vec<u8>,
    /// The id of the last field.
    last: u8,
}

impl ThriftWriter {
    /// The bytes of a struct with the fields that `write` adds.
    pub(crate) fn of(write: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut thrift = Self::default();
        write(&mut thrift);
        thrift.out.push(0);
        thrift.out
    }

    fn field(&mut self, id: u8, kind: Kind) {
        debug_assert!(
            self.last < id && id - self.last < 16,
            "{id} after {}",
            self.last
        );
        self.out.push((id - self.last) << 4 | kind as u8);
        self.last = id;
    }

    pub(crate) fn bool(&mut self, id: u8, value: bool) {
        self.field(id, if value { Kind::True } else { Kind::False });
    }

    pub(crate) fn i16(&mut self, id: u8, value: i16) {
        self.field(id, Kind::I16);
        varint::put_signed(&mut self.out, value.into());
    }

    pub(crate) fn i32(&mut self, id: u8, value: i32) {
        self.field(id, Kind::I32);
        varint::put_signed(&mut self.out, value.into());
    }

    /// A size or count that is a 32-bit integer in the format, and fits.
    pub(crate) fn size(&mut self, id: u8, value: usize) {
        self.i32(id, i32::try_from(value).unwrap_or(i32::MAX));
    }

    /// A size, count or offset that is a 64-bit integer in the format.
    pub(crate) fn long(&mut self, id: u8, value: u64) {
        self.field(id, Kind::I64);
        varint::put_signed(&mut self.out, i64::try_from(value).unwrap_or(i64::MAX));
    }

    pub(crate) fn binary(&mut self, id: u8, value: &[u8]) {
        self.field(id, Kind::Binary);
        self.binary_element(value);
    }

    fn binary_element(&mut self, value: &[u8]) {
        varint::put(&mut self.out, value.len() as u64);
        self.out.extend_from_slice(value);
    }

    pub(crate) fn structure(&mut self, id: u8, write: impl FnOnce(&mut Self)) {
        self.field(id, Kind::Struct);
        self.structure_element(write);
    }

    fn structure_element(&mut self, write: impl FnOnce(&mut Self)) {
        let last = std::mem::take(&mut self.last);
        write(self);
        self.out.push(0);
        self.last = last;
    }

    /// A field that is an encoded struct.
    pub(crate) fn written_structure(&mut self, id: u8, bytes: &[u8]) {
        self.field(id, Kind::Struct);
        self.out.extend_from_slice(bytes);
    }

    fn list(&mut self, id: u8, kind: Kind, len: usize) {
        let kind = kind as u8;
        self.field(id, Kind::List);
        match u8::try_from(len) {
            Ok(short) if short < 15 => self.out.push(short << 4 | kind),
            _ => {
                self.out.push(0xf0 | kind);
                varint::put(&mut self.out, len as u64);
            }
        }
    }

    pub(crate) fn structures<T>(
        &mut self,
        id: u8,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.list(id, Kind::Struct, items.len());
        for item in items {
            self.structure_element(|thrift| write(thrift, item));
        }
    }

    pub(crate) fn binaries<'a>(&mut self, id: u8, items: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.list(id, Kind::Binary, items.len());
        for item in items {
            self.binary_element(item);
        }
    }

    pub(crate) fn i32s(&mut self, id: u8, items: &[i32]) {
        self.list(id, Kind::I32, items.len());
        for item in items {
            varint::put_signed(&mut self.out, (*item).into());
        }
    }

    pub(crate) fn longs(&mut self, id: u8, items: impl ExactSizeIterator<Item = u64>) {
        self.list(id, Kind::I64, items.len());
        for item in items {
            varint::put_signed(&mut self.out, i64::try_from(item).unwrap_or(i64::MAX));
        }
    }

    pub(crate) fn bools(&mut self, id: u8, items: impl ExactSizeIterator<Item = bool>) {
        // The type of a list's booleans is 2 by the specification. For false it once was 0 and now is 2: all readers
        // accept 0, and parquet-go before 0.30 takes 2 for true.
        self.list(id, Kind::False, items.len());
        self.out.extend(items.map(u8::from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_deltas_of_ids_and_lists_tell_their_length() {
        let bytes = ThriftWriter::of(|t| {
            t.i32(1, -1);
            t.bool(3, true);
            t.structure(4, |t| t.binary(2, b"ab"));
            t.i32s(5, &[1, 2]);
            t.bools(6, [true, false].into_iter());
            t.long(7, 64);
            t.i16(8, 3);
            t.binaries(9, [&b"x"[..]; 15].into_iter());
        });
        let mut expected = vec![
            0x15, 0x01, 0x21, 0x1c, 0x28, 0x02, b'a', b'b', 0x00, 0x19, 0x25, 0x02, 0x04, 0x19,
            0x22, 0x01, 0x00, 0x16, 0x80, 0x01, 0x14, 0x06, 0x19, 0xf8, 0x0f,
        ];
        expected.extend([0x01, b'x'].repeat(15));
        expected.push(0x00);
        assert_eq!(bytes, expected);
    }
}
