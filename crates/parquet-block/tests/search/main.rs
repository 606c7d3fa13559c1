//! Random series in files of every encoding that Parquet has for strings, random matchers, and the answers
//! a full scan of the series gives.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]

mod both_formats;
mod condition;

use std::{collections::BTreeSet, fs::File, path::Path, sync::Arc};

use bytes::Bytes;
use model::{Labels, MatchOp, Matcher, TimeRange};
use parquet::{
    basic::{Compression, Encoding, LogicalType, Repetition, Type as PhysicalType, ZstdLevel},
    data_type::{ByteArray, ByteArrayType},
    file::{
        metadata::KeyValue,
        properties::{WriterProperties, WriterVersion},
        writer::SerializedFileWriter,
    },
    schema::types::Type,
};
use parquet_block::{Error, LocalShard, Lookup, Projection, RowRanges, Selection, ShardFile, Step};
use proptest::prelude::*;
use tsdb::Chunk;

use crate::condition::any_question;

/// How files are written.
#[derive(Clone, Debug)]
struct Layout {
    version: WriterVersion,
    compression: Compression,
    encoding: Values,
    page_rows: usize,
    group_rows: usize,
    bound_bytes: usize,
    /// Whether the column `l_id` has a bloom filter.
    bloom: bool,
}

#[derive(Clone, Copy, Debug)]
enum Values {
    Dictionary,
    /// A dictionary that is given up after so many bytes.
    Fallback(usize),
    Plain(Encoding),
}

impl Layout {
    fn properties(&self, key_values: Vec<KeyValue>) -> WriterProperties {
        let builder = WriterProperties::builder()
            .set_writer_version(self.version)
            .set_compression(self.compression)
            .set_data_page_row_count_limit(self.page_rows)
            .set_write_batch_size(1)
            .set_column_index_truncate_length(Some(self.bound_bytes))
            .set_statistics_truncate_length(Some(self.bound_bytes))
            .set_key_value_metadata(Some(key_values));
        let builder = if self.bloom {
            // The number of values is that of `large_shard`.
            builder
                .set_column_bloom_filter_max_ndv("l_id".into(), 20_000)
                .set_column_bloom_filter_fpp("l_id".into(), 0.0001)
        } else {
            builder
        };
        match self.encoding {
            Values::Dictionary => builder.set_dictionary_page_size_limit(usize::MAX),
            Values::Fallback(bytes) => builder.set_dictionary_page_size_limit(bytes),
            Values::Plain(encoding) => builder.set_dictionary_enabled(false).set_encoding(encoding),
        }
        .build()
    }
}

fn column(name: &str, repetition: Repetition) -> Arc<Type> {
    let logical = (repetition == Repetition::OPTIONAL).then_some(LogicalType::String);
    Type::primitive_type_builder(name, PhysicalType::BYTE_ARRAY)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .build()
        .unwrap()
        .into()
}

