//! `varve tools export` on blocks that a Prometheus scraped: each sample of the blocks is one row, whatever the blocks are.

#![expect(clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, ensure};
use arrow_array::{
    cast::AsArray as _,
    types::{Float64Type, Int32Type, TimestampMillisecondType},
};
use model::{Labels, STALE_NAN};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tsdb::{Block, Floats, SeriesEntry, decode_xor};

/// The bits of the value at each time of each series.
type Samples = BTreeMap<(String, i64), u64>;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/sample")
}

fn blocks() -> anyhow::Result<Vec<PathBuf>> {
    let mut blocks = Vec::new();
    for entry in fs::read_dir(sample())? {
        let path = entry?.path();
        if path.is_dir() {
            blocks.push(path);
        }
    }
    blocks.sort();
    Ok(blocks)
}

/// What is in the blocks, staleness markers apart.
fn held(labels: &[(&str, &str)]) -> anyhow::Result<Samples> {
    let mut samples = Samples::new();
    for path in blocks()? {
        let block = Block::open(&path)?;
        let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
        let mut entry = SeriesEntry::default();
        for one in block.refs_by_name()? {
            series.read(one, &mut entry)?;
            let text = |symbol| block.symbols().get(symbol).to_vec();
            let own = entry.labels.iter().map(|(n, v)| (text(*n), text(*v)));
            let more = labels
                .iter()
                .map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()));
            let name = Labels::from_pairs(own.chain(more)).to_string();
            for meta in &entry.chunks {
                let mut floats = Floats::default();
                decode_xor(&chunks.read(meta)?.data, &mut floats)?;
                for (time, value) in floats.timestamps.into_iter().zip(floats.values) {
                    if value.to_bits() != STALE_NAN {
                        samples.insert((name.clone(), time), value.to_bits());
                    }
                }
            }
        }
    }
    Ok(samples)
}

/// The files below a folder, by their names.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// What is in exported files. Each row is there once, and those of a file are in order.
fn rows(folder: &Path) -> anyhow::Result<Samples> {
    let mut samples = Samples::new();
    for path in files(folder)? {
        let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path)?)?.build()?;
        let mut before: Option<(Labels, i64)> = None;
        for batch in reader {
            let batch = batch?;
            let column = |name: &str| batch.column_by_name(name).with_context(|| name.to_owned());
            let times = column("timestamp")?.as_primitive::<TimestampMillisecondType>();
            let values = column("value")?.as_primitive::<Float64Type>();
            for row in 0..batch.num_rows() {
                let mut pairs = Vec::new();
                for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                    let Some(label) = column.as_dictionary_opt::<Int32Type>() else {
                        continue;
                    };
                    if let Some(key) = label.key(row) {
                        let value = label.values().as_string::<i32>().value(key);
                        pairs.push((field.name().clone(), value.to_owned()));
                    }
                }
                let place = (Labels::from_pairs(pairs), times.value(row));
                ensure!(before.as_ref() < Some(&place), "{place:?} after {before:?}");
                let key = (place.0.to_string(), place.1);
                ensure!(
                    samples.insert(key, values.value(row).to_bits()).is_none(),
                    "{place:?} is there twice"
                );
                before = Some(place);
            }
        }
    }
    Ok(samples)
}

fn varve(args: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_varve"));
    Ok(command.args(args).stdin(Stdio::null()).output()?)
}

fn done(args: &[&str]) -> anyhow::Result<String> {
    let output = varve(args)?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{args:?}: {said}");
    Ok(said)
}

/// A bucket that holds the blocks as a sidecar uploads them; gives its YAML.
fn bucket(dir: &Path) -> anyhow::Result<String> {
    let bucket = dir.join("bucket");
    for block in blocks()? {
        let name = block.file_name().context("a name")?.to_owned();
        for path in files(&block)? {
            let to = bucket.join(&name).join(path.strip_prefix(&block)?);
            fs::create_dir_all(to.parent().context("a folder")?)?;
            fs::copy(&path, &to)?;
        }
        let meta = bucket.join(&name).join("meta.json");
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&meta)?)?;
        json["thanos"] = serde_json::json!({"labels": {"cluster": "eu-1"}, "downsample": {"resolution": 0}, "source": "sidecar"});
        fs::write(&meta, serde_json::to_vec(&json)?)?;
    }
    Ok(format!(
        "type: FILESYSTEM\nconfig: {{directory: {}}}\n",
        bucket.display()
    ))
}

