//! What other readers of the layout rely on, as the `parquet` crate sees it.

use std::path::Path;

use bytes::Bytes;
use model::{Labels, METRIC_NAME, ParquetShard, Timestamp};
use parquet::{
    basic::{BoundaryOrder, Compression, Encoding, LogicalType, PageType, Repetition, Type},
    column::page::Page,
    file::{
        metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader},
        reader::{FileReader, SerializedFileReader},
    },
};
use parquet_block::{Contents, LocalShard, Slices, WriteOptions, envelope};

use super::{Files, Series, generic_column, generic_rows, labels};

const HOUR: i64 = 3_600_000;
const START: i64 = 1_700_006_400_000;

fn golden(file: &str) -> std::path::PathBuf {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/golden/parquet-common"
    ))
    .join(file)
}

/// A golden block's rows in the order that we write, in its own slices.
fn golden_series(block: &str) -> (Vec<Series>, Slices) {
    let dir = golden(&format!("{block}/block"));
    let local = LocalShard::open(&dir, 0, Contents::Chunks, &ParquetShard::default()).unwrap();
    let slices = *local.shard().slices();
    let mut series: Vec<Series> = local
        .read_all()
        .unwrap()
        .into_iter()
        .map(|(labels, chunks)| {
            let mut values = vec![Vec::new(); slices.count()];
            for chunk in chunks {
                let slice = slices.index_of(chunk.min).unwrap();
                envelope::encode(&[chunk], &mut values[slice]);
            }
            (labels, values)
        })
        .collect();
    series.sort_by(|(a, _), (b, _)| {
        let name = |labels: &Labels| labels.get(METRIC_NAME).unwrap_or_default().to_owned();
        name(a).cmp(&name(b)).then_with(|| a.cmp(b))
    });
    (series, slices)
}

fn rewritten(block: &str, group_rows: usize) -> Files {
    let (series, slices) = golden_series(block);
    Files::write(&series, slices, &WriteOptions::default(), group_rows).unwrap()
}

pub(crate) fn metadata(file: &[u8]) -> ParquetMetaData {
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&Bytes::copy_from_slice(file))
        .unwrap()
}

pub(crate) fn columns(
    metadata: &ParquetMetaData,
) -> impl Iterator<Item = (usize, usize, &ColumnChunkMetaData)> {
    metadata
        .row_groups()
        .iter()
        .enumerate()
        .flat_map(|(g, group)| {
            let columns = group.columns().iter().enumerate();
            columns.map(move |(c, column)| (g, c, column))
        })
}

#[test]
fn each_cell_of_the_labels_is_that_of_parquet_common() {
    for block in ["floats", "all-kinds"] {
        let theirs = std::fs::read(golden(&format!("{block}/block/0.labels.parquet"))).unwrap();
        // Rows of one name may have another order there.
        let mut theirs = generic_rows(&theirs);
        let mut ours = generic_rows(&rewritten(block, 1000).labels);
        assert!(!ours.is_empty());
        for rows in [&mut theirs, &mut ours] {
            rows.sort();
        }
        assert_eq!(ours, theirs);
    }
}

#[test]
fn hash_and_columns_of_a_series_are_those_that_are_known() {
    let known = labels([
        ("__name__", "metric_000"),
        ("idx", "00000"),
        ("job", "j"),
        ("only3", "v0"),
    ]);
    let slices = Slices::new(Timestamp(0), Timestamp(HOUR), HOUR);
    let files = Files::write(
        &[(known, vec![vec![]])],
        slices,
        &WriteOptions::default(),
        9,
    )
    .unwrap();
    let column = |name| generic_column(&files.labels, name);
    assert_eq!(
        column("s_series_hash"),
        [0x5cce_b0af_32cb_1c0a_u64.to_be_bytes()]
    );
    assert_eq!(column("s_col_indexes"), [[0x08, 0x00, 0x02, 0x04, 0x06]]);
}