/// Writes columns of rows; a column's cells are null where there is none.
fn write(path: &Path, layout: &Layout, columns: &[(String, Vec<Option<Vec<u8>>>)], rows: usize) {
    let repetition = |name: &str| {
        if name.starts_with("l_") {
            Repetition::OPTIONAL
        } else {
            Repetition::REQUIRED
        }
    };
    let schema = Type::group_type_builder("block")
        .with_fields(
            columns
                .iter()
                .map(|(name, _)| column(name, repetition(name)))
                .collect(),
        )
        .build()
        .unwrap();
    let pair = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
    let key_values = vec![
        pair("data_col_duration_ms", "1000"),
        pair("maxT", "1999"),
        pair("minT", "0"),
    ];
    let properties = Arc::new(layout.properties(key_values));
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), properties).unwrap();
    for start in (0..rows).step_by(layout.group_rows) {
        let end = rows.min(start + layout.group_rows);
        let mut group = writer.next_row_group().unwrap();
        for (name, cells) in columns {
            let cells = &cells[start..end];
            let values: Vec<_> = cells
                .iter()
                .flatten()
                .map(|value| ByteArray::from(value.clone()))
                .collect();
            let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
            let levels = (repetition(name) == Repetition::OPTIONAL).then_some(levels.as_slice());
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, levels, None)
                .unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// Writes a shard whose rows are `series`; each has one chunk in each of two slices, of a second each.
fn write_shard(dir: &Path, layout: &Layout, series: &[Labels]) -> LocalShard {
    let names: BTreeSet<&str> = series
        .iter()
        .flat_map(|l| l.iter().map(|(n, _)| n))
        .collect();
    let mut columns: Vec<(String, Vec<Option<Vec<u8>>>)> = names
        .iter()
        .map(|name| {
            let cells = series
                .iter()
                .map(|l| l.get(name).map(|v| v.as_bytes().to_vec()));
            (format!("l_{name}"), cells.collect())
        })
        .collect();
    let lists = series.iter().map(|labels| {
        let places: Vec<usize> = labels
            .iter()
            .map(|(name, _)| names.iter().position(|n| *n == name).unwrap())
            .collect();
        // Zig-zag varints of numbers below 64.
        let list = std::iter::once(places.len()).chain(places);
        Some(list.map(|n| u8::try_from(n * 2).unwrap()).collect())
    });
    columns.push(("s_col_indexes".into(), lists.collect()));
    let (labels, chunks) = (dir.join("0.labels.parquet"), dir.join("0.chunks.parquet"));
    write(&labels, layout, &columns, series.len());
    let data = (0..2).map(|slice| {
        let cells = (0..series.len()).map(|row| Some(chunk_value(row, slice)));
        (format!("s_data_{slice}"), cells.collect())
    });
    let data: Vec<_> = data.collect();
    write(&chunks, layout, &data, series.len());
    LocalShard::open(&labels, &chunks).unwrap()
}

/// The record of one chunk: XOR, first and last time, length, data.
fn chunk_value(row: usize, slice: u8) -> Vec<u8> {
    let data = format!("{row}/{slice}");
    let first = u16::from(slice) * 1000 + 100;
    let mut value = vec![1];
    for time in [first, first + 800] {
        value.push(u8::try_from(time & 0x7f).unwrap() | 0x80);
        value.push(u8::try_from(time >> 7).unwrap());
    }
    value.push(u8::try_from(data.len()).unwrap());
    value.extend(data.into_bytes());
    value
}

fn names_of_chunks(chunks: &[Chunk]) -> Vec<String> {
    let names = chunks.iter().map(|c| String::from_utf8(c.data.to_vec()));
    names.map(Result::unwrap).collect()
}

fn any_layout() -> impl Strategy<Value = Layout> {
    (
        prop_oneof![
            Just(WriterVersion::PARQUET_1_0),
            Just(WriterVersion::PARQUET_2_0)
        ],
        prop_oneof![
            Just(Compression::UNCOMPRESSED),
            Just(Compression::ZSTD(ZstdLevel::default()))
        ],
        prop_oneof![
            3 => Just(Values::Dictionary),
            2 => (1..60usize).prop_map(Values::Fallback),
            1 => Just(Values::Plain(Encoding::PLAIN)),
            1 => Just(Values::Plain(Encoding::DELTA_LENGTH_BYTE_ARRAY)),
            1 => Just(Values::Plain(Encoding::DELTA_BYTE_ARRAY)),
        ],
        prop_oneof![1..8usize, Just(1000)],
        prop_oneof![5..40usize, Just(1000)],
        1..24usize,
    )
        .prop_map(
            |(version, compression, encoding, page_rows, group_rows, bound_bytes)| Layout {
                version,
                compression,
                encoding,
                page_rows,
                group_rows,
                bound_bytes,
                bloom: false,
            },
        )
}

const NAMES: [&str; 6] = ["Z", "__name__", "a", "b", "pod.name", "é"];

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}",
        "a very long common prefix [ab]{1,2}",
        Just("\u{10ffff}\u{10ffff}".to_owned()),
        Just(String::new()),
    ]
}

