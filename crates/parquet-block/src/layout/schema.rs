//! The names of files, columns and key-values, and the time slices of samples.

use std::borrow::Cow;

use model::{Aggregate, Resolution, TimeRange, Timestamp};

/// The column of the list of labels that a row has.
pub(crate) const COL_INDEXES_COLUMN: &str = "s_col_indexes";
/// The column of the hash of all labels.
pub(crate) const SERIES_HASH_COLUMN: &str = "s_series_hash";
/// The first millisecond of the block.
pub(crate) const MIN_TIME_KEY: &str = "minT";
/// The last millisecond of the block.
pub(crate) const MAX_TIME_KEY: &str = "maxT";
/// The length of a slice in milliseconds.
pub(crate) const DURATION_KEY: &str = "data_col_duration_ms";
/// The length of the longest chunk of an aggregates file in milliseconds.
pub(crate) const MAX_CHUNK_KEY: &str = "varve_max_chunk_ms";
/// Whether a file has checksums of page headers and bloom filters, and of which kind.
pub(crate) const CHECKSUMS_KEY: &str = "varve_checksums";
/// CRC-32, in a table between the offset indexes and the metadata.
pub(crate) const CHECKSUMS: &str = "crc32-table";
/// A label's column in a row group that has at most so many bytes is read at once, if that may save a round trip. For
/// more bytes a bloom filter is read first, so larger dictionaries have one.
pub(crate) const EAGER_BYTES: u64 = 256 << 10;

const LABEL_PREFIX: &str = "l_";
/// The prefix instead of [`LABEL_PREFIX`] before a name in hexadecimal digits.
const HEX_PREFIX: &str = "x_";
const HOUR: i64 = 3_600_000;
/// About the most slices of a block: each is a column, and takes memory for each row even if it is empty. The times
/// that a block states may be wrong by any factor.
const MOST_SLICES: i64 = 128;

/// The labels file of a shard.
#[must_use]
pub fn labels_file(shard: u32) -> String {
    format!("{shard}.labels.parquet")
}

/// The chunks file of a shard.
#[must_use]
pub fn chunks_file(shard: u32) -> String {
    format!("{shard}.chunks.parquet")
}

/// The aggregates file of a shard, which downsampled blocks have instead of a chunks file.
#[must_use]
pub fn aggregates_file(shard: u32) -> String {
    format!("{shard}.aggregates.parquet")
}

/// The label of this column.
pub(crate) fn label_name(column: &[u8]) -> Option<&[u8]> {
    column.strip_prefix(LABEL_PREFIX.as_bytes())
}

/// The column of a label.
pub(crate) fn label_column(name: &[u8]) -> Vec<u8> {
    [LABEL_PREFIX.as_bytes(), name].concat()
}

/// The name of a column in a file: names in Parquet are UTF-8, those of labels need not be.
pub(crate) fn stored_name(column: &[u8]) -> Cow<'_, str> {
    match (str::from_utf8(column), label_name(column)) {
        (Ok(name), _) => Cow::Borrowed(name),
        (Err(_), label) => {
            let bytes = label.unwrap_or(column).iter();
            Cow::Owned(bytes.fold(HEX_PREFIX.to_owned(), |name, byte| {
                format!("{name}{byte:02x}")
            }))
        }
    }
}

/// The column with this name in a file; the name of a foreign column is unchanged.
pub(crate) fn column_of(stored: &[u8]) -> Cow<'_, [u8]> {
    let named = || {
        let hex = str::from_utf8(stored.strip_prefix(HEX_PREFIX.as_bytes())?).ok()?;
        let bytes = (0..hex.len()).step_by(2);
        let bytes = bytes.map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok());
        let column = label_column(&bytes.collect::<Option<Vec<u8>>>()?);
        (stored_name(&column).as_bytes() == stored).then_some(column)
    };
    named().map_or(Cow::Borrowed(stored), Cow::Owned)
}

/// The column of the `k`th slice.
pub(crate) fn data_column(k: usize) -> String {
    format!("s_data_{k}")
}

/// The column of an aggregate in the `k`th slice.
pub(crate) fn aggregate_column(aggregate: Aggregate, k: usize) -> String {
    format!("s_{}_{k}", aggregate.name())
}

/// The time of a block, cut into slices of equal length: one column of chunks each. The last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    min: Timestamp,
    /// The last millisecond.
    max: Timestamp,
    duration: i64,
}

