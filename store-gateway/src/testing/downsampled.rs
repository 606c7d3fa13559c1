//! Downsampled series for tests, put into a bucket as a TSDB block and as a Parquet block.
//!
//! The data of an aggregate is text that tells which it is: a gateway does not look into it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    sync::Arc,
};

use bucket::Bucket;
use model::{
    Aggregate, BlockId, BlockMeta, BlockStats, CompactionMeta, Downsample, Labels, METRIC_NAME,
    ParquetMeta, Resolution, ThanosMeta, TimeRange, Timestamp,
};
use parquet_block::{
    PageOptions, RowGroupBuilder, ShardSchema, ShardWriter, Slices, Symbols, WriteOptions,
    aggregates_file, envelope, labels_file,
};
use tsdb::{AggregateChunk, Aggregates, BlockWriter, DownsampledChunk, Encoding};

use super::catalog_block;
use crate::catalog::CatalogBlock;

/// Series with their chunks, in order of time.
pub(crate) type Rows = BTreeMap<Labels, Vec<DownsampledChunk>>;

const HOUR: i64 = 3_600_000;

/// What blocks of [`rows`] cover: of a Parquet block two time slices.
pub(crate) const RANGE: TimeRange = TimeRange::new(0, 96 * HOUR - 1);

/// Three chunks of floats of each pod, the second of which reaches into the second half of [`RANGE`]; and a chunk of
/// histograms, which have no minimum and no maximum.
pub(crate) fn rows(pods: Range<usize>) -> Rows {
    let mut rows = Rows::new();
    for pod in pods {
        let pod = format!("{pod:04}");
        let of = |name: &str| Labels::from_pairs([("__name__", name), ("pod", &*pod)]);
        let floats = [(1, 11), (47, 49), (50, 60)];
        let chunks = floats.map(|hours| chunk(hours, &pod, &Aggregate::ALL, Encoding::Xor));
        rows.insert(of("requests"), chunks.into());
        let some = [Aggregate::Count, Aggregate::Sum, Aggregate::Counter];
        let histograms = chunk((20, 30), &pod, &some, Encoding::Histogram);
        rows.insert(of("seconds"), vec![histograms]);
    }
    rows
}

/// A chunk of so many bytes, at least two, all of them `byte`.
pub(crate) fn counts(byte: u8, bytes: usize) -> DownsampledChunk {
    let mut aggregates = Aggregates::default();
    aggregates[Aggregate::Count as usize] = Some(AggregateChunk {
        encoding: Encoding::Xor,
        data: vec![byte; bytes.max(2)].into(),
    });
    DownsampledChunk {
        min: Timestamp(HOUR),
        max: Timestamp(2 * HOUR),
        aggregates,
    }
}

/// What the data of an aggregate begins with.
pub(crate) fn mark(aggregate: Aggregate) -> String {
    format!("<{}>", aggregate.name())
}

fn chunk(
    (from, to): (i64, i64),
    pod: &str,
    held: &[Aggregate],
    encoding: Encoding,
) -> DownsampledChunk {
    let mut aggregates = Aggregates::default();
    for one in held {
        let counts = *one == Aggregate::Count;
        aggregates[*one as usize] = Some(AggregateChunk {
            encoding: if counts { Encoding::Xor } else { encoding },
            data: format!("{} of {pod} from {from} to {to}", mark(*one)).into(),
        });
    }
    DownsampledChunk {
        min: Timestamp(from * HOUR),
        max: Timestamp(to * HOUR),
        aggregates,
    }
}

fn meta(id: BlockId, labels: &[(&str, &str)]) -> BlockMeta {
    let labels = labels.iter().map(|&(n, v)| (n.to_owned(), v.to_owned()));
    BlockMeta {
        ulid: id,
        min_time: RANGE.min,
        max_time: Timestamp(RANGE.max.0 + 1),
        stats: BlockStats::default(),
        compaction: CompactionMeta::default(),
        version: 1,
        thanos: Some(ThanosMeta {
            labels: labels.collect(),
            downsample: Downsample {
                resolution: Resolution::FiveMinutes,
            },
            ..ThanosMeta::default()
        }),
        parquet: None,
        extra: Default::default(),
    }
}

