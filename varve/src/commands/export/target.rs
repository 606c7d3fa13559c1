//! Where an export goes: a folder, or a bucket by way of one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use bucket::{Bucket, BucketConfig};
use export::Finished;
use service::Metrics;

use crate::{
    cli::{self, ExportArgs, content},
    commands::daemon,
};

/// Below the data folder: files on their way to a bucket.
const STAGE: &str = "export";

/// Where the files go.
pub(super) struct Target {
    /// The files are written below it.
    root: PathBuf,
    /// They are moved to the bucket, below the prefix.
    bucket: Option<(Bucket, String)>,
    files: u64,
    bytes: u64,
}

impl Target {
    /// The target that the arguments name. It must hold nothing yet.
    pub(super) async fn open(
        args: &ExportArgs,
        data_dir: &Path,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let yaml = content(
            args.output_objstore_config_file.as_deref(),
            args.output_objstore_config.as_deref(),
        )?;
        let (root, bucket) = match (&args.output, yaml) {
            (Some(folder), _) => {
                let is_empty =
                    is_empty(folder).with_context(|| format!("--output {}", folder.display()))?;
                anyhow::ensure!(
                    is_empty,
                    "--output {}: expected an empty folder",
                    folder.display()
                );
                (folder.clone(), None)
            }
            (None, Some(yaml)) => {
                let config = BucketConfig::from_yaml(&yaml, cli::variable)?;
                let bucket = daemon::metered(config.open()?, metrics);
                let prefix = args.output_prefix.trim_matches('/').to_owned();
                anyhow::ensure!(
                    !prefix.is_empty(),
                    "--output.prefix: expected a name, found none"
                );
                let found = bucket.list(&prefix, None).await?;
                anyhow::ensure!(
                    found.is_empty(),
                    "--output.prefix {prefix}: expected no objects in the bucket {}, found {}",
                    bucket.name(),
                    found.len()
                );
                let stage = data_dir.join(STAGE);
                files::remove_folder(&stage)
                    .with_context(|| format!("removing {}", stage.display()))?;
                (stage, Some((bucket, prefix)))
            }
            (None, None) => {
                anyhow::bail!("no target: --output or --output.objstore.config says where to write")
            }
        };
        Ok(Self {
            root,
            bucket,
            files: 0,
            bytes: 0,
        })
    }

    /// Where the files of a part are written.
    pub(super) fn folder(&self, part: &str) -> PathBuf {
        if part.is_empty() {
            self.root.clone()
        } else {
            self.root.join(part)
        }
    }

    /// Takes files that are whole.
    pub(super) async fn take(&mut self, files: Vec<Finished>) -> anyhow::Result<()> {
        for file in files {
            self.files += 1;
            self.bytes += file.bytes;
            let Some((bucket, prefix)) = &self.bucket else {
                continue;
            };
            let below = file.path.strip_prefix(&self.root).unwrap_or(&file.path);
            let below = below.to_str().context("a name that is text")?;
            bucket
                .upload(&format!("{prefix}/{below}"), &file.path)
                .await?;
            fs::remove_file(&file.path)
                .with_context(|| format!("removing {}", file.path.display()))?;
        }
        Ok(())
    }

    /// How many files were taken, and their bytes.
    pub(super) const fn taken(&self) -> (u64, u64) {
        (self.files, self.bytes)
    }

    /// What people call it.
    pub(super) fn name(&self) -> String {
        match &self.bucket {
            Some((bucket, prefix)) => format!("{}/{prefix}", bucket.name()),
            None => self.root.display().to_string(),
        }
    }
}

/// Whether a folder has no files, or is not there.
fn is_empty(folder: &Path) -> io::Result<bool> {
    let entries = files::entries(folder)?;
    Ok(entries.is_none_or(|mut entries| entries.next().is_none()))
}