impl Slices {
    /// How long the slices of a block should be: a query for a few hours reads one column of many, and one
    /// for days few columns.
    #[must_use]
    pub const fn default_duration(range: TimeRange) -> i64 {
        if range.max.0.saturating_sub(range.min.0) < 48 * HOUR {
            8 * HOUR
        } else {
            24 * HOUR
        }
    }

    /// How long the slices of a block of this resolution should be.
    ///
    /// A downsampled chunk has up to 140 windows, 12 hours at five minutes and six days at an hour, and is never
    /// cut: a reader has to look for it that long before the time it wants. So slices that are not much longer
    /// spare few bytes (a query for 6 hours reads 30 hours of slices of 12, 42 of slices of 24, and 48 of slices
    /// of 48), while each costs five columns; and coarse samples are asked for by queries over many days, which
    /// read all slices of a two-day block anyway.
    ///
    /// Blocks that are longer than 128 of these have longer slices, about as many.
    #[must_use]
    pub const fn duration_at(resolution: Resolution, range: TimeRange) -> i64 {
        let usual = match resolution {
            Resolution::Raw => Self::default_duration(range),
            Resolution::FiveMinutes => 48 * HOUR,
            Resolution::OneHour => 14 * 24 * HOUR,
        };
        let least = range.max.0.saturating_sub(range.min.0) / MOST_SLICES;
        // As many slices of the usual length as are needed.
        if least < usual {
            usual
        } else {
            (least / usual + 1).saturating_mul(usual)
        }
    }

    /// Slices of `duration` milliseconds from `min` until before `end`; at least one, of at least one millisecond.
    #[must_use]
    pub fn new(min: Timestamp, end: Timestamp, duration: i64) -> Self {
        Self {
            min,
            max: Timestamp(end.0.saturating_sub(1)).max(min),
            duration: duration.max(1),
        }
    }

    /// The number of slices.
    #[must_use]
    pub fn count(&self) -> usize {
        self.place(self.max).saturating_add(1)
    }

    /// The first millisecond of the first.
    #[must_use]
    pub const fn min(&self) -> Timestamp {
        self.min
    }

    /// The last millisecond of the last.
    #[must_use]
    pub const fn max(&self) -> Timestamp {
        self.max
    }

    /// Their length in milliseconds.
    #[must_use]
    pub const fn duration(&self) -> i64 {
        self.duration
    }

    /// The times of the `k`th, of as many as there are.
    #[must_use]
    pub fn range(&self, k: usize) -> TimeRange {
        let since = i128::try_from(k)
            .unwrap_or(i128::MAX)
            .saturating_mul(self.duration.into());
        let min = since.saturating_add(self.min.0.into());
        let min = i64::try_from(min).unwrap_or(i64::MAX);
        let max = min.saturating_add(self.duration - 1).min(self.max.0);
        TimeRange::new(min, max)
    }

    /// The slice of a time, if it is in one.
    #[must_use]
    pub fn index_of(&self, t: Timestamp) -> Option<usize> {
        (self.min <= t && t <= self.max).then(|| self.place(t))
    }

    /// The slice of a chunk that begins at `t`: the first or the last, if `t` is in none.
    #[must_use]
    pub fn nearest(&self, t: Timestamp) -> usize {
        self.place(t.max(self.min).min(self.max))
    }

