//! Writes the first inputs of each fuzz target: `seeds FIXTURES CORPUS`.

mod header_file;
mod index_v1;
mod shards;
mod texts;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
// Defines what rustc makes each function call to count what is reached.
use libfuzzer_sys as _;
use model::{TimeRange, Timestamp};
use parquet_block::envelope;
use service::GrpcEncoding;
use tsdb::{
    AggregateChunk, Aggregates, Block, Chunk, Encoding, SeriesEntry, SeriesRef, Tombstones,
    encode_aggregates,
};
use varve_fuzz::put_uvarint;

/// Chunks of each encoding that become seeds.
const CHUNKS: usize = 24;

/// Larger files make poor seeds: most mutations hit what is like all the rest.
const LARGEST: u64 = 20 << 10;

/// Where the seeds go.
struct Corpus(PathBuf);

fn main() {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [fixtures, corpus] = args.as_slice() else {
        panic!("usage: seeds FIXTURES CORPUS");
    };
    let corpus = Corpus(corpus.clone());
    let blocks = blocks(&[fixtures.join("golden/tsdb"), fixtures.join("sample")]);
    assert!(!blocks.is_empty(), "no blocks in {}", fixtures.display());
    for dir in &blocks {
        corpus.file("index", &dir.join("index"));
        corpus.file("meta", &dir.join("meta.json"));
        // Thanos's downsampler writes none.
        let deleted = dir.join("tombstones");
        if deleted.is_file() {
            corpus.file("tombstones", &deleted);
        }
    }
    corpus.add("index", "v1", &index_v1::small());
    for (name, header) in header_file::some() {
        corpus.add("header_file", name, &header);
    }
    tombstones(&corpus);
    chunks(&corpus, &blocks);
    parquet(&corpus, &fixtures.join("golden/parquet-common"));
    texts::write(&corpus);
    for (which, encoding) in [GrpcEncoding::Gzip, GrpcEncoding::Snappy]
        .into_iter()
        .enumerate()
    {
        let text = b"a message that says what it says, and says it again: what it says".repeat(3);
        let mut seed = vec![which as u8];
        seed.extend(encoding.encode(&text).expect("memory takes all"));
        corpus.add("grpc_message", encoding.name(), &seed);
    }
    // In pieces of three bytes, frames of one and of five.
    let mut seed = vec![3];
    for data in ["a", "bcdef"] {
        put_uvarint(&mut seed, data.len() as u64);
        seed.extend(crc32c::crc32c(data.as_bytes()).to_be_bytes());
        seed.extend(data.as_bytes());
    }
    corpus.add("remote_read", "frames", &seed);
    let answer = b"\x03VALUE a 0 3\r\nx\r\n\r\nVALUE b 0 0\r\n\r\nEND\r\nSTORED\r\n";
    corpus.add("memcached", "answer", answer);
}

impl Corpus {
    /// Adds an input of a target.
    fn add(&self, target: &str, name: &str, bytes: &[u8]) {
        let dir = self.0.join(target);
        fs::create_dir_all(&dir).expect("a folder is made");
        fs::write(dir.join(format!("seed-{name}")), bytes).expect("a seed is written");
    }

    /// Adds a file of a block, unless it is large.
    fn file(&self, target: &str, path: &Path) {
        let bytes = fs::read(path).expect("a fixture is read");
        if bytes.len() as u64 <= LARGEST {
            let block = path.parent().and_then(Path::file_name);
            self.add(target, &block.expect("a block").to_string_lossy(), &bytes);
        }
    }
}

