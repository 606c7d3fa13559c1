//! The vocabulary of Prometheus storage: labels, matchers, time, blocks and their marks.
//!
//! Pure values; this crate reads no file, waits for nothing and knows no object store.

mod block_id;
mod labels;
mod marks;
mod matcher;
mod meta;
mod time;

pub use crate::{
    block_id::{BlockId, InvalidBlockId},
    labels::{Labels, LabelsBuilder, METRIC_NAME},
    marks::{DeletionMark, NoCompactMark, NoCompactReason, NoDownsampleMark},
    matcher::{MatchOp, Matcher, MatcherError},
    meta::{
        BlockDesc, BlockMeta, BlockStats, CompactionMeta, Downsample, FileMeta, IndexStats,
        MetaError, ParquetMeta, ParquetShard, Resolution, ThanosMeta,
    },
    time::{TimeRange, Timestamp},
};