#[test]
fn columns_are_of_the_kinds_and_encodings_that_readers_rely_on() {
    for (file, of_labels) in [
        (rewritten("floats", 70).labels, true),
        (rewritten("floats", 70).chunks, false),
    ] {
        let metadata = metadata(&file);
        let schema = metadata.file_metadata().schema_descr();
        let names: Vec<&str> = schema
            .columns()
            .iter()
            .map(|column| column.name())
            .collect();
        assert!(names.is_sorted() && !names.is_empty(), "{names:?}");
        for column in schema.columns() {
            let info = column.self_type().get_basic_info();
            let label = column.name().starts_with("l_");
            assert_eq!(column.physical_type(), Type::BYTE_ARRAY);
            let expected = if label {
                Repetition::OPTIONAL
            } else {
                Repetition::REQUIRED
            };
            assert_eq!(info.repetition(), expected, "{}", column.name());
            assert_eq!(
                info.logical_type_ref(),
                label.then_some(&LogicalType::String)
            );
        }
        if of_labels {
            assert_eq!(names[names.len() - 2..], ["s_col_indexes", "s_series_hash"]);
        }
        assert_eq!(metadata.num_row_groups(), 3);
        for (_, _, column) in columns(&metadata) {
            let name = column.column_descr().name();
            let expected = match name {
                "s_col_indexes" => Encoding::DELTA_BYTE_ARRAY,
                _ if name.starts_with("l_") => Encoding::RLE_DICTIONARY,
                _ => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            };
            assert!(matches!(column.compression(), Compression::ZSTD(_)));
            assert!(
                column.encodings().any(|encoding| encoding == expected),
                "{name}"
            );
            assert_eq!(
                column.dictionary_page_offset().is_some(),
                name.starts_with("l_")
            );
        }
    }
}

#[test]
fn every_data_page_is_of_version_2_and_every_label_page_of_the_dictionary() {
    for file in [
        rewritten("floats", 70).labels,
        rewritten("all-kinds", 70).chunks,
    ] {
        let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group).unwrap();
            for column in 0..group.num_columns() {
                let label = group
                    .metadata()
                    .column(column)
                    .column_descr()
                    .name()
                    .starts_with("l_");
                let mut pages = group.get_column_page_reader(column).unwrap();
                let first = pages.get_next_page().unwrap().unwrap();
                assert_eq!(first.page_type() == PageType::DICTIONARY_PAGE, label);
                let mut rows = if label { 0 } else { first.num_values() };
                while let Some(page) = pages.get_next_page().unwrap() {
                    assert!(matches!(page, Page::DataPageV2 { .. }));
                    assert_eq!(page.encoding() == Encoding::RLE_DICTIONARY, label);
                    rows += page.num_values();
                }
                assert_eq!(i64::from(rows), group.metadata().num_rows());
            }
        }
    }
}

#[test]
fn both_files_have_the_same_row_groups_and_the_key_values_of_the_block() {
    let files = rewritten("floats", 70);
    let (labels, chunks) = (metadata(&files.labels), metadata(&files.chunks));
    let rows = |metadata: &ParquetMetaData| -> Vec<i64> {
        metadata
            .row_groups()
            .iter()
            .map(|group| group.num_rows())
            .collect()
    };
    assert_eq!(rows(&labels), rows(&chunks));
    let (_, slices) = golden_series("floats");
    for metadata in [&labels, &chunks] {
        let pairs = metadata.file_metadata().key_value_metadata().unwrap();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|pair| (pair.key.as_str(), pair.value.clone().unwrap()))
            .collect();
        let expected = [
            ("data_col_duration_ms", slices.duration().to_string()),
            ("maxT", slices.max().to_string()),
            ("minT", slices.min().to_string()),
            ("varve_checksums", "crc32-table".to_owned()),
        ];
        assert_eq!(pairs, expected);
        assert_eq!(
            metadata.file_metadata().num_rows(),
            rows(metadata).iter().sum::<i64>()
        );
    }
    let data = chunks.file_metadata().schema_descr().num_columns();
    let counted = (slices.max().0 - slices.min().0) / slices.duration() + 1;
    assert_eq!(i64::try_from(data).unwrap(), counted);
}

