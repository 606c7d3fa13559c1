//! The same random series in a TSDB block and in a Parquet block: both readers give the same answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use model::{
    AggregateSet, BlockMeta, CounterReset, Counts, Histogram, HistogramCounts, Labels, METRIC_NAME,
    Matcher, Span, TimeRange, Timestamp,
};
use parquet_block::{
    Contents, LocalShard, Projection, RowGroupBuilder, ShardSchema, ShardWriter, Slices, Symbols,
    WriteOptions, envelope,
};
use proptest::prelude::*;
use tsdb::{Block, BlockWriter, Chunk, Encoding, SeriesEntry, encode_histograms, encode_xor};

use super::{NAMES, any_value, condition::any_question};

/// Slices of a second, and how many.
const SLICE: i64 = 1000;
const SLICES: i64 = 3;

/// Series in the order of their labels.
type Series = BTreeMap<Labels, Vec<Chunk>>;

/// The chunks of one slice: where each starts, how many samples it has, and whether they are histograms.
fn any_chunks() -> impl Strategy<Value = Vec<Chunk>> {
    let one = (0..80_i64, 1..20_u32, any::<bool>(), 0..1000_u32);
    let slice = prop::collection::vec(one, 0..4);
    prop::collection::vec(slice, 3..=3).prop_map(|slices| {
        let mut chunks = Vec::new();
        for (start, slice) in (0..SLICES).map(|slice| slice * SLICE).zip(slices) {
            for (place, (gap, count, histograms, first)) in (0..4).zip(slice) {
                let times = (0..i64::from(count)).map(|i| start + place * 200 + gap + i * 3);
                let times: Vec<i64> = times.collect();
                chunks.extend(if histograms {
                    encode_histograms(&counted(&times, first))
                } else {
                    vec![floats(&times, first)]
                });
            }
        }
        chunks
    })
}

fn floats(times: &[i64], first: u32) -> Chunk {
    let values = (first..).map(f64::from).take(times.len());
    Chunk {
        encoding: Encoding::Xor,
        min: Timestamp(times[0]),
        max: Timestamp(times[times.len() - 1]),
        data: encode_xor(times, &values.collect::<Vec<_>>()),
    }
}

/// Histograms that count up from `first`, of integers or of fractions.
fn counted(times: &[i64], first: u32) -> Vec<(Timestamp, Histogram)> {
    let samples = times.iter().zip(first..).map(|(time, n)| {
        let n = u64::from(n);
        let (zero, positive) = (n / 7, vec![n, 2 * n, n + 5]);
        let count = zero + positive.iter().sum::<u64>();
        let integer = Counts {
            count,
            zero,
            positive,
            negative: vec![],
        };
        let counts = if first.is_multiple_of(2) {
            HistogramCounts::Integer(integer)
        } else {
            HistogramCounts::Float(Counts {
                count: count as f64,
                zero: zero as f64,
                positive: integer.positive.iter().map(|n| *n as f64).collect(),
                negative: vec![],
            })
        };
        let histogram = Histogram {
            reset: CounterReset::Unknown,
            schema: 2,
            zero_threshold: 0.001,
            sum: n as f64 * 1.5,
            positive_spans: Arc::from([
                Span {
                    offset: -2,
                    length: 2,
                },
                Span {
                    offset: 4,
                    length: 1,
                },
            ]),
            negative_spans: Arc::from([]),
            custom_bounds: Arc::from([]),
            counts,
        };
        (Timestamp(*time), histogram)
    });
    samples.collect()
}

fn any_series() -> impl Strategy<Value = Series> {
    let pair = (prop::sample::select(&NAMES[..]), any_value());
    let labels = prop::collection::vec(pair, 1..6)
        .prop_map(Labels::from_pairs)
        .prop_filter("a series has labels", |labels| !labels.is_empty());
    prop::collection::btree_map(labels, any_chunks(), 1..50)
}

struct Table(Vec<Vec<u8>>);

impl Symbols for Table {
    fn get(&self, id: u32) -> &[u8] {
        self.0.get(id as usize).map_or(&[], Vec::as_slice)
    }
}

fn symbols(series: &Series) -> Vec<Vec<u8>> {
    let texts: BTreeSet<&[u8]> = series
        .keys()
        .flat_map(Labels::iter)
        .flat_map(|(name, value)| [name, value])
        .collect();
    texts.into_iter().map(<[u8]>::to_vec).collect()
}

fn write_tsdb(dir: &Path, series: &Series) -> Block {
    let mut writer = BlockWriter::create(dir, symbols(series)).unwrap();
    for (labels, chunks) in series {
        writer.add_series(labels, chunks).unwrap();
    }
    let meta = r#"{"ulid":"01HF8J5JG0RAVB4GMS32W7ZJ2B","minTime":0,"maxTime":3000,"version":1}"#;
    writer
        .finish(BlockMeta::decode(meta.as_bytes()).unwrap())
        .unwrap();
    Block::open(dir).unwrap()
}

fn by_name<T>(mut rows: Vec<(Labels, T)>) -> Vec<(Labels, T)> {
    rows.sort_by_key(|(labels, _)| labels.get(METRIC_NAME).unwrap_or_default().to_owned());
    rows
}

