//! What the structs of a file are made of, which is checked before the `parquet` crate reads them.
//!
//! The crate reads a known field as the type that it should have, whatever type the file states, and skips a list of
//! booleans without taking a byte for each: a list that claims two billion of them in six bytes keeps it busy for
//! seconds. What passes here has only fields of their types, and no such lists. Besides, a fault is told with its
//! offset, which the crate does not tell.
//!
//! Source: `parquet.thrift` of <https://github.com/apache/parquet-format>.

use super::reader::{Kind, ThriftReader};
use crate::format::fault::Fault;

/// What a value is made of.
#[derive(Debug)]
pub(crate) enum Shape {
    Bool,
    /// Of 16, 32 or 64 bits: all are stored alike.
    Int,
    Double,
    Binary,
    List(&'static Self),
    /// The fields that are known, by their ids. Others are skipped.
    Struct(&'static [(i16, Self)]),
}

use Shape::{Binary, Bool, Double, Int, List, Struct};

/// `FileMetaData`. Its schema is read before, and the crate skips it.
pub(crate) const FILE_METADATA: Shape = Struct(&[
    (1, Int),
    (3, Int),
    (4, List(&ROW_GROUP)),
    (5, KEY_VALUES),
    (6, Binary),
    (7, List(&COLUMN_ORDER)),
]);

/// `OffsetIndex`
pub(crate) const OFFSET_INDEX: Shape = Struct(&[(1, List(&PAGE_LOCATION)), (2, INTS)]);

/// `ColumnIndex`
pub(crate) const COLUMN_INDEX: Shape = Struct(&[
    (1, List(&Bool)),
    (2, List(&Binary)),
    (3, List(&Binary)),
    (4, Int),
    (5, INTS),
    (6, INTS),
    (7, INTS),
    (8, INTS),
]);

/// `PageHeader`
pub(crate) const PAGE_HEADER: Shape = Struct(&[
    (1, Int),
    (2, Int),
    (3, Int),
    (4, Int),
    (
        5,
        Struct(&[(1, Int), (2, Int), (3, Int), (4, Int), (5, STATISTICS)]),
    ),
    (6, Struct(&[])),
    (7, Struct(&[(1, Int), (2, Int), (3, Bool)])),
    (8, DATA_PAGE_HEADER_V2),
]);

const INTS: Shape = List(&Int);

const KEY_VALUES: Shape = List(&Struct(&[(1, Binary), (2, Binary)]));

/// A union.
const COLUMN_ORDER: Shape = Struct(&[(1, Struct(&[]))]);

const ROW_GROUP: Shape = Struct(&[
    (1, List(&COLUMN_CHUNK)),
    (2, Int),
    (3, Int),
    (4, List(&Struct(&[(1, Int), (2, Bool), (3, Bool)]))),
    (5, Int),
    (6, Int),
    (7, Int),
]);

const COLUMN_CHUNK: Shape = Struct(&[
    (1, Binary),
    (2, Int),
    (3, COLUMN_METADATA),
    (4, Int),
    (5, Int),
    (6, Int),
    (7, Int),
    (9, Binary),
]);

const COLUMN_METADATA: Shape = Struct(&[
    (1, Int),
    (2, INTS),
    (3, List(&Binary)),
    (4, Int),
    (5, Int),
    (6, Int),
    (7, Int),
    (8, KEY_VALUES),
    (9, Int),
    (10, Int),
    (11, Int),
    (12, STATISTICS),
    (13, List(&Struct(&[(1, Int), (2, Int), (3, Int)]))),
    (14, Int),
    (15, Int),
    (16, Struct(&[(1, Int), (2, INTS), (3, INTS)])),
    (17, Struct(&[(1, BOUNDING_BOX), (2, INTS)])),
]);

const STATISTICS: Shape = Struct(&[
    (1, Binary),
    (2, Binary),
    (3, Int),
    (4, Int),
    (5, Binary),
    (6, Binary),
    (7, Bool),
    (8, Bool),
    (9, Int),
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

const PAGE_LOCATION: Shape = Struct(&[(1, Int), (2, Int), (3, Int)]);

const DATA_PAGE_HEADER_V2: Shape = Struct(&[
    (1, Int),
    (2, Int),
    (3, Int),
    (4, Int),
    (5, Int),
    (6, Int),
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
            | (Self::Int, Kind::I16 | Kind::I32 | Kind::I64)
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
            Self::Int => "an integer",
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
        for shape in [FILE_METADATA, OFFSET_INDEX, COLUMN_INDEX, PAGE_HEADER] {
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
        let expected = Fault::new(1, "thrift: expected an integer, found List");
        assert_eq!(fault, expected);
        // 1: list<i64> [1], which should be of structs.
        let fault = OFFSET_INDEX.check(&[0x19, 0x16, 2, 0]).unwrap_err();
        let expected = Fault::new(2, "thrift: expected a struct, found I64");
        assert_eq!(fault, expected);
        // 1: list<bool> [true, false]
        COLUMN_INDEX.check(&[0x19, 0x21, 1, 2, 0]).unwrap();
    }
}
