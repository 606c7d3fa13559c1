//! Merges local blocks: `merge_blocks tsdb|parquet|penalty RESOLUTIONS TO BLOCK...`, such as
//! `merge_blocks tsdb 0,300000 out a b`. `penalty` is TSDB of replicas.
//!
//! Each output becomes a folder below TO, named by its ULID. The tests against Thanos look at what comes out.

use std::{env, error::Error, fs, path::PathBuf};

use compactor::{Dedup, MergeInput, MergeOptions, MergeTarget, OutputFormat, merge};
use model::{
    BlockId, BlockMeta, Downsample, FileMeta, ParquetMeta, Resolution, ThanosMeta, TimeRange,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [kind, resolutions, to, blocks @ ..] = args.as_slice() else {
        return Err("usage: merge_blocks tsdb|parquet|penalty RESOLUTIONS TO BLOCK...".into());
    };
    let mut metas = Vec::new();
    for block in blocks {
        let json = fs::read(PathBuf::from(block).join(BlockMeta::FILE))?;
        metas.push(BlockMeta::decode(&json)?);
    }
    let mut meta = metas.first().ok_or("no block is given")?.clone();
    for other in &metas {
        meta.min_time = meta.min_time.min(other.min_time);
        meta.max_time = meta.max_time.max(other.max_time);
    }
    meta.compaction.sources = metas.iter().map(|m| m.ulid).collect();
    meta.compaction.sources.sort();
    meta.compaction.level += 1;

    let mut outputs = Vec::new();
    for resolution in resolutions.split(',') {
        let resolution = Resolution::try_from(resolution.parse::<i64>()?)?;
        let id = BlockId::new(meta.max_time, u128::try_from(resolution.millis())? + 1);
        let dir = PathBuf::from(to).join(id.to_string());
        fs::create_dir_all(&dir)?;
        outputs.push((id, MergeTarget { resolution, dir }));
    }
    let input = MergeInput {
        blocks: blocks.iter().map(PathBuf::from).collect(),
        range: TimeRange::new(meta.min_time.0, meta.max_time.0 - 1),
        outputs: outputs.iter().map(|(_, target)| target.clone()).collect(),
        dedup: match kind.as_str() {
            "penalty" => Dedup::Penalty,
            _ => Dedup::Exact,
        },
        format: match kind.as_str() {
            "parquet" => OutputFormat::Parquet,
            _ => OutputFormat::Tsdb,
        },
        options: MergeOptions::default(),
    };
    for ((id, target), made) in outputs.iter().zip(merge(&input, &|_| {})?) {
        let files = made.files.iter().map(|name| {
            let size_bytes = fs::metadata(target.dir.join(name))?.len();
            let rel_path = name.clone();
            Ok::<_, std::io::Error>(FileMeta {
                rel_path,
                size_bytes,
                ..FileMeta::default()
            })
        });
        let segments = made.files.iter().filter_map(|f| f.strip_prefix("chunks/"));
        let thanos = meta.thanos.clone().unwrap_or_default();
        let shards = made.shards.clone();
        let is_parquet = input.format == OutputFormat::Parquet;
        let meta = BlockMeta {
            ulid: *id,
            stats: made.stats,
            parquet: is_parquet.then_some(ParquetMeta { version: 1, shards }),
            thanos: Some(ThanosMeta {
                downsample: Downsample {
                    resolution: made.resolution,
                },
                source: "compactor".to_owned(),
                segment_files: segments.map(str::to_owned).collect(),
                files: files.collect::<Result<_, _>>()?,
                index_stats: made.index_stats,
                ..thanos
            }),
            ..meta.clone()
        };
        fs::write(target.dir.join(BlockMeta::FILE), meta.encode())?;
    }
    Ok(())
}