fn any_series() -> impl Strategy<Value = Vec<Labels>> {
    let labels = prop::collection::vec((prop::sample::select(&NAMES[..]), any_value()), 0..6)
        .prop_map(Labels::from_pairs);
    prop::collection::vec(labels, 1..80).prop_map(|mut series| {
        series.sort_by(|a, b| {
            a.get("__name__")
                .cmp(&b.get("__name__"))
                .then_with(|| a.cmp(b))
        });
        series
    })
}

fn rows_of(selection: &Selection, group_rows: usize) -> Vec<usize> {
    selection
        .iter()
        .flat_map(|(group, rows)| {
            rows.rows()
                .map(move |row| group * group_rows + row as usize)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn searches_find_what_a_full_scan_finds(
        layout in any_layout(),
        series in any_series(),
        queries in prop::collection::vec(prop::collection::vec(any_question(), 1..4), 1..8),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let local = write_shard(dir.path(), &layout, &series);
        let shard = local.shard();

        let scanned: Vec<_> = local.scan().map(Result::unwrap).collect();
        prop_assert_eq!(scanned.len(), series.len());
        for (row, ((labels, chunks), expected)) in scanned.iter().zip(&series).enumerate() {
            prop_assert_eq!(labels, expected);
            prop_assert_eq!(names_of_chunks(chunks), [format!("{row}/0"), format!("{row}/1")]);
        }

        for asked in queries {
            let matchers: Vec<Matcher> = asked.iter().map(|q| q.matcher.clone()).collect();
            let found = local.answer(shard.search(&matchers)).unwrap();
            let matches = |labels: &Labels| asked.iter().all(|question| question.matches(labels));
            let expected: Vec<usize> = (0..series.len()).filter(|row| matches(&series[*row])).collect();
            prop_assert_eq!(rows_of(&found, layout.group_rows), expected.clone(), "{:?}", matchers);

            let (mut labels, mut chunks) = (Vec::new(), Vec::new());
            for (group, rows) in &found {
                let read = shard.labels(*group, rows.clone(), Projection::All);
                labels.extend(local.answer(read).unwrap());
                let read = shard.chunks(*group, rows.clone(), TimeRange::new(1000, 1099));
                prop_assert!(local.answer(read).unwrap().iter().all(Vec::is_empty));
                let read = shard.chunks(*group, rows.clone(), TimeRange::new(1000, 1100));
                chunks.extend(local.answer(read).unwrap().iter().map(|c| names_of_chunks(c)));
            }
            prop_assert!(labels.iter().eq(expected.iter().map(|row| &series[*row])));
            let second: Vec<_> = expected.iter().map(|row| vec![format!("{row}/1")]).collect();
            prop_assert_eq!(chunks, second);

            let names: BTreeSet<&str> =
                labels.iter().flat_map(|l| l.iter().map(|(name, _)| name)).collect();
            let read = shard.label_names_of(found.clone());
            prop_assert!(local.answer(read).unwrap().iter().eq(names.iter()));
            for name in NAMES {
                let values: BTreeSet<&str> = labels.iter().filter_map(|l| l.get(name)).collect();
                let read = shard.label_values(name, Some(found.clone()));
                prop_assert!(local.answer(read).unwrap().iter().eq(values.iter()));
            }
        }
        for name in NAMES {
            let values: BTreeSet<&str> = series.iter().filter_map(|l| l.get(name)).collect();
            let read = shard.label_values(name, None);
            prop_assert!(local.answer(read).unwrap().iter().eq(values.iter()));
        }
    }
}

/// Asks for everything there is, and gives up at the first error.
fn ask_everything(labels: &Path, chunks: &Path) -> Result<usize, Error> {
    let local = LocalShard::open(labels, chunks)?;
    let shard = local.shard();
    let mut answers = 0;
    for name in NAMES {
        answers += local.answer(shard.label_values(name, None))?.len();
        for (op, value) in [
            (MatchOp::NotEqual, ""),
            (MatchOp::Regex, "a.*|"),
            (MatchOp::Equal, "b"),
        ] {
            let matcher = Matcher::new(op, name, value).unwrap();
            let found = local.answer(shard.search(&[matcher]))?;
            answers += found.len() + local.answer(shard.label_names_of(found))?.len();
        }
    }
    for row in local.scan() {
        answers += row?.1.len();
    }
    Ok(answers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// These files carry no checksums, so damage reaches every decoder.
    #[test]
    fn damage_anywhere_is_an_error_or_a_wrong_answer_but_no_panic(
        layout in any_layout(),
        series in any_series(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        write_shard(dir.path(), &layout, &series);
        let [labels, chunks] = ["labels", "chunks"].map(|kind| dir.path().join(format!("0.{kind}.parquet")));
        let damaged = dir.path().join("damaged.parquet");
        for (place, change) in damage {
            for of_labels in [true, false] {
                let mut bytes = std::fs::read(if of_labels { &labels } else { &chunks }).unwrap();
                let place = place.index(bytes.len());
                bytes[place] ^= change;
                std::fs::write(&damaged, bytes).unwrap();
                let asked = if of_labels {
                    ask_everything(&damaged, &chunks)
                } else {
                    ask_everything(&labels, &damaged)
                };
                if let Err(error) = asked {
                    prop_assert!(error.to_string().contains(".parquet"), "{}", error);
                }
            }
        }
        prop_assert!(ask_everything(&labels, &chunks).is_ok());
    }
}

#[test]
fn a_projection_and_a_few_rows_read_only_what_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout {
        version: WriterVersion::PARQUET_2_0,
        compression: Compression::UNCOMPRESSED,
        encoding: Values::Dictionary,
        page_rows: 10,
        group_rows: 1000,
        bound_bytes: 16,
        bloom: false,
    };
    let series: Vec<_> = (0..100)
        .map(|i| Labels::from_pairs([("__name__", "m".to_owned()), ("a", format!("{i:03}"))]))
        .collect();
    let local = write_shard(dir.path(), &layout, &series);
    let rows: RowRanges = [7..9, 42..43].into_iter().collect();
    let only = Projection::Only(vec!["a".into()]);
    let labels = local.answer(local.shard().labels(0, rows, only)).unwrap();
    let values: Vec<_> = labels
        .iter()
        .map(|l| (l.len(), l.get("a").unwrap()))
        .collect();
    assert_eq!(values, [(1, "007"), (1, "008"), (1, "042")]);
}

/// Answers a lookup from the labels file, and tells how many bytes each step fetched.
fn fetched<L: Lookup>(dir: &Path, mut lookup: L) -> (L::Answer, Vec<usize>) {
    let file = Bytes::from(std::fs::read(dir.join("0.labels.parquet")).unwrap());
    let mut steps = Vec::new();
    loop {
        match lookup.next().unwrap() {
            Step::Done(answer) => return (answer, steps),
            Step::Fetch { file: of, ranges } => {
                assert_eq!(of, ShardFile::Labels);
                let bytes: Vec<Bytes> = ranges
                    .into_iter()
                    .map(|range| {
                        let at = |place| usize::try_from(place).unwrap();
                        file.slice(at(range.start)..at(range.end))
                    })
                    .collect();
                steps.push(bytes.iter().map(Bytes::len).sum());
                lookup.supply(bytes).unwrap();
            }
        }
    }
}

enum Bloom {
    None,
    Filter,
}

/// 20 metrics of 1,000 series each; `id` differs in all of them, `odd` is on every other one of one metric.
fn large_shard(dir: &Path, bloom: Bloom) -> (LocalShard, Vec<Labels>) {
    let layout = Layout {
        version: WriterVersion::PARQUET_2_0,
        compression: Compression::UNCOMPRESSED,
        encoding: Values::Dictionary,
        page_rows: 500,
        group_rows: 20_000,
        bound_bytes: 16,
        bloom: matches!(bloom, Bloom::Filter),
    };
    let series: Vec<_> = (0..20_000)
        .map(|i| {
            let odd = if i / 1000 == 7 && i % 2 == 1 {
                "yes"
            } else {
                ""
            };
            Labels::from_pairs([
                ("__name__", format!("metric_{:02}", i / 1000)),
                ("id", format!("{:020}", (i * 7919) % 20_011)),
                ("odd", odd.to_owned()),
            ])
        })
        .collect();
    (write_shard(dir, &layout, &series), series)
}

#[test]
fn a_large_dictionary_is_read_before_the_pages_it_may_spare() {
    let dir = tempfile::tempdir().unwrap();
    let (local, series) = large_shard(dir.path(), Bloom::None);
    let shard = local.shard();
    let equal = |name: &str, value: &str| Matcher::new(MatchOp::Equal, name, value).unwrap();

    let (found, steps) = fetched(
        dir.path(),
        shard.search(&[equal("id", "00000000000000005000+")]),
    );
    assert!(found.is_empty());
    assert!(
        matches!(steps[..], [dictionary] if dictionary >= 20_000 * 24),
        "{steps:?}"
    );

    let id = series[12_345].get("id").unwrap();
    let (found, steps) = fetched(dir.path(), shard.search(&[equal("id", id)]));
    assert_eq!(rows_of(&found, 20_000), [12_345]);
    assert_eq!(steps.len(), 2, "{steps:?}");

    // The name is decided by bounds, and leaves two pages of ids.
    let matchers = [equal("id", id), equal("__name__", "metric_12")];
    let (found, steps) = fetched(dir.path(), shard.search(&matchers));
    assert_eq!(rows_of(&found, 20_000), [12_345]);
    assert!(steps.len() == 2 && steps[1] < 5_000, "{steps:?}");

    let other = [equal("id", id), equal("__name__", "metric_11")];
    assert!(fetched(dir.path(), shard.search(&other)).0.is_empty());
    let none = [equal("id", id), equal("__name__", "metric_20")];
    assert_eq!(fetched(dir.path(), shard.search(&none)), (vec![], vec![]));
}

#[test]
fn a_bloom_filter_spares_the_dictionary_of_values_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (local, series) = large_shard(dir.path(), Bloom::Filter);
    let search = |value: &str| {
        let equal = Matcher::new(MatchOp::Equal, "id", value).unwrap();
        fetched(dir.path(), local.shard().search(&[equal]))
    };
    let (found, steps) = search("00000000000000005000+");
    assert!(found.is_empty());
    assert!(matches!(steps[..], [bloom] if bloom < 150_000), "{steps:?}");
    for row in (0..20_000).step_by(1_111) {
        let (found, steps) = search(series[row].get("id").unwrap());
        assert_eq!(rows_of(&found, 20_000), [row]);
        assert_eq!(steps.len(), 3, "{steps:?}");
    }
}

#[test]
fn columns_that_are_large_are_read_only_if_the_rows_have_them() {
    let dir = tempfile::tempdir().unwrap();
    let (local, series) = large_shard(dir.path(), Bloom::None);
    let read = |rows: RowRanges, projection: Projection| {
        fetched(dir.path(), local.shard().labels(0, rows, projection))
    };
    for rows in [
        RowRanges::from(3..5),
        [7_000..7_003, 19_999..20_000].into_iter().collect(),
        RowRanges::from(6_998..7_002),
    ] {
        let (labels, steps) = read(rows.clone(), Projection::All);
        assert!(
            labels
                .iter()
                .eq(rows.rows().map(|row| &series[row as usize]))
        );
        assert_eq!(steps.len(), 2, "{steps:?}");
    }
    let only = |name: &str| Projection::Only(vec![name.to_owned()]);
    let (labels, steps) = read(RowRanges::all(7_002), only("odd"));
    assert_eq!(labels.iter().filter(|l| !l.is_empty()).count(), 1);
    // Small, so it is read without asking, and pages of nulls are not.
    assert!(matches!(steps[..], [read] if read < 1_000), "{steps:?}");
    let (labels, steps) = read(RowRanges::all(7_000), only("odd"));
    assert!(steps.is_empty() && labels.len() == 7_000, "{steps:?}");
}
