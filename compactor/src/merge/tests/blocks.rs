//! Makes blocks, merges them and reads the outputs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{
    BlockId, BlockMeta, BlockStats, CompactionMeta, CounterReset, Counts, Downsample, Extra,
    Histogram, HistogramCounts, Labels, ParquetMeta, ParquetShard, Resolution, Span, ThanosMeta,
    TimeRange, Timestamp,
};
use parquet_block::{Contents, LocalShard};
use tempfile::TempDir;
use tsdb::{Block, BlockWriter, Chunk, Encoding, SeriesEntry, encode_xor};

use crate::{
    Dedup, MergeError, MergeInput, MergeOptions, MergeOutput, MergeTarget, OutputFormat, merge,
    verify::witness::Witness,
};

pub(super) const HOUR: i64 = 3_600_000;

/// A series and its chunks.
pub(super) type Series = (Labels, Vec<Chunk>);

pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

pub(super) fn chunk(samples: &[(i64, f64)]) -> Chunk {
    let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
    Chunk {
        encoding: Encoding::Xor,
        min: Timestamp(times[0]),
        max: Timestamp(times[times.len() - 1]),
        data: encode_xor(&times, &values),
    }
}

/// Chunks of a sample a minute from `start` until before `end`.
pub(super) fn minutes(start: i64, end: i64, value: impl Fn(i64) -> f64) -> Vec<Chunk> {
    let times: Vec<i64> = (start..end).step_by(60_000).collect();
    let of = |times: &[i64]| chunk(&times.iter().map(|t| (*t, value(*t))).collect::<Vec<_>>());
    times.chunks(120).map(of).collect()
}

/// A folder with blocks.
pub(super) struct World {
    dir: TempDir,
    blocks: usize,
    ids: u128,
}

/// What a merge is to do, apart from its inputs.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) range: TimeRange,
    pub(super) outputs: Vec<Resolution>,
    pub(super) format: OutputFormat,
    pub(super) dedup: Dedup,
    pub(super) options: MergeOptions,
}

impl Job {
    pub(super) fn new(hours: i64, format: OutputFormat) -> Self {
        Self {
            range: TimeRange::new(0, hours * HOUR - 1),
            outputs: vec![Resolution::Raw],
            format,
            dedup: Dedup::Exact,
            options: MergeOptions {
                row_group_rows: 40,
                memory_budget: 1 << 20,
                ..MergeOptions::default()
            },
        }
    }

    pub(super) fn outputs(mut self, outputs: &[Resolution]) -> Self {
        self.outputs = outputs.to_vec();
        self
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            blocks: 0,
            ids: 0,
        }
    }

    /// A name that no other block has.
    fn id(&mut self) -> BlockId {
        self.ids += 1;
        BlockId::new(Timestamp(1), self.ids)
    }

    pub(super) fn folder(&mut self) -> PathBuf {
        self.blocks += 1;
        let dir = self.dir.path().join(self.blocks.to_string());
        fs::create_dir(&dir).unwrap();
        dir
    }

    /// A TSDB block.
    pub(super) fn block(&mut self, resolution: Resolution, series: &[Series]) -> PathBuf {
        let dir = self.folder();
        let mut series = series.to_vec();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        let symbols: BTreeSet<&[u8]> = series
            .iter()
            .flat_map(|(labels, _)| labels.iter().flat_map(|(name, value)| [name, value]))
            .collect();
        let mut writer = BlockWriter::create(&dir, symbols).unwrap();
        for (labels, chunks) in &series {
            writer.add_series(labels, chunks).unwrap();
        }
        let id = self.id();
        writer.finish(meta(id, resolution, None)).unwrap();
        dir
    }

    /// The outputs of a merge, with a `meta.json` each.
    pub(super) fn merge(
        &mut self,
        blocks: &[PathBuf],
        job: &Job,
    ) -> Result<Vec<(PathBuf, MergeOutput)>, MergeError> {
        let target = |resolution: &Resolution| MergeTarget {
            resolution: *resolution,
            dir: self.folder(),
        };
        let outputs: Vec<MergeTarget> = job.outputs.iter().map(target).collect();
        let input = MergeInput {
            blocks: blocks.to_vec(),
            range: job.range,
            outputs: outputs.clone(),
            dedup: job.dedup,
            format: job.format,
            options: job.options.clone(),
        };
        let made = merge(&input, &|_| {})?;
        let dirs = outputs.into_iter().map(|target| target.dir);
        let made: Vec<_> = dirs.zip(made).collect();
        for (dir, output) in &made {
            let path = dir.join(BlockMeta::FILE);
            let shards = output.shards.clone();
            let meta = match job.format {
                OutputFormat::Parquet => {
                    let parquet = Some(ParquetMeta { version: 1, shards });
                    meta(self.id(), output.resolution, parquet)
                }
                // None is written where no sample is left.
                OutputFormat::Tsdb if !path.try_exists().unwrap() => continue,
                OutputFormat::Tsdb => BlockMeta {
                    ulid: self.id(),
                    ..read_meta(dir)
                },
            };
            fs::write(path, meta.encode()).unwrap();
        }
        Ok(made)
    }

    /// The only output of a merge.
    pub(super) fn merge_one(&mut self, blocks: &[PathBuf], job: &Job) -> (PathBuf, MergeOutput) {
        let mut made = self.merge(blocks, job).unwrap();
        assert_eq!(made.len(), 1);
        made.pop().unwrap()
    }

    /// The same block in Parquet.
    pub(super) fn parquet(&mut self, block: &Path, hours: i64) -> PathBuf {
        let resolution = Block::open(block).unwrap().meta().resolution();
        let job = Job::new(hours, OutputFormat::Parquet).outputs(&[resolution]);
        self.merge_one(&[block.to_path_buf()], &job).0
    }
}

