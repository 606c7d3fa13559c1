//! Tries all that a bucket and its leases must do on the store of an objstore YAML:
//! `bucket_conformance CONFIG_FILE SCRATCH_FOLDER`. The bucket, or its prefix, must be empty, and is left empty.

use std::{env, error::Error, fs, path::Path};

use bucket::{BucketConfig, testing};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut args = env::args().skip(1);
    let (Some(config), Some(scratch)) = (args.next(), args.next()) else {
        return Err("expected CONFIG_FILE and SCRATCH_FOLDER".into());
    };
    let yaml = fs::read_to_string(&config)?;
    let bucket = BucketConfig::from_yaml(&yaml, |name| env::var(name).ok())?.open()?;
    fs::create_dir_all(&scratch)?;
    testing::conformance(&bucket, Path::new(&scratch)).await?;
    testing::lease_conformance(&bucket).await
}
