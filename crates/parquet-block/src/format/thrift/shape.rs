//! The types of the fields of Parquet's structs, which are checked before the `parquet` crate reads them.
//!
//! The crate reads a known field as the type that it should have, whatever type the file states, and skips a list of
//! booleans without taking a byte for each: a list that claims two billion of them in six bytes keeps it busy for
//! seconds. After this check it reads each value where it was checked, and skips no such list. Besides, an error here
//! has the offset, which one of the crate has not.
//!
//! The check takes half as long as the crate takes. So it is left out for a footer with the hash that `meta.json` states,
//! and for a page header with its checksum: they are as they were written, and whoever wrote them has read them.
//!
//! Source: `parquet.thrift` of <https://github.com/apache/parquet-format>.

use super::reader::{Kind, ThriftReader};
use crate::format::fault::Fault;

/// The type of a value.
#[derive(Debug)]
pub(crate) enum Shape {
    Bool,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List(&'static Self),
    /// The known fields, by their ids. Others are skipped.
    Struct(&'static [(i16, Self)]),
}

use Shape::{Binary, Bool, Double, I16, I32, I64, List, Struct};

/// `FileMetaData` without its schema, which the crate skips.
pub(crate) const FILE_METADATA: Shape = Struct(&[
    (1, I32),
    (3, I64),
    (4, List(&ROW_GROUP)),
    (5, KEY_VALUES),
    (6, Binary),
    (7, List(&COLUMN_ORDER)),
]);

/// `OffsetIndex`
pub(crate) const OFFSET_INDEX: Shape = Struct(&[(1, List(&PAGE_LOCATION)), (2, List(&I64))]);

/// `ColumnIndex`
pub(crate) const COLUMN_INDEX: Shape = Struct(&[
    (1, List(&Bool)),
    (2, List(&Binary)),
    (3, List(&Binary)),
    (4, I32),
    (5, List(&I64)),
    (6, List(&I64)),
    (7, List(&I64)),
    (8, List(&I64)),
]);

/// `PageHeader`
pub(crate) const PAGE_HEADER: Shape = Struct(&[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, I32),
    (5, DATA_PAGE_HEADER),
    (6, EMPTY),
    (7, Struct(&[(1, I32), (2, I32), (3, Bool)])),
    (8, DATA_PAGE_HEADER_V2),
]);

/// `BloomFilterHeader`
pub(crate) const BLOOM_FILTER_HEADER: Shape = Struct(&[
    (1, I32),
    (2, Struct(&[(1, EMPTY)])),
    (3, Struct(&[(1, EMPTY)])),
    (4, Struct(&[(1, EMPTY)])),
]);

const EMPTY: Shape = Struct(&[]);

const KEY_VALUES: Shape = List(&Struct(&[(1, Binary), (2, Binary)]));

/// A union.
const COLUMN_ORDER: Shape = Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]);

const ROW_GROUP: Shape = Struct(&[
    (1, List(&COLUMN_CHUNK)),
    (2, I64),
    (3, I64),
    (4, List(&Struct(&[(1, I32), (2, Bool), (3, Bool)]))),
    (5, I64),
    (6, I64),
    (7, I16),
]);

const COLUMN_CHUNK: Shape = Struct(&[
    (1, Binary),
    (2, I64),
    (3, COLUMN_METADATA),
    (4, I64),
    (5, I32),
    (6, I64),
    (7, I32),
    (9, Binary),
]);

const COLUMN_METADATA: Shape = Struct(&[
    (1, I32),
    (2, List(&I32)),
    (3, List(&Binary)),
    (4, I32),
    (5, I64),
    (6, I64),
    (7, I64),
    (8, KEY_VALUES),
    (9, I64),
    (10, I64),
    (11, I64),
    (12, STATISTICS),
    (13, List(&Struct(&[(1, I32), (2, I32), (3, I32)]))),
    (14, I64),
    (15, I32),
    (16, Struct(&[(1, I64), (2, List(&I64)), (3, List(&I64))])),
    (17, Struct(&[(1, BOUNDING_BOX), (2, List(&I32))])),
]);

const STATISTICS: Shape = Struct(&[
    (1, Binary),
    (2, Binary),
    (3, I64),
    (4, I64),
    (5, Binary),
    (6, Binary),
    (7, Bool),
    (8, Bool),
    (9, I64),
]);

const BOUNDING_BOX: Shape = Struct(&[
    (1, Double),
    (2, Double),
    (3, Double),
    (4, Double),
    (5, Double),
    (6, Double),
    (7, Double),
    (8, Double),
]);

const PAGE_LOCATION: Shape = Struct(&[(1, I64), (2, I32), (3, I64)]);

const DATA_PAGE_HEADER: Shape = Struct(&[(1, I32), (2, I32), (3, I32), (4, I32), (5, STATISTICS)]);

const DATA_PAGE_HEADER_V2: Shape = Struct(&[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, I32),
    (5, I32),
    (6, I32),
    (7, Bool),
    (8, STATISTICS),
]);

