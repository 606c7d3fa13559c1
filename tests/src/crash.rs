//! What befalls a program at one of its writes to the bucket, and what never may come of it.

use anyhow::Context as _;
use model::BlockMeta;

use crate::{Failure, Fault, S3Server, When};

/// What befalls a program at one of its writes.
#[derive(Clone, Copy, Debug)]
pub enum Crash {
    /// That write is refused; what the program does about it works.
    OneRefused,
    /// It is killed before that write: from then on nothing works.
    KilledBefore,
    /// It is killed behind that write.
    KilledBehind,
}

impl Crash {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OneRefused, Self::KilledBefore, Self::KilledBehind];

    /// Lets it happen at the write with this number, counted from now on.
    pub fn inject(self, s3: &S3Server, write: usize) {
        let fault = |when, failure| s3.inject(Fault { when, failure });
        match self {
            Self::OneRefused => fault(When::Write(write), Failure::Refused),
            Self::KilledBefore => fault(When::WritesFrom(write), Failure::Refused),
            Self::KilledBehind => {
                fault(When::Write(write), Failure::AnswerLost);
                fault(When::WritesFrom(write + 1), Failure::Refused);
            }
        }
    }
}

/// Sees that each block that has a `meta.json` has all files that this names.
///
/// # Errors
/// When one has not.
pub fn assert_no_partial_block(s3: &S3Server) -> anyhow::Result<()> {
    for key in s3.keys() {
        let Some(root) = key.strip_suffix("/meta.json") else {
            continue;
        };
        let meta = BlockMeta::decode(&s3.object(&key).context("a meta.json")?)?;
        let thanos = meta.thanos.with_context(|| key.clone())?;
        anyhow::ensure!(thanos.files.len() > 2, "{key}: {:?}", thanos.files);
        for file in thanos
            .files
            .iter()
            .filter(|f| f.rel_path != BlockMeta::FILE)
        {
            let size = s3.object(&format!("{root}/{}", file.rel_path));
            let size = size.map(|bytes| bytes.len() as u64);
            anyhow::ensure!(
                size == Some(file.size_bytes),
                "{root}/{}: expected {} bytes, found {size:?}",
                file.rel_path,
                file.size_bytes
            );
        }
    }
    Ok(())
}
