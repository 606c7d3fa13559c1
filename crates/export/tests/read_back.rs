//! What is exported is read back by the readers of `arrow` and `parquet`, and is what went in.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]

use std::{collections::BTreeMap, fs::File, path::Path, sync::Arc};

use arrow_array::{
    Array as _, RecordBatch,
    cast::AsArray as _,
    types::{Float64Type, Int8Type, Int32Type, TimestampMillisecondType},
};
use arrow_ipc::reader::StreamReader;
use export::{Exporter, Files, Finished, Format, Layout};
use model::{
    CounterReset, Counts, Histogram, HistogramCounts, Labels, Resolution, STALE_NAN, Span,
    TimeRange, Timestamp,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use series::{Coding, Encoded, Samples, SeriesChunk};
use tsdb::{encode_histograms, encode_xor};

/// Labels and the chunks of a series.
type Series = (Labels, Vec<SeriesChunk>);

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

fn xor(samples: &[(i64, f64)]) -> Encoded {
    let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
    Encoded {
        coding: Coding::Xor,
        data: encode_xor(&times, &values),
    }
}

fn chunk(samples: &[(i64, f64)]) -> SeriesChunk {
    SeriesChunk {
        min: Timestamp(samples[0].0),
        max: Timestamp(samples[samples.len() - 1].0),
        samples: Samples::Raw(xor(samples)),
    }
}

/// Exports series; each file takes about so many bytes.
fn export(
    folder: &Path,
    format: Format,
    resolution: Resolution,
    range: TimeRange,
    most: u64,
    all: &[Series],
) -> Vec<Finished> {
    let names = all
        .iter()
        .flat_map(|(labels, _)| labels.iter().map(|(name, _)| name.to_vec()));
    let layout = Arc::new(Layout::new(names, resolution, format));
    let files = Files::new(folder.to_path_buf(), Arc::clone(&layout), most);
    let mut exporter = Exporter::new(&layout, range, files);
    for (labels, chunks) in all {
        exporter.series(labels, chunks).unwrap();
    }
    let mut finished = exporter.take_finished();
    finished.extend(exporter.finish().unwrap());
    finished
}

/// Exports all samples as scraped, to one file.
fn export_all(folder: &Path, format: Format, all: &[Series]) -> Vec<Finished> {
    let (range, most) = (TimeRange::ALL, u64::MAX);
    export(folder, format, Resolution::Raw, range, most, all)
}

fn batches(file: &Finished) -> Vec<RecordBatch> {
    let from = File::open(&file.path).unwrap();
    let batches: Vec<RecordBatch> = if file.path.extension().is_some_and(|e| e == "parquet") {
        let reader = ParquetRecordBatchReaderBuilder::try_new(from).unwrap();
        reader.build().unwrap().map(Result::unwrap).collect()
    } else {
        let reader = StreamReader::try_new(from, None).unwrap();
        reader.map(Result::unwrap).collect()
    };
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows as u64, file.rows);
    batches
}

/// The columns that are labels.
fn labels_of(batch: &RecordBatch, row: usize) -> String {
    let mut pairs = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let Some(column) = column.as_dictionary_opt::<Int32Type>() else {
            continue;
        };
        if let Some(key) = column.key(row) {
            let value = column.values().as_string::<i32>().value(key);
            pairs.push((field.name().clone(), value.to_owned()));
        }
    }
    Labels::from_pairs(pairs).to_string()
}

/// Series, time and the bits of the value of each row.
fn floats(files: &[Finished]) -> Vec<(String, i64, u64)> {
    let mut rows = Vec::new();
    for batch in files.iter().flat_map(batches) {
        let times = batch["timestamp"].as_primitive::<TimestampMillisecondType>();
        let values = batch["value"].as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let series = labels_of(&batch, row);
            rows.push((series, times.value(row), values.value(row).to_bits()));
        }
    }
    rows
}

fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![
        8 => (0..50_u32).prop_map(f64::from),
        1 => any::<f64>(),
        1 => Just(f64::from_bits(STALE_NAN)),
    ];
    let step = prop_oneof![4 => Just(15_000_i64), 1 => 1..90_000_i64];
    (0..400_000_i64, prop::collection::vec((step, value), 1..60)).prop_map(|(start, steps)| {
        let next = |time: &mut i64, (step, value)| {
            *time += step;
            Some((*time, value))
        };
        steps.into_iter().scan(start, next).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_sample_of_the_range_is_one_row_in_every_format(
        all in prop::collection::btree_map(("[ab]", prop::option::of("[xyz]")), prop::collection::vec(samples(), 1..5), 1..6),
        start in 0..500_000_i64,
        length in 0..900_000_i64,
    ) {
        let range = TimeRange::new(start, start + length);
        let mut series: Vec<Series> = Vec::new();
        for ((name, job), parts) in &all {
            let job = job.as_ref().map(|job| ("job".to_owned(), job.clone()));
            let own = Labels::from_pairs(job.into_iter().chain([("__name__".to_owned(), name.clone())]));
            let mut chunks: Vec<_> = parts.iter().map(|part| chunk(part)).collect();
            chunks.sort_by_key(|chunk| (chunk.min, chunk.max));
            series.push((own, chunks));
        }
        series.sort_by(|a, b| a.0.cmp(&b.0));
        let mut expected = Vec::new();
        for (own, chunks) in &series {
            let mut rows: BTreeMap<i64, u64> = BTreeMap::new();
            for chunk in chunks {
                let Samples::Raw(encoded) = &chunk.samples else { unreachable!() };
                let mut floats = tsdb::Floats::default();
                tsdb::decode_xor(&encoded.data, &mut floats).unwrap();
                for (time, value) in floats.timestamps.into_iter().zip(floats.values) {
                    if range.contains(Timestamp(time)) && value.to_bits() != STALE_NAN {
                        rows.entry(time).or_insert(value.to_bits());
                    }
                }
            }
            expected.extend(rows.into_iter().map(|(time, value)| (own.to_string(), time, value)));
        }
        for format in [Format::Parquet, Format::Arrow] {
            let dir = tempfile::tempdir().unwrap();
            let files = export(dir.path(), format, Resolution::Raw, range, u64::MAX, &series);
            prop_assert_eq!(&floats(&files), &expected, "{:?}", format);
        }
        let dir = tempfile::tempdir().unwrap();
        let files = export(dir.path(), Format::Csv, Resolution::Raw, range, u64::MAX, &series);
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        prop_assert_eq!(rows, expected.len() as u64);
    }
}

#[test]
fn files_are_cut_by_their_size_and_whole_when_they_have_their_names() {
    let dir = tempfile::tempdir().unwrap();
    // More than a batch, so that there are two.
    let samples: Vec<_> = (0..40_000_i32)
        .map(|i| (i64::from(i) * 1000, f64::from(i)))
        .collect();
    let chunks: Vec<_> = samples.chunks(120).map(chunk).collect();
    let series = [(labels(&[("__name__", "a")]), chunks)];
    let files = export(
        dir.path(),
        Format::Arrow,
        Resolution::Raw,
        TimeRange::ALL,
        1,
        &series,
    );
    let names: Vec<_> = files
        .iter()
        .map(|f| f.path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["part-00000.arrows", "part-00001.arrows"]);
    let there = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(there, 2, "nothing else is left in the folder");
    assert_eq!(floats(&files).len(), samples.len());
    for file in &files {
        assert_eq!(std::fs::metadata(&file.path).unwrap().len(), file.bytes);
    }
}

#[test]
fn csv_has_a_header_and_leaves_missing_values_empty() {
    let dir = tempfile::tempdir().unwrap();
    let series = [
        (
            labels(&[("__name__", "a"), ("q", "say \"hi\", x")]),
            vec![chunk(&[(1000, 1.5), (2000, f64::INFINITY)])],
        ),
        (labels(&[("__name__", "b")]), vec![chunk(&[(-1, 2.0)])]),
    ];
    let files = export_all(dir.path(), Format::Csv, &series);
    let text = std::fs::read_to_string(&files[0].path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "__name__,q,timestamp,value,histogram",
            "a,\"say \"\"hi\"\", x\",1970-01-01T00:00:01.000Z,1.5,",
            "a,\"say \"\"hi\"\", x\",1970-01-01T00:00:02.000Z,+Inf,",
            "b,,-1,2,",
        ]
    );
}

fn histogram(count: u64) -> Histogram {
    Histogram {
        reset: CounterReset::Unknown,
        schema: 0,
        zero_threshold: 0.001,
        sum: 5.5,
        positive_spans: Arc::from(
            [Span {
                offset: 1,
                length: 1,
            }]
            .as_slice(),
        ),
        negative_spans: Arc::from([].as_slice()),
        custom_bounds: Arc::from([].as_slice()),
        counts: HistogramCounts::Integer(Counts {
            count,
            zero: 0,
            positive: vec![count],
            negative: Vec::new(),
        }),
    }
}

