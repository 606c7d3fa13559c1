//! `varve tools bucket` on a bucket in a folder, with blocks of both formats.

#![expect(clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, ensure};
use model::{BlockMeta, Labels};
use serde_json::Value;
use tempfile::TempDir;
use tsdb::{Block, Floats, SeriesEntry, decode_xor};

/// The blocks of the sample, oldest first.
const BLOCKS: [&str; 6] = [
    "01M8730YYK53DX21EDQCEJACBY",
    "01M8730Z9ADPS1ZRFG8H4AQGYD",
    "01M8730ZMD0DMX8CMNGRP6PKDH",
    "01M8731007J8R0N5Y01AAD4N8S",
    "01M87310CEE3FJSS5H0950MP0E",
    "01M87310NY5A2EQMNG169QQ1KJ",
];

/// The bits of the value at each time of each series.
type Samples = BTreeMap<(String, i64), u64>;

/// A bucket with the sample.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> anyhow::Result<Self> {
        let world = Self {
            dir: tempfile::tempdir()?,
        };
        copy(&sample(), &world.path("tsdb"))?;
        let path = world.path("tsdb").display().to_string();
        let told = world.json(&[
            "upload-blocks",
            "--path",
            &path,
            r#"--label=cluster="eu-1""#,
            "--output=json",
        ])?;
        ensure!(told["uploaded"] == Value::from(BLOCKS.to_vec()), "{told}");
        Ok(world)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn objstore(&self, name: &str) -> String {
        let folder = self.path(name);
        format!(
            "type: FILESYSTEM\nconfig:\n  directory: {}\n",
            folder.display()
        )
    }

    /// Runs a tool.
    fn run(&self, args: &[&str]) -> anyhow::Result<Output> {
        let run = Command::new(env!("CARGO_BIN_EXE_varve"))
            .args(["tools", "bucket"])
            .args(args)
            .arg("--objstore.config")
            .arg(self.objstore("bucket"))
            .current_dir(self.dir.path())
            .output();
        run.context("varve runs")
    }

    /// What a tool prints.
    fn text(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.run(args)?;
        ensure!(output.status.success(), "{args:?}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What a tool prints as JSON.
    fn json(&self, args: &[&str]) -> anyhow::Result<Value> {
        let text = self.text(args)?;
        serde_json::from_str(&text).with_context(|| text)
    }

    /// Rewrites the first block; gives the new one.
    fn rewrite(&self, block: &str, args: &[&str]) -> anyhow::Result<String> {
        let tmp = self.path("tmp").display().to_string();
        let all = [
            "rewrite",
            "--id",
            block,
            "--no-dry-run",
            "--report=json",
            "--tmp.dir",
            &tmp,
        ];
        let told = self.json(&[&all[..], args].concat())?;
        let made = told["blocks"][0]["made"].as_str().context("a block")?;
        Ok(made.to_owned())
    }

    fn meta(&self, root: &str) -> anyhow::Result<BlockMeta> {
        let path = self.path("bucket").join(root).join(BlockMeta::FILE);
        let json = fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(BlockMeta::decode(&json)?)
    }

    fn has(&self, key: &str) -> anyhow::Result<bool> {
        Ok(self.path("bucket").join(key).try_exists()?)
    }

    /// What a TSDB block of the bucket holds.
    fn held(&self, block: &str) -> anyhow::Result<Samples> {
        held(&self.path("bucket").join(block))
    }
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/sample")
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let to = to.join(path.file_name().context("a name")?);
        match path.is_dir() {
            true => copy(&path, &to)?,
            false => fs::copy(&path, &to).map(drop)?,
        }
    }
    Ok(())
}

