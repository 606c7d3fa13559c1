//! The tombstones: what has been deleted from a block, to be left out by readers.
//!
//! ```text
//! 0   be32   magic 0x0130BA30
//! 4   1      version 1
//! 5          entries: uvarint series, varint min time, varint max time, both included
//!     be32   crc32 of the entries
//! ```

use std::{collections::BTreeMap, path::Path};

use files::Durability;
use model::{TimeRange, Timestamp};

use crate::{
    codec::{CRC_LEN, Fault, Input, check_crc, put_uvarint, put_varint},
    error::{Error, Result},
    intervals::Intervals,
    refs::SeriesRef,
};

const FILE: &str = "tombstones";
const MAGIC: u32 = 0x0130_BA30;
const VERSION: u8 = 1;

/// The deleted times of each series that has some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tombstones(BTreeMap<SeriesRef, Intervals>);

impl Tombstones {
    /// What is deleted from a series, if anything is.
    #[must_use]
    pub fn get(&self, series: SeriesRef) -> Option<&Intervals> {
        self.0.get(&series)
    }

    /// Whether nothing is deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The series that have deletions, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (SeriesRef, &Intervals)> {
        self.0
            .iter()
            .map(|(series, intervals)| (*series, intervals))
    }

    /// Deletes a time range of a series, both ends included.
    pub fn add(&mut self, series: SeriesRef, range: TimeRange) {
        if range.min <= range.max {
            self.0.entry(series).or_default().add(range);
        }
    }

    /// Reads a tombstones file.
    ///
    /// # Errors
    /// When it is damaged or of an unknown version.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut input = Input::new(bytes, 0);
        let head = |input: &mut Input<'_>| Ok((input.be32()?, input.byte()?));
        let (magic, version) =
            head(&mut input).map_err(|fault| input.error(FILE, "magic and version", fault))?;
        if magic != MAGIC {
            let expected = format!("magic {MAGIC:#010x}");
            return Err(Error::corrupt(FILE, 0, expected, format!("{magic:#010x}")));
        }
        if version != VERSION {
            return Err(Error::Version {
                file: FILE.to_owned(),
                expected: "1",
                found: version,
            });
        }
        let start = input.offset();
        let Some((entries, crc)) = input.rest().split_last_chunk::<CRC_LEN>() else {
            let expected = "a checksum";
            return Err(Error::corrupt(FILE, start, expected, "the end of the data"));
        };
        let at = start + entries.len() as u64;
        check_crc(
            FILE,
            at,
            "the tombstones",
            entries,
            u32::from_be_bytes(*crc),
        )?;

        let mut input = Input::new(entries, start);
        // Not added one by one: in descending order, each would move all others.
        let mut deleted: BTreeMap<SeriesRef, Vec<TimeRange>> = BTreeMap::new();
        while !input.is_empty() {
            let (series, range) =
                entry(&mut input).map_err(|fault| input.error(FILE, "a tombstone", fault))?;
            if range.min <= range.max {
                deleted.entry(series).or_default().push(range);
            }
        }
        let series = deleted.into_iter();
        Ok(Self(
            series
                .map(|(series, ranges)| (series, ranges.into_iter().collect()))
                .collect(),
        ))
    }

    /// The bytes of a tombstones file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        for (series, intervals) in self.iter() {
            for range in intervals.ranges() {
                put_uvarint(&mut entries, u64::from(series.0));
                put_varint(&mut entries, range.min.0);
                put_varint(&mut entries, range.max.0);
            }
        }
        let mut out = Vec::with_capacity(entries.len() + 9);
        out.extend_from_slice(&MAGIC.to_be_bytes());
        out.push(VERSION);
        out.extend_from_slice(&entries);
        out.extend_from_slice(&crc32c::crc32c(&entries).to_be_bytes());
        out
    }

    /// Reads the file in a block's directory; without one, nothing is deleted.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        match files::read(&path).map_err(Error::io(&path))? {
            Some(bytes) => Self::decode(&bytes),
            None => Ok(Self::default()),
        }
    }

    /// Writes the file into a block's directory.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        files::replace(&path, &self.encode(), Durability::Durable).map_err(Error::io(&path))
    }
}

fn entry(input: &mut Input<'_>) -> Result<(SeriesRef, TimeRange), Fault> {
    let before = input.clone();
    let series = input.uvarint()?;
    let Ok(series) = u32::try_from(series) else {
        *input = before;
        return Err(Fault::Bad {
            expected: "a series of 32 bits",
            found: series,
        });
    };
    let range = TimeRange {
        min: Timestamp(input.varint()?),
        max: Timestamp(input.varint()?),
    };
    Ok((SeriesRef(series), range))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(entries: &[u8]) -> Vec<u8> {
        let head = MAGIC.to_be_bytes();
        let crc = crc32c::crc32c(entries).to_be_bytes();
        [&head, &[VERSION][..], entries, &crc].concat()
    }

    #[test]
    fn deletions_are_read_in_any_order_and_those_of_no_time_left_out() {
        // Series 2 from 6 to 7, series 1 from 3 to 1, series 2 from 1 to 2 and from 3 to 5.
        let entries = [2, 12, 14, 1, 6, 2, 2, 2, 4, 2, 6, 10];
        let mut expected = Tombstones::default();
        expected.add(SeriesRef(2), TimeRange::new(1, 7));
        assert_eq!(Tombstones::decode(&file(&entries)).unwrap(), expected);
    }

    #[test]
    fn a_megabyte_of_descending_deletions_is_no_more_work_than_an_ascending_one() {
        let mut entries = Vec::new();
        for time in (0..200_000).rev() {
            put_uvarint(&mut entries, 1);
            put_varint(&mut entries, time * 2);
            put_varint(&mut entries, time * 2);
        }
        let tombstones = Tombstones::decode(&file(&entries)).unwrap();
        let ranges = tombstones.get(SeriesRef(1)).unwrap().ranges();
        assert_eq!(ranges.len(), 200_000);
        assert!(ranges.is_sorted_by(|a, b| a.max < b.min));
    }
}