#[test]
fn native_histograms_are_structs_with_the_fields_of_prometheus_s_json() {
    let encoded =
        encode_histograms(&[(Timestamp(10), histogram(3)), (Timestamp(20), histogram(4))]);
    let chunks: Vec<_> = encoded
        .into_iter()
        .map(|chunk| SeriesChunk {
            min: chunk.min,
            max: chunk.max,
            samples: Samples::Raw(Encoded {
                coding: Coding::of(chunk.encoding).unwrap(),
                data: chunk.data,
            }),
        })
        .collect();
    let series = [
        (labels(&[("__name__", "a")]), vec![chunk(&[(5, 1.0)])]),
        (labels(&[("__name__", "h")]), chunks),
    ];
    for format in [Format::Parquet, Format::Arrow] {
        let dir = tempfile::tempdir().unwrap();
        let files = export_all(dir.path(), format, &series);
        let batch = &batches(&files[0])[0];
        let histograms = batch["histogram"].as_struct();
        assert_eq!(
            (0..3).map(|i| histograms.is_null(i)).collect::<Vec<_>>(),
            [true, false, false]
        );
        assert!(batch["value"].is_null(1));
        let float = |column: &str| histograms[column].as_primitive::<Float64Type>().value(2);
        assert_eq!((float("count"), float("sum")), (4.0, 5.5));
        let buckets = histograms["buckets"].as_list::<i32>().value(2);
        let buckets = buckets.as_struct();
        let float = |column: &str| buckets[column].as_primitive::<Float64Type>().value(0);
        assert_eq!(
            (float("lower"), float("upper"), float("count")),
            (1.0, 2.0, 4.0)
        );
        assert_eq!(buckets["boundaries"].as_primitive::<Int8Type>().value(0), 0);
    }
    let dir = tempfile::tempdir().unwrap();
    let files = export_all(dir.path(), Format::Csv, &series);
    let text = std::fs::read_to_string(&files[0].path).unwrap();
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        r#"h,1970-01-01T00:00:00.020Z,,"{""count"":""4"",""sum"":""5.5"",""buckets"":[[0,""1"",""2"",""4""]]}""#
    );
}

#[test]
fn aggregates_of_one_time_are_one_row_and_the_counter_never_falls() {
    let aggregates = |parts: [&[(i64, f64)]; 5]| {
        let first = parts
            .iter()
            .filter_map(|p| p.first())
            .map(|s| s.0)
            .min()
            .unwrap();
        let last = parts
            .iter()
            .filter_map(|p| p.last())
            .map(|s| s.0)
            .max()
            .unwrap();
        SeriesChunk {
            min: Timestamp(first),
            max: Timestamp(last),
            samples: Samples::Aggregates(Box::new(parts.map(|p| (!p.is_empty()).then(|| xor(p))))),
        }
    };
    let chunks = vec![
        aggregates([
            &[(300, 2.0), (600, 3.0)],
            &[(300, 9.0), (600, 30.0)],
            &[(300, 4.0), (600, 9.0)],
            &[(300, 5.0), (600, 11.0)],
            // It was reset once: 12 was counted, the last value as scraped is 3.
            &[(10, 4.0), (300, 5.0), (600, 12.0), (600, 3.0)],
        ]),
        aggregates([
            &[(900, 1.0)],
            &[],
            &[],
            &[],
            &[(610, 4.0), (900, 6.0), (900, 6.0)],
        ]),
        // Where no downsampled block is, samples as scraped.
        chunk(&[(1000, 7.0)]),
    ];
    let series = [(labels(&[("__name__", "a")]), chunks)];
    let dir = tempfile::tempdir().unwrap();
    let range = TimeRange::new(11, 2000);
    let files = export(
        dir.path(),
        Format::Parquet,
        Resolution::FiveMinutes,
        range,
        u64::MAX,
        &series,
    );
    let batch = &batches(&files[0])[0];
    let times = batch["timestamp"].as_primitive::<TimestampMillisecondType>();
    assert_eq!(times.values().to_vec(), [300, 600, 610, 900, 1000]);
    let column = |name: &str| -> Vec<Option<f64>> {
        batch[name].as_primitive::<Float64Type>().iter().collect()
    };
    assert_eq!(
        column("count"),
        [Some(2.0), Some(3.0), None, Some(1.0), None]
    );
    assert_eq!(column("sum"), [Some(9.0), Some(30.0), None, None, None]);
    assert_eq!(column("min"), [Some(4.0), Some(9.0), None, None, None]);
    assert_eq!(column("max"), [Some(5.0), Some(11.0), None, None, None]);
    assert_eq!(
        column("counter"),
        [Some(5.0), Some(12.0), Some(13.0), Some(15.0), None]
    );
    assert_eq!(column("value"), [None, None, None, None, Some(7.0)]);
}

#[test]
fn a_damaged_chunk_is_named_with_its_series() {
    let mut broken = chunk(&[(10, 1.0), (20, 2.0)]);
    let Samples::Raw(encoded) = &mut broken.samples else {
        unreachable!()
    };
    encoded.data = encoded.data.slice(..3);
    let late = SeriesChunk {
        min: Timestamp(30),
        max: Timestamp(31),
        ..chunk(&[(10, 1.0), (20, 2.0)])
    };
    let dir = tempfile::tempdir().unwrap();
    let layout = Arc::new(Layout::new([], Resolution::Raw, Format::Parquet));
    let files = Files::new(dir.path().to_path_buf(), Arc::clone(&layout), u64::MAX);
    let mut exporter = Exporter::new(&layout, TimeRange::ALL, files);
    let a = labels(&[("__name__", "a")]);
    let error = exporter.series(&a, &[broken]).unwrap_err().to_string();
    assert!(
        error.starts_with(r#"series {__name__="a"}: chunk from 10 to 20 ms: "#),
        "{error}"
    );
    let error = exporter
        .series(&a, &[chunk(&[(15, 0.0), (25, 0.0)]), late])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"series {__name__="a"}: chunk from 30 to 31 ms: expected a sample after 25 ms, found one at 10 ms"#
    );
}