const ALL: &str = r#"{__name__=~".+"}"#;

#[test]
fn each_sample_of_a_folder_of_blocks_is_one_row() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("out");
    let said = done(&[
        "tools",
        "export",
        ALL,
        "--tsdb.path",
        sample().to_str().context("text")?,
        "--output",
        out.to_str().context("text")?,
    ])?;
    let held = held(&[])?;
    assert!(
        rows(&out)? == held,
        "other samples than those of the blocks"
    );
    let summary = format!("860 series, {} samples, 1 file, ", held.len());
    assert!(said.contains(&summary), "{said}");
    Ok(())
}

#[test]
fn parquet_and_tsdb_blocks_are_read_together_by_selector_time_and_day() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let yaml = bucket(dir.path())?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    done(&[
        "compact",
        "--consistency-delay=0s",
        "--http-address=127.0.0.1:0",
        "--objstore.config",
        &yaml,
        "--data-dir",
        &path("data"),
    ])?;
    let made = dir.path().join("bucket/parquet");
    ensure!(made.try_exists()?, "some blocks were merged");
    let mut expected = held(&[("cluster", "eu-1")])?;
    done(&[
        "tools",
        "export",
        ALL,
        "--objstore.config",
        &yaml,
        "--output",
        &path("whole"),
    ])?;
    assert!(
        rows(&dir.path().join("whole"))? == expected,
        "other samples than those of the blocks"
    );

    // Midday is within a block that was not merged: 2025-11-23, 07:00:00 to 09:59:59.999.
    let (start, end) = (1_763_881_200_000, 1_763_891_999_999);
    expected.retain(|(series, time), _| {
        series.contains(r#" job="node""#) && (start..=end).contains(time)
    });
    let target = format!(
        "type: FILESYSTEM\nconfig: {{directory: {}}}\n",
        path("target")
    );
    done(&[
        "tools",
        "export",
        r#"{job="node"}"#,
        "--objstore.config",
        &yaml,
        "--partition",
        "day",
        "--min-time",
        "2025-11-23T07:00:00Z",
        "--max-time",
        "2025-11-23T09:59:59.999Z",
        "--output.objstore.config",
        &target,
        "--output.prefix",
        "of/node",
    ])?;
    let day = dir
        .path()
        .join("target/of/node/date=2025-11-23/part-00000.parquet");
    ensure!(day.try_exists()?, "{}", day.display());
    assert!(!expected.is_empty());
    assert!(
        rows(&dir.path().join("target"))? == expected,
        "other samples than those of the blocks"
    );
    Ok(())
}

#[test]
fn nothing_is_written_over_and_no_block_is_left_out_in_silence() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(dir.path().join("full"))?;
    fs::write(dir.path().join("full/file"), b"mine")?;
    let refused = |args: &[&str]| -> anyhow::Result<String> {
        let output = varve(&[&["tools", "export", ALL], args].concat())?;
        assert_eq!(output.status.code(), Some(1));
        Ok(String::from_utf8(output.stderr)?)
    };
    let sample = sample().display().to_string();
    let said = refused(&["--tsdb.path", &sample, "--output", &path("full")])?;
    assert!(said.contains("expected an empty folder"), "{said}");
    let said = refused(&["--tsdb.path", &path("nowhere"), "--output", &path("out")])?;
    assert!(said.contains("nowhere"), "{said}");
    // One block of the bucket cannot be read.
    let yaml = bucket(dir.path())?;
    let block = blocks()?[2]
        .file_name()
        .context("a name")?
        .to_string_lossy()
        .into_owned();
    let index = dir.path().join("bucket").join(&block).join("index");
    let mut bytes = fs::read(&index)?;
    let end = bytes.len();
    bytes[end - 20] ^= 1;
    fs::write(&index, bytes)?;
    let said = refused(&["--objstore.config", &yaml, "--output", &path("out")])?;
    assert!(said.contains(&block) && said.contains("index"), "{said}");
    let out = dir.path().join("out");
    ensure!(
        !out.try_exists()?
            || files(&out)?
                .iter()
                .all(|f| f.extension().is_none_or(|e| e != "parquet"))
    );
    Ok(())
}
