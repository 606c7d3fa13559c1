//! Makes a bucket of many blocks, to see how a program lists, starts and selects: `blocks FOLDER [NUMBER]`.
//!
//! The listing and each `meta.json` are as those of real blocks; the files have their sizes, but no contents. Half of
//! the blocks are in Prometheus's format, of two hours and level 1; the others in Parquet, of eight hours and level 2,
//! with four sources each. They belong to a hundred Prometheis, one block after the other. The catalog is written last.

#![expect(clippy::print_stdout, reason = "it prints what it has made")]

use std::{
    env,
    fs::{self, File},
    path::Path,
};

use anyhow::Context as _;
use bucket::{BucketConfig, MetaFetcher, SyncMetrics, write_catalog};
use model::{BlockId, Timestamp};
use serde_json::{Value, json};
use service::Metrics;

const GROUPS: usize = 100;
const HOUR: i64 = 3_600_000;
/// The end of the newest blocks, in milliseconds.
const END: i64 = 1_700_006_400_000;
/// Objects that are read at once.
const READS: usize = 32;

/// A block, and its files with their sizes.
struct Block {
    root: String,
    files: Vec<(&'static str, u64)>,
    meta: Value,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = env::args_os().skip(1);
    let dir = args
        .next()
        .context("the first argument is the folder to make the bucket in")?;
    let dir = Path::new(&dir);
    let number = args.next().map_or(Ok(100_000), |text| {
        let text = text.to_string_lossy();
        text.parse::<usize>()
            .with_context(|| format!("number of blocks: {text}"))
    })?;
    for n in 0..number {
        write(dir, &block(n)?)?;
    }
    let bucket = BucketConfig::filesystem(dir).open()?;
    let metrics = Metrics::new().register_once("block syncs", SyncMetrics::register);
    let mut fetcher = MetaFetcher::new(bucket.clone(), None, READS, metrics);
    let snapshot = fetcher.fetch().await?;
    write_catalog(&bucket, &snapshot).await?;
    println!("{} blocks in {}", snapshot.blocks.len(), dir.display());
    Ok(())
}

/// The block of this number: the odd ones of each group's are in Parquet.
fn block(n: usize) -> anyhow::Result<Block> {
    let (group, place) = (n % GROUPS, n / GROUPS);
    let back = i64::try_from(place / 2)?;
    let labels = json!({
        "cluster": format!("eu-{}", group / 2),
        "prometheus": "monitoring/k8s",
        "prometheus_replica": format!("prometheus-k8s-{}", group % 2),
    });
    if place.is_multiple_of(2) {
        // Newer than all blocks in Parquet.
        let end = END - back * 2 * HOUR;
        let id = BlockId::new(Timestamp(end), entropy(n, 0)).to_string();
        let meta = json!({
            "ulid": id, "minTime": end - 2 * HOUR, "maxTime": end, "version": 1,
            "stats": {"numSamples": 24_000_000, "numFloatSamples": 24_000_000, "numSeries": 100_000, "numChunks": 200_000},
            "compaction": {"level": 1, "sources": [id]},
            "thanos": {
                "labels": labels, "downsample": {"resolution": 0}, "source": "sidecar",
                "segment_files": ["000001"],
                "files": [
                    {"rel_path": "chunks/000001", "size_bytes": 61_000_000}, {"rel_path": "index", "size_bytes": 11_000_000},
                    {"rel_path": "meta.json"},
                ],
                "index_stats": {"series_max_size": 180, "chunk_max_size": 900},
                "upload_time": "2023-11-15T00:01:17Z",
            },
        });
        let files = vec![("index", 11_000_000), ("chunks/000001", 61_000_000)];
        return Ok(Block {
            root: id,
            files,
            meta,
        });
    }
    let end = END - 2 * HOUR * 1000 - back * 8 * HOUR;
    let id = BlockId::new(Timestamp(end), entropy(n, 0)).to_string();
    let (mut sources, mut parents) = (Vec::new(), Vec::new());
    for quarter in 1..=4 {
        let end = end - (4 - quarter) * 2 * HOUR;
        let source = BlockId::new(Timestamp(end), entropy(n, quarter)).to_string();
        parents.push(json!({"ulid": source, "minTime": end - 2 * HOUR, "maxTime": end}));
        sources.push(source);
    }
    let (labels_bytes, chunks_bytes) = (4_000_000, 244_000_000);
    let footer = json!({"bytes": 30_000, "xxh64": format!("{:016x}", entropy(n, 9) >> 64)});
    let meta = json!({
        "ulid": id, "minTime": end - 8 * HOUR, "maxTime": end, "version": 1,
        "stats": {"numSamples": 96_000_000, "numFloatSamples": 96_000_000, "numSeries": 130_000, "numChunks": 800_000},
        "compaction": {"level": 2, "sources": sources, "parents": parents},
        "thanos": {
            "labels": labels, "downsample": {"resolution": 0}, "source": "compactor",
            "files": [
                {"rel_path": "0.chunks.parquet", "size_bytes": chunks_bytes},
                {"rel_path": "0.labels.parquet", "size_bytes": labels_bytes}, {"rel_path": "meta.json"},
            ],
            "index_stats": {}, "upload_time": "2023-11-15T00:01:17Z",
        },
        "parquet": {"version": 1, "shards": [{
            "rows": 130_000, "row_groups": 1, "min_name": "aggregator_discovery_aggregation_count_total",
            "max_name": "workqueue_work_duration_seconds_sum", "labels_bytes": labels_bytes, "chunks_bytes": chunks_bytes,
            "labels_footer": footer, "chunks_footer": footer,
        }]},
    });
    let files = vec![
        ("0.labels.parquet", labels_bytes),
        ("0.chunks.parquet", chunks_bytes),
    ];
    Ok(Block {
        root: format!("parquet/{id}"),
        files,
        meta,
    })
}

/// The same for the same numbers, and different for others.
fn entropy(n: usize, part: i64) -> u128 {
    let seed = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ part.unsigned_abs();
    let low = seed.wrapping_mul(0x2545_f491_4f6c_dd1d);
    u128::from(seed) << 64 | u128::from(low ^ low >> 29)
}

/// Writes the block; its files take no space.
fn write(dir: &Path, block: &Block) -> anyhow::Result<()> {
    let root = dir.join(&block.root);
    for (name, size) in &block.files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&root))?;
        File::create(&path)?.set_len(*size)?;
    }
    fs::write(
        root.join("meta.json"),
        serde_json::to_vec_pretty(&block.meta)?,
    )?;
    Ok(())
}
