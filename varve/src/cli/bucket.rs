//! The arguments of `varve tools bucket`, under the names of `thanos tools bucket`.

mod blocks;
mod changes;

use clap::{Args, Subcommand, ValueEnum};

pub(crate) use self::{
    blocks::{
        CleanupArgs, InspectArgs, InspectOutput, LsArgs, LsOutput, MarkArgs, RetentionArgs,
        UploadBlocksArgs,
    },
    changes::{DownsampleArgs, LeaseArgs, ReplicateArgs, RewriteArgs, VerifyArgs, VerifyOutput},
};
use super::{BucketWebArgs, ObjstoreArgs};

/// `varve tools bucket`.
#[derive(Debug, Args)]
pub(crate) struct BucketArgs {
    #[command(flatten)]
    pub(crate) objstore: ObjstoreArgs,
    /// The tool.
    #[command(subcommand)]
    pub(crate) command: BucketCommand,
}

/// The tools.
#[derive(Debug, Subcommand)]
pub(crate) enum BucketCommand {
    /// List the blocks.
    Ls(LsArgs),
    /// Print a table of the blocks.
    Inspect(InspectArgs),
    /// Verify the blocks, and repair them if so asked.
    Verify(Box<VerifyArgs>),
    /// Serve a page that shows the blocks.
    Web(Box<BucketWebArgs>),
    /// Copy blocks to another bucket.
    Replicate(Box<ReplicateArgs>),
    /// Downsample the blocks that are long enough.
    Downsample(Box<DownsampleArgs>),
    /// Delete the blocks that are marked for deletion, and abandoned uploads.
    Cleanup(CleanupArgs),
    /// Mark blocks for deletion, or against compaction or downsampling.
    Mark(MarkArgs),
    /// Rewrite blocks without some series, with other labels, or in the other format.
    Rewrite(Box<RewriteArgs>),
    /// Mark the blocks for deletion that are past their retention.
    Retention(RetentionArgs),
    /// Upload the blocks of a folder.
    UploadBlocks(UploadBlocksArgs),
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Report {
    /// Only the log.
    Log,
    /// The log, and at the end one JSON object.
    Json,
}