#[test]
fn only_labels_that_all_have_a_name_are_declared_sorted() {
    let slices = Slices::new(Timestamp(START), Timestamp(START + HOUR), HOUR);
    let series: Vec<Series> = [
        labels([("Zone", "1")]),
        labels([("__name__", "a"), ("Zone", "1")]),
        labels([("__name__", "a"), ("Zone", "2")]),
        labels([("__name__", "b")]),
    ]
    .map(|labels| (labels, vec![vec![]]))
    .to_vec();
    let files = Files::write(&series, slices, &WriteOptions::default(), 2).unwrap();
    let labels = metadata(&files.labels);
    assert_eq!(labels.row_group(0).sorting_columns(), None);
    let sorted = labels.row_group(1).sorting_columns().unwrap();
    assert_eq!(sorted.len(), 1);
    // The column of the name, which is not always the first.
    assert_eq!(
        (
            sorted[0].column_idx,
            sorted[0].descending,
            sorted[0].nulls_first
        ),
        (1, false, false)
    );
    let chunks = metadata(&files.chunks);
    assert!(
        chunks
            .row_groups()
            .iter()
            .all(|group| group.sorting_columns().is_none())
    );
    let first = rewritten("floats", 70).labels;
    let first = metadata(&first);
    let groups = first.row_groups().iter();
    assert!(
        groups
            .clone()
            .all(|group| group.sorting_columns().unwrap()[0].column_idx == 0)
    );
    assert_eq!(groups.len(), 3);
}

#[test]
fn every_column_has_both_indexes_and_bounds_are_short() {
    let long = format!("a{}", "\u{10ffff}".repeat(9));
    let slices = Slices::new(Timestamp(START), Timestamp(START + HOUR), HOUR);
    let series: Vec<Series> = (0..20_000)
        .map(|i| {
            let id = format!("{long}{i:05}");
            let labels = labels([("__name__", if i < 9000 { "m" } else { "n" }), ("id", &id)]);
            (labels, vec![vec![7; 100]])
        })
        .collect();
    let files = Files::write(&series, slices, &WriteOptions::default(), 20_000).unwrap();
    for (file, most) in [(&files.labels, 64 << 10), (&files.chunks, 256 << 10)] {
        let metadata = metadata(file);
        for (group, number, column) in columns(&metadata) {
            let indexes = metadata.page_index_for_row_group(group);
            let index = indexes.column_index(number).unwrap();
            let pages = indexes.page_locations(number).unwrap();
            assert_eq!(usize::try_from(index.num_pages()).unwrap(), pages.len());
            assert!(pages.len() > 1);
            let size = usize::try_from(column.uncompressed_size()).unwrap();
            if column.dictionary_page_offset().is_none() {
                // Headers and lengths are not counted when pages are cut.
                assert!(size.div_ceil(pages.len()) <= most + most / 16, "{size}");
                continue;
            }
            assert_eq!(index.get_boundary_order(), Some(BoundaryOrder::ASCENDING));
            let statistics = column.statistics().unwrap();
            let bounds = [
                statistics.min_bytes_opt().unwrap(),
                statistics.max_bytes_opt().unwrap(),
            ];
            assert!(
                bounds
                    .iter()
                    .all(|bound| !bound.is_empty() && bound.len() <= 16),
                "{bounds:?}"
            );
            assert_eq!(statistics.null_count_opt(), Some(0));
        }
    }
}

#[test]
fn an_empty_slice_has_a_column_of_empty_values() {
    let slices = Slices::new(Timestamp(START), Timestamp(START + 24 * HOUR), 8 * HOUR);
    let series: Vec<Series> = (0..10)
        .map(|i| {
            let labels = labels([("__name__", &format!("m{i}"))]);
            (labels, vec![vec![1, 2, 3], vec![], vec![]])
        })
        .collect();
    let files = Files::write(&series, slices, &WriteOptions::default(), 10).unwrap();
    assert_eq!(
        generic_column(&files.chunks, "s_data_0"),
        vec![vec![1, 2, 3]; 10]
    );
    assert_eq!(
        generic_column(&files.chunks, "s_data_2"),
        vec![Vec::<u8>::new(); 10]
    );
}