fn held(dir: &Path) -> anyhow::Result<Samples> {
    let block = Block::open(dir)?;
    let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let mut entry = SeriesEntry::default();
    let mut samples = Samples::new();
    for one in block.refs_by_name()? {
        series.read(one, &mut entry)?;
        let text = |symbol| block.symbols().get(symbol);
        let labels = entry.labels.iter().map(|(n, v)| (text(*n), text(*v)));
        let name = Labels::from_pairs(labels).to_string();
        for meta in &entry.chunks {
            let mut floats = Floats::default();
            decode_xor(&chunks.read(meta)?.data, &mut floats)?;
            for (time, value) in floats.timestamps.into_iter().zip(floats.values) {
                samples.insert((name.clone(), time), value.to_bits());
            }
        }
    }
    Ok(samples)
}

#[test]
fn blocks_are_listed_inspected_and_marked_in_both_formats() -> anyhow::Result<()> {
    let world = World::new()?;
    let parquet = world.rewrite(BLOCKS[0], &["--output=parquet"])?;
    let mut all = BLOCKS.to_vec();
    all.push(&parquet);
    all.sort_unstable();
    let listed = world.text(&["ls"])?;
    assert_eq!(listed.lines().collect::<Vec<_>>(), all);
    let wide = world.text(&["ls", "-o", "wide", "--min-time=2025-11-23T11:00:00Z"])?;
    assert_eq!(wide.lines().count(), 1, "{wide}");
    assert!(wide.starts_with(BLOCKS[5]), "{wide}");
    let json = world.text(&["ls", "--output=json", "--exclude-delete"])?;
    let metas: Vec<Value> = serde_json::Deserializer::from_str(&json)
        .into_iter()
        .collect::<Result<_, _>>()?;
    assert_eq!(metas.len(), 7);
    let refused = world.run(&["ls", "-o", "{{.ULID}}"])?;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");

    let mark = |id: &str, more: &[&str]| {
        let args = ["mark", "--id", id, "--marker=deletion-mark.json"];
        world.run(&[&args, more].concat())
    };
    assert!(mark(&parquet, &["--details=by hand"])?.status.success());
    assert!(world.has(&format!("parquet/{parquet}/deletion-mark.json"))?);
    let left = world.text(&["ls", "--exclude-delete"])?;
    assert_eq!(left.lines().collect::<Vec<_>>(), BLOCKS);
    assert!(mark(&parquet, &["--remove"])?.status.success());
    assert!(!world.has(&format!("parquet/{parquet}/deletion-mark.json"))?);
    for (id, more) in [
        ("01M8730YYK53DX21EDQCEJACB0", &["--details=x"][..]),
        (&parquet, &[]),
    ] {
        assert!(!mark(id, more)?.status.success(), "{id}");
    }

    let table = world.text(&["inspect", "--sort-by=RANGE"])?;
    assert_eq!(table.lines().count(), 9, "{table}");
    let none = world.text(&["inspect", r#"--selector=cluster="us-1""#, "--output=csv"])?;
    assert_eq!(none.lines().count(), 1, "{none}");
    Ok(())
}

#[test]
fn what_is_marked_long_enough_is_cleaned_and_retention_marks() -> anyhow::Result<()> {
    let world = World::new()?;
    let args = ["--consistency-delay=0s", "--output=json"];
    let retention = ["retention", "--retention.resolution-raw=1d"];
    // None was downsampled, so none is lost.
    let told = world.json(&[&retention[..], &args].concat())?;
    assert_eq!(told["expired"], Value::Array(Vec::new()));
    assert_eq!(told["kept"].as_array().map(Vec::len), Some(6), "{told}");
    let told = world.json(&[&retention[..], &args, &["--downsampling.disable"]].concat())?;
    assert_eq!(told["expired"].as_array().map(Vec::len), Some(6), "{told}");
    let told = world.json(&["cleanup", "--output=json"])?;
    assert_eq!(told["deleted"], Value::Array(Vec::new()));
    let told = world.json(&["cleanup", "--delete-delay=0s", "--output=json"])?;
    assert_eq!(told["deleted"].as_array().map(Vec::len), Some(6), "{told}");
    assert_eq!(world.text(&["ls"])?, "");
    Ok(())
}

#[test]
fn a_block_becomes_parquet_and_tsdb_again_with_the_same_samples() -> anyhow::Result<()> {
    let world = World::new()?;
    let before = world.held(BLOCKS[0])?;
    let args = ["--delete-blocks", "--output=parquet"];
    let parquet = world.rewrite(BLOCKS[0], &args)?;
    assert!(world.has(&format!("{}/deletion-mark.json", BLOCKS[0]))?);
    let meta = world.meta(&format!("parquet/{parquet}"))?;
    // It holds the samples of the same block of a Prometheus.
    assert_eq!(meta.compaction.sources, [BLOCKS[0].parse()?]);
    assert_eq!(meta.stats.num_samples, 102_975);
    let tsdb = world.rewrite(&parquet, &["--output=tsdb"])?;
    assert!(!world.has(&format!("parquet/{parquet}/deletion-mark.json"))?);
    assert_eq!(world.held(&tsdb)?, before);
    let meta = world.meta(&tsdb)?;
    assert_eq!(meta.compaction.sources, [BLOCKS[0].parse()?]);
    let thanos = meta.thanos.context("Thanos's section")?;
    assert_eq!(thanos.source, "bucket.rewrite");
    assert_eq!(thanos.labels["cluster"], "eu-1");
    Ok(())
}

#[test]
fn samples_are_deleted_and_labels_changed_in_both_formats() -> anyhow::Result<()> {
    let world = World::new()?;
    let before = world.held(BLOCKS[1])?;
    let name = before.keys().next().context("a series")?.0.clone();
    let first = labels(&name)?;
    let metric = first.get(model::METRIC_NAME).context("a name")?;
    let metric = String::from_utf8(metric.to_vec())?;
    let (min, max) = (1_763_863_200_000_i64, 1_763_866_800_000_i64);
    let deletions = format!(
        "- matchers: '{{__name__=\"{metric}\"}}'\n  intervals: [{{mint: {min}, maxt: {max}}}]\n"
    );
    let rules = "- action: labeldrop\n  regex: instance\n";
    let is_metric = |series: &str| series.contains(&format!("__name__=\"{metric}\""));
    let expected: Samples = before
        .iter()
        .filter(|((series, time), _)| !(is_metric(series) && (min..=max).contains(time)))
        .map(|(place, value)| (place.clone(), *value))
        .collect();
    assert!(expected.len() < before.len());

    let dry = world.text(&[
        "rewrite",
        "--id",
        BLOCKS[1],
        "--rewrite.to-delete-config",
        &deletions,
        "--tmp.dir=tmp",
    ])?;
    assert!(dry.starts_with("Deleted {"), "{dry}");
    assert_eq!(world.text(&["ls"])?.lines().count(), 6);

    let delete = ["--rewrite.to-delete-config", deletions.as_str()];
    let made = world.rewrite(BLOCKS[1], &delete)?;
    assert_eq!(world.held(&made)?, expected);
    let meta = world.meta(&made)?;
    assert_eq!(meta.compaction.sources, [made.parse()?]);
    let thanos = meta.thanos.context("Thanos's section")?;
    let noted = &thanos.extra["rewrites"][0];
    assert_eq!(noted["sources"][0], BLOCKS[1]);
    assert_eq!(noted["deletions_applied"][0]["intervals"][0]["Mint"], min);

    // The same by way of Parquet, with other labels too: series get another order.
    let parquet = world.rewrite(BLOCKS[1], &["--output=parquet"])?;
    let relabel = ["--rewrite.to-relabel-config", rules, "--output=tsdb"];
    let made = world.rewrite(&parquet, &[&delete[..], &relabel].concat())?;
    let without = |series: &str| -> anyhow::Result<String> {
        let all = labels(series)?;
        let kept = all.iter().filter(|(name, _)| *name != b"instance");
        Ok(Labels::from_pairs(kept).to_string())
    };
    let mut relabelled = Samples::new();
    for ((series, time), value) in expected {
        relabelled.insert((without(&series)?, time), value);
    }
    let found = world.held(&made)?;
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        relabelled.keys().collect::<Vec<_>>()
    );
    Ok(())
}

/// The labels that are written so.
fn labels(series: &str) -> anyhow::Result<Labels> {
    let matchers = model::parse_selector(series)?;
    let pairs = matchers.into_iter().map(|m| (m.name, m.value));
    Ok(Labels::from_pairs(pairs))
}

#[test]
fn blocks_are_replicated_and_what_overlaps_is_found_and_removed() -> anyhow::Result<()> {
    let world = World::new()?;
    let parquet = world.rewrite(BLOCKS[0], &["--output=parquet"])?;
    fs::create_dir_all(world.path("other"))?;
    let to = world.objstore("other");
    let told = world.json(&[
        "replicate",
        "--single-run",
        "--http-address=127.0.0.1:0",
        "--objstore-to.config",
        &to,
        "--output=json",
        r#"--matcher=cluster=~"eu-.*""#,
    ])?;
    assert_eq!(told["copied"].as_array().map(Vec::len), Some(7), "{told}");
    let there = world.path("other").join("parquet").join(&parquet);
    assert!(there.join("0.labels.parquet").try_exists()?);

    let good = world.text(&["verify", "--tmp.dir=tmp"])?;
    let overlap = format!("{}, mint", BLOCKS[0]);
    assert!(good.starts_with("overlapped_blocks: group 0@"), "{good}");
    assert!(good.contains(&overlap) && good.contains(&parquet), "{good}");
    let refused = world.run(&["verify", "--repair", "--issues=duplicated_compaction"])?;
    assert!(!refused.status.success(), "{refused:?}");
    let backup = world.objstore("backup");
    let repair = [
        "verify",
        "--repair",
        "--issues=duplicated_compaction",
        "--objstore-backup.config",
        &backup,
    ];
    let found = world.text(&repair)?;
    // A compactor would keep the Parquet block, and removes the other in its time.
    let expected = format!(
        "duplicated_compaction: block {}: holds what {parquet} does\n",
        BLOCKS[0]
    );
    assert_eq!(found, expected);
    assert!(world.has(&format!("parquet/{parquet}/meta.json"))?);
    assert!(world.has(BLOCKS[0])? && !world.path("backup").join(BLOCKS[0]).try_exists()?);
    // Of two of one format the oldest stays.
    let copied = world.rewrite(BLOCKS[1], &["--output=tsdb"])?;
    world.text(&repair)?;
    assert!(world.has(BLOCKS[1])? && !world.has(&copied)?);
    let kept = world.path("backup").join(&copied);
    assert!(kept.join("meta.json").try_exists()?);
    Ok(())
}

#[test]
fn a_damaged_block_is_found_and_is_not_removed_as_it_cannot_be_made_anew() -> anyhow::Result<()> {
    let world = World::new()?;
    let path = world.path("bucket").join(BLOCKS[2]).join("chunks/000001");
    let mut bytes = fs::read(&path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // Not through the object, which may be a link.
    fs::remove_file(&path)?;
    fs::write(&path, bytes)?;
    let issues = ["verify", "--issues=index_known_issues", "--tmp.dir=tmp"];
    let found = world.text(&issues)?;
    let expected = format!("index_known_issues: block {}: ", BLOCKS[2]);
    assert!(found.starts_with(&expected), "{found}");
    assert_eq!(found.lines().count(), 1, "{found}");
    let backup = world.objstore("backup");
    let repair = ["--repair", "--objstore-backup.config", &backup];
    let repaired = world.run(&[&issues[..], &repair].concat())?;
    assert!(!repaired.status.success(), "{repaired:?}");
    assert!(world.has(&format!("{}/meta.json", BLOCKS[2]))?);
    Ok(())
}