/// The folders below `roots` that are blocks.
fn blocks(roots: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = roots.to_vec();
    while let Some(folder) = folders.pop() {
        if folder.join("meta.json").is_file() {
            found.push(folder);
            continue;
        }
        for entry in fs::read_dir(&folder).expect("a folder is read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

fn tombstones(corpus: &Corpus) {
    let mut tombstones = Tombstones::default();
    for (series, range) in [(1, (0, 9)), (1, (20, 29)), (300, (i64::MIN, i64::MAX))] {
        tombstones.add(SeriesRef(series), TimeRange::new(range.0, range.1));
    }
    corpus.add("tombstones", "three", &tombstones.encode());
}

fn chunks(corpus: &Corpus, blocks: &[PathBuf]) {
    let mut found: [Vec<Chunk>; 4] = Default::default();
    for dir in blocks {
        let block = Block::open(dir).expect("a golden block");
        let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
        let mut entry = SeriesEntry::default();
        for reference in block.select(&[]).expect("all series") {
            series.read(reference, &mut entry).expect("a series");
            for meta in &entry.chunks {
                let chunk = chunks.read(meta).expect("a chunk");
                let place = &mut found[chunk.encoding as usize % 4];
                if place.len() < CHUNKS && place.iter().all(|c| c.data != chunk.data) {
                    place.push(chunk);
                }
            }
        }
    }
    for chunk in found.iter().flatten() {
        let target = match chunk.encoding {
            Encoding::Xor => "xor",
            Encoding::Histogram | Encoding::FloatHistogram => "histograms",
            Encoding::Aggr => "aggregates",
        };
        let name = format!("{:?}-{:08x}", chunk.encoding, crc32c::crc32c(&chunk.data));
        let data = match chunk.encoding {
            Encoding::Histogram => [&[0], &chunk.data[..]].concat(),
            Encoding::FloatHistogram => [&[1], &chunk.data[..]].concat(),
            Encoding::Xor | Encoding::Aggr => chunk.data.to_vec(),
        };
        corpus.add(target, &name, &data);
        let record = [&[chunk.encoding as u8], &chunk.data[..]].concat();
        corpus.add("chunk_record", &name, &record);
    }
    series(corpus, &found);
}

/// Values of data columns, with chunks that overlap, and downsampled chunks made of others.
fn series(corpus: &Corpus, found: &[Vec<Chunk>]) {
    let all: Vec<&Chunk> = found.iter().flatten().collect();
    for (i, chunks) in all.chunks(3).enumerate() {
        let mut chunks: Vec<Chunk> = chunks.iter().map(|chunk| (*chunk).clone()).collect();
        chunks.sort_by_key(|chunk| chunk.min);
        // The first once more, as if another replica had it.
        chunks.push(chunks[0].clone());
        let mut value = Vec::new();
        envelope::encode(&chunks, &mut value);
        corpus.add("envelope", &i.to_string(), &value);
        corpus.add("reencode", &i.to_string(), &value);
    }
    for (i, chunks) in all.chunks(5).enumerate() {
        let mut aggregates = Aggregates::default();
        for (aggregate, chunk) in aggregates.iter_mut().zip(chunks).skip(i % 3) {
            *aggregate = Some(AggregateChunk {
                encoding: chunk.encoding,
                data: chunk.data.clone(),
            });
        }
        let data = encode_aggregates(&aggregates);
        corpus.add("aggregates", &i.to_string(), &data);
        let chunk = Chunk {
            encoding: Encoding::Aggr,
            min: Timestamp(0),
            max: Timestamp(1),
            data: Bytes::clone(&data),
        };
        let mut value = Vec::new();
        envelope::encode(&[chunk], &mut value);
        corpus.add("envelope", &format!("aggregates-{i}"), &value);
    }
}

fn parquet(corpus: &Corpus, golden: &Path) {
    for block in ["all-kinds", "floats", "shards"] {
        let read = |kind: &str| {
            let path = golden.join(format!("{block}/block/0.{kind}.parquet"));
            fs::read(path).expect("a golden file")
        };
        add_shard(corpus, block, &read("labels"), &read("chunks"));
    }
    for (name, labels, chunks) in shards::small() {
        add_shard(corpus, &name, &labels, &chunks);
    }
}

fn add_shard(corpus: &Corpus, name: &str, labels: &[u8], chunks: &[u8]) {
    for (kind, file) in [("labels", labels), ("chunks", chunks)] {
        if file.len() as u64 <= LARGEST {
            let whole = [&[0, 0], file].concat();
            corpus.add("parquet_footer", &format!("{name}-{kind}"), &whole);
        }
    }
    if (labels.len() + chunks.len()) as u64 > LARGEST {
        return;
    }
    let len = u32::try_from(labels.len()).expect("a small file");
    let both = [&len.to_le_bytes(), labels, chunks].concat();
    for target in ["parquet_shard", "parquet_rows"] {
        corpus.add(target, name, &both);
    }
}