    /// The slice of a time that is not before the first.
    fn place(&self, t: Timestamp) -> usize {
        let since = t.0.abs_diff(self.min.0);
        usize::try_from(since / self.duration.unsigned_abs().max(1)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_are_as_many_slices_as_a_reader_counts() {
        // A reader of parquet-common counts (maxT - minT) / duration + 1, and maxT is the end less one.
        let day = 24 * HOUR;
        for (end, duration, expected) in [
            (2 * HOUR, 8 * HOUR, 1),
            (day, 8 * HOUR, 3),
            (day + 1, 8 * HOUR, 4),
            (14 * day, day, 14),
            (0, day, 1),
        ] {
            let start = 1_700_006_400_000;
            let slices = Slices::new(Timestamp(start), Timestamp(start + end), duration);
            assert_eq!(slices.count(), expected);
            let read = (slices.max().0 - slices.min().0) / slices.duration() + 1;
            assert_eq!(usize::try_from(read).unwrap(), expected);
        }
    }

    #[test]
    fn blocks_of_more_than_two_days_have_slices_of_a_day() {
        let of_hours = |hours: i64| Slices::default_duration(TimeRange::new(0, hours * HOUR - 1));
        assert_eq!([of_hours(2), of_hours(48)], [8 * HOUR; 2]);
        assert_eq!([of_hours(49), of_hours(336)], [24 * HOUR; 2]);
        assert_eq!(Slices::default_duration(TimeRange::ALL), 24 * HOUR);
    }

    #[test]
    fn downsampled_blocks_have_fewer_slices() {
        let slices = |resolution, days: i64| {
            let range = TimeRange::new(0, days * 24 * HOUR - 1);
            let duration = Slices::duration_at(resolution, range);
            Slices::new(range.min, Timestamp(days * 24 * HOUR), duration).count()
        };
        assert_eq!([2, 14].map(|days| slices(Resolution::Raw, days)), [6, 14]);
        let [two, fourteen] = [2, 14].map(|days| slices(Resolution::FiveMinutes, days));
        assert_eq!([two, fourteen], [1, 7]);
        assert_eq!(
            [2, 14].map(|days| slices(Resolution::OneHour, days)),
            [1, 1]
        );
    }

    #[test]
    fn a_block_has_few_slices_however_long_it_says_that_it_is() {
        let count = |resolution, min: i64, max: i64| {
            let range = TimeRange::new(min, max);
            let duration = Slices::duration_at(resolution, range);
            let end = Timestamp(max.saturating_add(1));
            Slices::new(range.min, end, duration).count()
        };
        for resolution in [
            Resolution::Raw,
            Resolution::FiveMinutes,
            Resolution::OneHour,
        ] {
            for (min, max) in [
                (1_700_697_600_000, 1_700_712_000_000_000),
                (0, i64::MAX),
                (i64::MIN, i64::MAX),
                (i64::MIN, 0),
                (5, 5),
            ] {
                let count = count(resolution, min, max);
                assert!((1..=260).contains(&count), "{count} of {min} to {max}");
            }
        }
        let day = 24 * HOUR;
        assert_eq!(count(Resolution::Raw, 0, 128 * day - 1), 128);
        assert_eq!(count(Resolution::Raw, 0, 129 * day - 1), 65);
    }

    proptest! {
        #[test]
        fn each_time_lies_in_the_slice_that_says_so_and_in_no_other(
            min in any::<i64>(), len in 1..1_000i64, duration in 1..300i64, t in -50..1_050i64,
        ) {
            let end = Timestamp(min.saturating_add(len));
            let slices = Slices::new(Timestamp(min), end, duration);
            let t = Timestamp(min.saturating_add(t));
            let holding: Vec<usize> =
                (0..slices.count()).filter(|k| slices.range(*k).contains(t)).collect();
            prop_assert_eq!(slices.index_of(t).into_iter().collect::<Vec<_>>(), &*holding);
            let end = if t < slices.min() { 0 } else { slices.count() - 1 };
            prop_assert_eq!(slices.nearest(t), holding.first().copied().unwrap_or(end));
        }
    }

    #[test]
    fn all_of_time_can_be_cut() {
        let slices = Slices::new(Timestamp::MIN, Timestamp::MAX, i64::MAX);
        assert_eq!(slices.count(), 3);
        assert_eq!(slices.index_of(Timestamp(0)), Some(1));
        assert_eq!(slices.range(2).max, Timestamp(i64::MAX - 1));
    }

    #[test]
    fn only_labels_have_columns_of_labels() {
        assert_eq!(label_name(b"l___name__"), Some(&b"__name__"[..]));
        assert_eq!(label_name(COL_INDEXES_COLUMN.as_bytes()), None);
        assert_eq!(label_name(&label_column(b"a.b\xff")), Some(&b"a.b\xff"[..]));
        assert_eq!(data_column(10), "s_data_10");
        assert_eq!(aggregate_column(Aggregate::Counter, 3), "s_counter_3");
        assert_eq!(
            [labels_file(0), chunks_file(12), aggregates_file(0)],
            [
                "0.labels.parquet",
                "12.chunks.parquet",
                "0.aggregates.parquet"
            ]
        );
    }

    #[test]
    fn a_column_is_stored_by_a_name_in_utf_8_and_found_by_it() {
        for (label, stored) in [
            (&b"pod"[..], "l_pod"),
            ("é".as_bytes(), "l_é"),
            (b"\x80a\xff", "x_8061ff"),
        ] {
            let column = label_column(label);
            assert_eq!(stored_name(&column), stored);
            assert_eq!(column_of(stored.as_bytes()), column);
        }
        // Names that other writers may have chosen.
        for name in ["x_", "x_61", "x_80f", "x_8061FF", "x_+1ff", "s_data_0"] {
            assert_eq!(column_of(name.as_bytes()), name.as_bytes());
        }
        assert_eq!(column_of(b"l_\xff"), &b"l_\xff"[..]);
    }
}