fn write_parquet(dir: &Path, series: &Series, group_rows: usize) -> LocalShard {
    let table = Arc::new(Table(symbols(series)));
    let id = |text: &[u8]| {
        let place = table.0.binary_search_by(|known| known.as_slice().cmp(text));
        u32::try_from(place.unwrap()).unwrap()
    };
    let slices = Slices::new(Timestamp(0), Timestamp(SLICES * SLICE), SLICE);
    let names: BTreeSet<Vec<u8>> = series
        .keys()
        .flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()))
        .collect();
    let schema = ShardSchema::new(names, slices);
    let files = Contents::Chunks.files(0);
    let [mut labels_file, mut chunks_file] =
        files.map(|name| std::fs::File::create(dir.join(name)).unwrap());
    let mut writer = ShardWriter::create(&mut labels_file, &mut chunks_file, &schema).unwrap();
    let rows: Vec<(Labels, &Vec<Chunk>)> = by_name(
        series
            .iter()
            .map(|(labels, chunks)| (labels.clone(), chunks))
            .collect(),
    );
    for group in rows.chunks(group_rows) {
        let symbols: Arc<Table> = Arc::clone(&table);
        let mut builder = RowGroupBuilder::new(&schema, symbols, &WriteOptions::default());
        for (labels, chunks) in group {
            let mut values = vec![Vec::new(); 3];
            for (slice, value) in (0..SLICES).zip(&mut values) {
                let inside = chunks.iter().filter(|c| c.min.0 / SLICE == slice);
                envelope::encode(&inside.cloned().collect::<Vec<_>>(), value);
            }
            let ids: Vec<_> = labels.iter().map(|(n, v)| (id(n), id(v))).collect();
            let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            builder.push(&ids, &values).unwrap();
        }
        writer.append(builder.encode().unwrap()).unwrap();
    }
    let listed = writer.finish().unwrap();
    LocalShard::open(dir, 0, Contents::Chunks, &listed).unwrap()
}

/// What a block answers: series with their chunks, names, and values of each name.
type Answer = (
    Vec<(Labels, Vec<Chunk>)>,
    BTreeSet<Vec<u8>>,
    Vec<BTreeSet<Vec<u8>>>,
);

fn ask_tsdb(block: &Block, matchers: &[Matcher], range: TimeRange) -> Answer {
    let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let mut entry = SeriesEntry::default();
    let mut rows = Vec::new();
    for reference in block.select(matchers).unwrap() {
        series.read(reference, &mut entry).unwrap();
        let text = |symbol| block.symbols().get(symbol);
        let labels = Labels::from_sorted(entry.labels.iter().map(|(n, v)| (text(*n), text(*v))));
        let inside = entry
            .chunks
            .iter()
            .filter(|chunk| chunk.range().overlaps(range));
        rows.push((
            labels,
            inside.map(|chunk| chunks.read(chunk).unwrap()).collect(),
        ));
    }
    let of_rows = |name| {
        rows.iter()
            .filter_map(|(l, _): &(Labels, _)| l.get(name))
            .map(<[u8]>::to_vec)
            .collect()
    };
    let values = NAMES.map(of_rows).to_vec();
    let names = rows
        .iter()
        .flat_map(|(l, _)| l.iter().map(|(n, _)| n.to_owned()))
        .collect();
    (by_name(rows), names, values)
}

fn ask_parquet(local: &LocalShard, matchers: &[Matcher], range: TimeRange) -> Answer {
    let shard = local.shard();
    let found = local.answer(shard.search(matchers)).unwrap();
    let mut rows = Vec::new();
    for (group, ranges) in &found {
        let labels = local
            .answer(shard.labels(*group, ranges.clone(), Projection::All))
            .unwrap();
        let chunks = local
            .answer(shard.chunks(*group, ranges.clone(), range, AggregateSet::ALL))
            .unwrap();
        assert_eq!(labels.len(), chunks.len());
        rows.extend(labels.into_iter().zip(chunks).map(|(labels, mut chunks)| {
            // A slice has those of one encoding behind those of another.
            chunks.sort_by_key(|chunk| chunk.min);
            (labels, chunks)
        }));
    }
    let names = local.answer(shard.label_names_of(found.clone())).unwrap();
    let values = NAMES.map(|name| {
        let values = local
            .answer(shard.label_values_of(found.clone(), name))
            .unwrap();
        values.into_iter().collect()
    });
    (rows, names.into_iter().collect(), values.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn both_formats_give_the_same_answers(
        series in any_series(),
        group_rows in 1..40_usize,
        queries in prop::collection::vec(
            (prop::collection::vec(any_question(), 0..4), -100..3100_i64, 0..1500_i64), 1..8,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let block = write_tsdb(&dir.path().join("tsdb"), &series);
        let local = write_parquet(dir.path(), &series, group_rows);
        for (asked, min, length) in queries {
            let matchers: Vec<Matcher> = asked.iter().map(|q| q.matcher.clone()).collect();
            let range = TimeRange::new(min, min + length);
            let tsdb = ask_tsdb(&block, &matchers, range);
            prop_assert_eq!(&ask_parquet(&local, &matchers, range), &tsdb, "{:?}", asked);

            let inside = |chunks: &[Chunk]| -> Vec<Chunk> {
                let overlap = |c: &&Chunk| c.min.0 <= min + length && c.max.0 >= min;
                chunks.iter().filter(overlap).cloned().collect()
            };
            let expected = series
                .iter()
                .filter(|(labels, _)| asked.iter().all(|question| question.matches(labels)))
                .map(|(labels, chunks)| (labels.clone(), inside(chunks)));
            prop_assert_eq!(tsdb.0, by_name(expected.collect()));
        }
        let values = block.header().label_values("a").unwrap();
        let read = local.shard().label_values_of(local.shard().everything(), "a");
        prop_assert!(local.answer(read).unwrap().iter().eq(values.iter()));
    }
}