/// Puts a TSDB block of five minutes into the bucket.
pub(crate) async fn put_tsdb(
    bucket: &Bucket,
    id: BlockId,
    labels: &[(&str, &str)],
    rows: &Rows,
) -> CatalogBlock {
    let dir = tempfile::tempdir().unwrap();
    let block = dir.path().join("block");
    let mut writer = BlockWriter::create(&block, strings(rows.keys())).unwrap();
    for (labels, chunks) in rows {
        let chunks: Vec<_> = chunks.iter().map(DownsampledChunk::pack).collect();
        writer.add_series(labels, &chunks).unwrap();
    }
    let meta = meta(id, labels);
    writer.finish(meta.clone()).unwrap();
    let mut sizes = BTreeMap::new();
    for file in ["index", "chunks/000001"] {
        let bytes = fs::read(block.join(file)).unwrap();
        sizes.insert(file.to_owned(), bytes.len() as u64);
        let key = format!("{id}/{file}");
        bucket.put(&key, bytes.into()).await.unwrap();
    }
    let key = format!("{id}/{}", BlockMeta::FILE);
    bucket.put(&key, meta.encode().into()).await.unwrap();
    catalog_block(id.to_string(), meta, sizes)
}

/// Puts a Parquet block of five minutes into the bucket, the pages of whose aggregates have so many rows and are
/// not compressed.
pub(crate) async fn put_parquet(
    bucket: &Bucket,
    id: BlockId,
    labels: &[(&str, &str)],
    rows: &Rows,
    page_rows: usize,
) -> CatalogBlock {
    let mut meta = meta(id, labels);
    let duration = Slices::duration_at(Resolution::FiveMinutes, RANGE);
    let slices = Slices::new(meta.min_time, meta.max_time, duration);
    let table = Arc::new(Table::of(rows.keys()));
    let names = rows.keys().flat_map(Labels::iter).map(|(n, _)| n);
    let schema = ShardSchema::aggregates(names, slices);
    let options = WriteOptions {
        chunks: PageOptions {
            rows: page_rows,
            least_saving: 100,
            ..WriteOptions::default().chunks
        },
        ..WriteOptions::default()
    };
    let symbols: Arc<Table> = Arc::clone(&table);
    let mut builder = RowGroupBuilder::new(&schema, symbols, &options);
    let mut sorted: Vec<_> = rows.iter().collect();
    sorted.sort_by_key(|(labels, _)| labels.get(METRIC_NAME).unwrap_or_default());
    for (labels, chunks) in sorted {
        let mut values = Vec::new();
        envelope::encode_aggregates(chunks, &slices, &mut values);
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        builder.push(&table.ids(labels), &values).unwrap();
    }
    let mut files = [Vec::new(), Vec::new()];
    let [of_labels, of_aggregates] = &mut files;
    let mut writer = ShardWriter::create(of_labels, of_aggregates, &schema).unwrap();
    writer.append(builder.encode().unwrap()).unwrap();
    let shards = vec![writer.finish().unwrap()];
    meta.parquet = Some(ParquetMeta { version: 1, shards });

    let root = format!("parquet/{id}");
    let mut sizes = BTreeMap::new();
    for (name, bytes) in [labels_file(0), aggregates_file(0)].into_iter().zip(files) {
        sizes.insert(name.clone(), bytes.len() as u64);
        let key = format!("{root}/{name}");
        bucket.put(&key, bytes.into()).await.unwrap();
    }
    let key = format!("{root}/{}", BlockMeta::FILE);
    bucket.put(&key, meta.encode().into()).await.unwrap();
    catalog_block(root, meta, sizes)
}

/// The names and values of labels.
pub(super) fn strings<'a>(rows: impl Iterator<Item = &'a Labels>) -> BTreeSet<&'a [u8]> {
    let pairs = rows.flat_map(Labels::iter);
    pairs.flat_map(|(name, value)| [name, value]).collect()
}

/// Strings in byte order.
pub(super) struct Table(Vec<Vec<u8>>);

impl Symbols for Table {
    fn get(&self, id: u32) -> &[u8] {
        self.0.get(id as usize).map_or(&[], Vec::as_slice)
    }
}

impl Table {
    /// Those of the names and values of labels.
    pub(super) fn of<'a>(rows: impl Iterator<Item = &'a Labels>) -> Self {
        Self(strings(rows).into_iter().map(<[u8]>::to_vec).collect())
    }

    pub(super) fn ids(&self, labels: &Labels) -> Vec<(u32, u32)> {
        let id = |text: &[u8]| {
            let place = self.0.binary_search_by(|known| known.as_slice().cmp(text));
            u32::try_from(place.unwrap()).unwrap()
        };
        labels.iter().map(|(n, v)| (id(n), id(v))).collect()
    }
}