fn read_meta(block: &Path) -> BlockMeta {
    BlockMeta::decode(&fs::read(block.join(BlockMeta::FILE)).unwrap()).unwrap()
}

/// The name of the block in this folder.
pub(super) fn id_of(block: &Path) -> BlockId {
    read_meta(block).ulid
}

fn meta(ulid: BlockId, resolution: Resolution, parquet: Option<ParquetMeta>) -> BlockMeta {
    BlockMeta {
        ulid,
        min_time: Timestamp(0),
        max_time: Timestamp(48 * HOUR),
        stats: BlockStats::default(),
        compaction: CompactionMeta::default(),
        version: 1,
        thanos: Some(ThanosMeta {
            downsample: Downsample { resolution },
            ..ThanosMeta::default()
        }),
        parquet,
        extra: Extra::default(),
    }
}

/// The series of an output, as they are stored: as our reader tells, and the witness of a verification.
pub(super) fn read(dir: &Path, output: &MergeOutput) -> Vec<Series> {
    if output.shards.is_empty() {
        return read_tsdb(dir);
    }
    let numbers = 0..u32::try_from(output.shards.len()).unwrap();
    let shards = numbers.map(|number| open_shard(dir, output.resolution, number));
    let rows: Vec<Series> = shards.flat_map(|shard| shard.read_all().unwrap()).collect();
    assert_eq!(witnessed(dir, output), rows);
    rows
}

/// The series of a Parquet output, as `arrow` reads them.
fn witnessed(dir: &Path, output: &MergeOutput) -> Vec<Series> {
    let contents = Contents::of(output.resolution);
    let mut rows = Vec::new();
    for number in 0..u32::try_from(output.shards.len()).unwrap() {
        let shard = Witness::open(dir, number, contents).unwrap();
        for group in 0..shard.row_groups() {
            let take = |labels, chunks: &[Chunk]| {
                rows.push((labels, chunks.to_vec()));
                Ok(())
            };
            shard.read(group, take).unwrap();
        }
    }
    rows
}

pub(super) fn open_shard(dir: &Path, resolution: Resolution, number: u32) -> LocalShard {
    let listed = ParquetShard::default();
    LocalShard::open(dir, number, Contents::of(resolution), &listed).unwrap()
}

fn read_tsdb(dir: &Path) -> Vec<Series> {
    let block = Block::open(dir).unwrap();
    let mut refs = block.refs_by_name().unwrap();
    refs.sort();
    let (mut cursor, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let mut entry = SeriesEntry::default();
    let read = |series| {
        cursor.read(series, &mut entry).unwrap();
        let text = |symbol| block.symbols().get(symbol);
        let labels = entry.labels.iter().map(|(n, v)| (text(*n), text(*v)));
        let labels = Labels::from_sorted(labels);
        let chunks = entry.chunks.iter().map(|meta| chunks.read(meta).unwrap());
        (labels, chunks.collect())
    };
    refs.into_iter().map(read).collect()
}

/// The bytes of all files of an output.
pub(super) fn bytes((dir, output): &(PathBuf, MergeOutput)) -> Vec<(String, Vec<u8>)> {
    assert!(!output.files.is_empty());
    let read = |name: &String| (name.clone(), fs::read(dir.join(name)).unwrap());
    output.files.iter().map(read).collect()
}

/// Chunks of native histograms with one bucket.
pub(super) fn histograms(times: &[i64]) -> Vec<Chunk> {
    let histogram = |count: u64| Histogram {
        reset: CounterReset::Unknown,
        schema: 0,
        zero_threshold: 0.0,
        sum: 1.5,
        positive_spans: Arc::new([Span {
            offset: 0,
            length: 1,
        }]),
        negative_spans: Arc::new([]),
        custom_bounds: Arc::new([]),
        counts: HistogramCounts::Integer(Counts {
            count,
            positive: vec![count],
            ..Counts::default()
        }),
    };
    let samples: Vec<_> = (1..)
        .zip(times)
        .map(|(count, time)| (Timestamp(*time), histogram(count)))
        .collect();
    tsdb::encode_histograms(&samples)
}