impl Shape {
    /// Checks the value with which `bytes` begin.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), Fault> {
        self.read(&mut ThriftReader::new(bytes), Kind::Struct)
    }

    /// Reads a value of `kind`.
    fn read(&self, thrift: &mut ThriftReader<'_>, kind: Kind) -> Result<(), Fault> {
        match (self, kind) {
            (Self::Struct(known), Kind::Struct) => thrift.fields(|thrift, id, kind| {
                match known.iter().find(|(known, _)| *known == id) {
                    Some((_, shape)) => shape.read(thrift, kind),
                    None => thrift.skip(kind),
                }
            }),
            (Self::List(shape), Kind::List) => {
                let (kind, len) = thrift.list()?;
                for _ in 0..len {
                    shape.element(thrift, kind)?;
                }
                Ok(())
            }
            (Self::Bool, Kind::True | Kind::False)
            | (Self::I16, Kind::I16)
            | (Self::I32, Kind::I32)
            | (Self::I64, Kind::I64)
            | (Self::Double, Kind::Double)
            | (Self::Binary, Kind::Binary) => thrift.skip(kind),
            _ => Err(self.unexpected(thrift, kind)),
        }
    }

    /// Reads an element of a list; a boolean takes a byte there.
    fn element(&self, thrift: &mut ThriftReader<'_>, kind: Kind) -> Result<(), Fault> {
        match (self, kind) {
            (Self::Bool, Kind::True | Kind::False) => thrift.skip(Kind::Byte),
            _ => self.read(thrift, kind),
        }
    }

    #[cold]
    fn unexpected(&self, thrift: &ThriftReader<'_>, found: Kind) -> Fault {
        let expected = match self {
            Self::Bool => "a boolean",
            Self::I16 => "an integer of 16 bits",
            Self::I32 => "an integer of 32 bits",
            Self::I64 => "an integer of 64 bits",
            Self::Double => "a double",
            Self::Binary => "a byte string",
            Self::List(_) => "a list",
            Self::Struct(_) => "a struct",
        };
        thrift.fault(format!("thrift: expected {expected}, found {found:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Field 40, which nobody knows, as a value of a kind; then the end.
    fn unknown(kind: Kind, value: &[u8]) -> Vec<u8> {
        [&[kind as u8, 80][..], value, &[0]].concat()
    }

    #[test]
    fn a_list_of_booleans_that_the_crate_would_skip_is_refused() {
        // So many that a varint of five bytes holds.
        let many = [0xf1, 0xff, 0xff, 0xff, 0xff, 0x07];
        // As many as there are bytes: the crate would go on at the first of them.
        let few = [0x21, 1, 1];
        let map_of_booleans = [0x02, 0x11, 1, 1, 1, 1];
        let map_to_booleans = [0x01, 0x51, 2, 1];
        for shape in [
            FILE_METADATA,
            OFFSET_INDEX,
            COLUMN_INDEX,
            PAGE_HEADER,
            BLOOM_FILTER_HEADER,
        ] {
            for (kind, value) in [
                (Kind::List, &many[..]),
                (Kind::List, &few),
                (Kind::Set, &few),
                (Kind::Map, &map_of_booleans),
                (Kind::Map, &map_to_booleans),
            ] {
                let fault = shape.check(&unknown(kind, value)).unwrap_err();
                assert!(
                    fault.reason.contains("expected") && fault.at > 1,
                    "{shape:?}, {value:?}: {fault}"
                );
            }
            for (kind, value) in [
                (Kind::List, &[0x01][..]),
                // Some writers give an empty list no type.
                (Kind::List, &[0x00]),
                (Kind::List, &[0x25, 2, 4]),
                (Kind::Map, &[0x00]),
                (Kind::Map, &[0x01, 0x55, 2, 4]),
                (Kind::True, &[]),
            ] {
                shape.check(&unknown(kind, value)).unwrap();
            }
        }
    }

    #[test]
    fn a_known_field_of_another_type_is_refused_with_its_place() {
        // 3: list<i32> [1], which should be an integer.
        let fault = FILE_METADATA.check(&[0x39, 0x15, 2, 0]).unwrap_err();
        let expected = Fault::new(1, "thrift: expected an integer of 64 bits, found List");
        assert_eq!(fault, expected);
        // 1: list<i64> [1], which should be of structs.
        let fault = OFFSET_INDEX.check(&[0x19, 0x16, 2, 0]).unwrap_err();
        let expected = Fault::new(2, "thrift: expected a struct, found I64");
        assert_eq!(fault, expected);
        // 3: i32 1, which should have 64 bits.
        let fault = FILE_METADATA.check(&[0x35, 2, 0]).unwrap_err();
        let expected = Fault::new(1, "thrift: expected an integer of 64 bits, found I32");
        assert_eq!(fault, expected);
        // 7: a union that the crate reads as an empty struct, and that is a boolean.
        let fault = FILE_METADATA.check(&[0x79, 0x1c, 0x21, 0, 0]).unwrap_err();
        let expected = Fault::new(3, "thrift: expected a struct, found True");
        assert_eq!(fault, expected);
        // 1: list<bool> [true, false]
        COLUMN_INDEX.check(&[0x19, 0x21, 1, 2, 0]).unwrap();
    }
}
