//! `varve compact` where no file may grow past a limit, as on a disk that is full, for a limit that rises: whatever it
//! was that could not be written, nothing is lost, and the next run ends in the same bucket.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, ensure};

/// The names of files, with what they hold.
type Files = BTreeMap<String, Vec<u8>>;

/// A bucket and a work folder.
struct World {
    dir: tempfile::TempDir,
    sources: Files,
}

impl World {
    /// Blocks of two hours that a Prometheus scraped, as a sidecar would have uploaded them.
    fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let bucket = dir.path().join("bucket");
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/sample");
        let mut sources = Files::new();
        for (name, bytes) in files(&sample)?.into_iter().filter(|(n, _)| n.contains('/')) {
            let bytes = match name.ends_with("/meta.json") {
                true => {
                    let mut meta: serde_json::Value = serde_json::from_slice(&bytes)?;
                    let thanos = serde_json::json!({"labels": {"cluster": "eu-1"}});
                    let fields = meta.as_object_mut().context("an object")?;
                    fields.insert("thanos".to_owned(), thanos);
                    serde_json::to_vec(&meta)?
                }
                false => bytes,
            };
            let path = bucket.join(&name);
            fs::create_dir_all(path.parent().context("a folder")?)?;
            fs::write(path, &bytes)?;
            sources.insert(name, bytes);
        }
        let config = format!(
            "type: FILESYSTEM\nconfig: {{directory: {}}}\n",
            bucket.display()
        );
        fs::write(dir.path().join("bucket.yaml"), config)?;
        Ok(Self { dir, sources })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A run in which no file grows past so many units of the shell's, which are of half a KiB or one.
    fn compact(&self, limit: &str, output: &str) -> anyhow::Result<Output> {
        // A write past the limit is an error then, and does not kill.
        let script = r#"trap "" XFSZ; ulimit -f "$0" && exec "$@""#;
        let mut command = Command::new("sh");
        command.args(["-c", script, limit, env!("CARGO_BIN_EXE_varve"), "compact"]);
        command.args(["--consistency-delay=0s", "--http-address=127.0.0.1:0"]);
        command.arg(format!("--compact.output={output}"));
        command.arg("--data-dir").arg(self.path("data"));
        command
            .arg("--objstore.config-file")
            .arg(self.path("bucket.yaml"));
        Ok(command.stdin(Stdio::null()).output()?)
    }

    /// The files of blocks that were made, but for `meta.json`, by their names below the block.
    fn made(&self) -> anyhow::Result<Files> {
        let all = files(&self.path("bucket"))?;
        let mut made = Files::new();
        for (name, bytes) in &all {
            let block = name.strip_prefix("parquet/").unwrap_or(name);
            let Some((block, file)) = block.split_once('/') else {
                continue;
            };
            let is_mark = file.ends_with(".json");
            let is_block = block.len() == 26 && !self.sources.contains_key(name);
            if is_block && !is_mark {
                let other = made.insert(file.to_owned(), bytes.clone());
                ensure!(other.is_none(), "{name} is there twice");
            }
        }
        Ok(made)
    }

    fn assert_sources_whole(&self) -> anyhow::Result<()> {
        for (name, bytes) in &self.sources {
            let path = self.path("bucket").join(name);
            ensure!(fs::read(path)? == *bytes, "{name} is another");
        }
        Ok(())
    }

    fn assert_nothing_is_left(&self) -> anyhow::Result<()> {
        let work = files(&self.path("data/compact"))?;
        ensure!(work.is_empty(), "{:?} are left", work.keys());
        for name in files(self.dir.path())?.keys() {
            let is_cut_off = name.contains('#') || name.ends_with(".part");
            ensure!(!is_cut_off, "{name} is left");
        }
        Ok(())
    }
}

/// All files below a folder.
fn files(root: &Path) -> anyhow::Result<Files> {
    let mut found = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root)?.display().to_string();
            found.insert(name, fs::read(path)?);
        }
    }
    Ok(found)
}

fn log(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}

/// Runs with a rising limit until nothing fails; tells how many failed.
fn every_limit(output: &str, outputs: usize) -> anyhow::Result<usize> {
    let world = World::new()?;
    let run = world.compact("unlimited", output)?;
    ensure!(run.status.success(), "{}", log(&run));
    world.assert_nothing_is_left()?;
    let expected = world.made()?;
    ensure!(expected.len() == outputs, "{:?}", expected.keys());
    let (mut limit, mut failed) = (0, 0);
    loop {
        let world = World::new()?;
        let run = world.compact(&limit.to_string(), output)?;
        let said = log(&run);
        let done = run.status.success();
        ensure!(
            done || run.status.code() == Some(1),
            "{}: {said}",
            run.status
        );
        ensure!(done || said.contains("File too large"), "{said}");
        world.assert_sources_whole().context(said.clone())?;
        let again = world.compact("unlimited", output)?;
        let said = format!("limit {limit}: {said}\n{}", log(&again));
        ensure!(again.status.success(), "{said}");
        world.assert_sources_whole().context(said.clone())?;
        world.assert_nothing_is_left().context(said.clone())?;
        ensure!(world.made()? == expected, "other blocks: {said}");
        if done {
            return Ok(failed);
        }
        failed += 1;
        limit = 2 * limit + 1;
    }
}

#[test]
fn a_write_of_parquet_that_fails_for_want_of_room_loses_nothing_and_leaves_nothing()
-> anyhow::Result<()> {
    // Labels and chunks.
    let failed = every_limit("parquet", 2)?;
    ensure!(failed > 5, "only {failed} runs failed");
    Ok(())
}

#[test]
fn a_write_of_tsdb_that_fails_for_want_of_room_loses_nothing_and_leaves_nothing()
-> anyhow::Result<()> {
    // Index and a segment.
    let failed = every_limit("tsdb", 2)?;
    ensure!(failed > 5, "only {failed} runs failed");
    Ok(())
}
