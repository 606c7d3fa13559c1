//! The target of an export: a folder, or a bucket by way of a folder.

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

/// Below the data folder: files for a bucket.
const STAGE: &str = "export";

/// The place of the files.
pub(super) struct Target {
    /// They are written below it.
    root: PathBuf,
    /// They are moved to the bucket, below the prefix.
    bucket: Option<(Bucket, String)>,
    files: u64,
    bytes: u64,
}

impl Target {
    /// The target of the arguments. It must be empty.
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

    /// The folder of a part's files.
    pub(super) fn folder(&self, part: &str) -> PathBuf {
        if part.is_empty() {
            self.root.clone()
        } else {
            self.root.join(part)
        }
    }

    /// Takes complete files.
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

    /// The number of taken files, and their bytes.
    pub(super) const fn taken(&self) -> (u64, u64) {
        (self.files, self.bytes)
    }

    /// Its name for people.
    pub(super) fn name(&self) -> String {
        match &self.bucket {
            Some((bucket, prefix)) => format!("{}/{prefix}", bucket.name()),
            None => self.root.display().to_string(),
        }
    }
}

/// Whether a folder has no files, or does not exist.
fn is_empty(folder: &Path) -> io::Result<bool> {
    let entries = files::entries(folder)?;
    Ok(entries.is_none_or(|mut entries| entries.next().is_none()))
}
