//! The values of `s_col_indexes`: which columns of the labels file a series has values in.
//!
//! ```text
//! zig-zag varint n | n × zig-zag varint column, ascending
//! ```
//! Columns are counted from 0 in the order of the labels file.

use crate::format::{fault::Fault, varint};

/// Appends the list of `columns`, ascending ones.
pub(crate) fn encode(columns: &[usize], out: &mut Vec<u8>) {
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    varint::put_signed(out, number(columns.len()));
    for column in columns {
        varint::put_signed(out, number(*column));
    }
}

/// The columns that a list names.
pub(crate) fn decode(list: &[u8]) -> Result<Vec<usize>, Fault> {
    let mut rest = list;
    let mut next = || {
        let at = list.len() - rest.len();
        let number = varint::take_signed(&mut rest)
            .ok_or_else(|| Fault::new(at, "list of columns is cut short"))?;
        usize::try_from(number).map_err(|_| Fault::new(at, format!("list of columns has {number}")))
    };
    let count = next()?;
    if count >= list.len() {
        let len = list.len();
        return Err(Fault::new(
            0,
            format!("list of {count} columns in {len} bytes"),
        ));
    }
    let columns = (0..count).map(|_| next()).collect::<Result<_, Fault>>()?;
    if rest.is_empty() {
        Ok(columns)
    } else {
        let left = rest.len();
        let reason = format!("{left} bytes after a list of {count} columns");
        Err(Fault::new(list.len() - left, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_those_that_parquet_common_writes() {
        for (columns, expected) in [
            (&[0, 1, 2, 3][..], &[0x08, 0x00, 0x02, 0x04, 0x06][..]),
            (&[0, 1, 2], &[0x06, 0x00, 0x02, 0x04]),
            (&[], &[0x00]),
            (&[64], &[0x02, 0x80, 0x01]),
        ] {
            let mut out = Vec::new();
            encode(columns, &mut out);
            assert_eq!(out, expected);
            assert_eq!(decode(&out).unwrap(), columns);
        }
    }

    #[test]
    fn lists_that_are_cut_or_too_long_or_negative_are_refused() {
        for (list, expected) in [
            (&[][..], "at 0: list of columns is cut short"),
            (&[0x04, 0x00, 0x80], "at 2: list of columns is cut short"),
            (
                &[0x02, 0x00, 0x00],
                "at 2: 1 bytes after a list of 1 columns",
            ),
            (&[0x80, 0x01, 0x00], "at 0: list of 64 columns in 3 bytes"),
            (&[0x02, 0x01], "at 1: list of columns has -1"),
        ] {
            assert_eq!(decode(list).unwrap_err().to_string(), expected);
        }
    }
}
