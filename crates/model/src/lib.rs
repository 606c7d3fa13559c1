//! The vocabulary of Prometheus storage: labels, matchers, time, blocks and their marks.
//!
//! Pure values: this crate reads no file, contains no `async` code and knows no object store.

mod aggregate;
mod block_id;
mod counted;
mod cursor;
mod footer_sum;
mod go_json;
mod histogram;
mod labels;
mod marks;
mod matcher;
mod meta;
mod quote;
mod ragged;
mod relabel;
mod rfc3339;
mod selector;
mod series_order;
mod sources;
mod time;
mod variables;

pub use crate::{
    aggregate::{Aggregate, AggregateSet},
    block_id::{BlockId, InvalidBlockId},
    counted::Counted,
    footer_sum::{FileSum, FooterSum, Xxh64},
    histogram::{
        CUSTOM_BUCKETS, CounterReset, Counts, Histogram, HistogramCounts, STALE_NAN, Span,
    },
    labels::{BLOCK_ID, Labels, LabelsBuilder, METRIC_NAME},
    marks::{
        DeletionMark, MARK_FILES, MarkError, NoCompactMark, NoCompactReason, NoDownsampleMark,
        ServedMark,
    },
    matcher::{MatchOp, Matcher, MatcherError},
    meta::{
        BlockDesc, BlockMeta, BlockStats, CompactionMeta, Downsample, ExternalLabels, Extra,
        FileMeta, IndexStats, MetaError, ParquetMeta, ParquetShard, Resolution, ThanosMeta,
    },
    quote::{Quoted, shown, unquoted},
    ragged::Ragged,
    relabel::{RelabelAction, RelabelConfig, RelabelError, Relabeling},
    rfc3339::{Rfc3339, parse_rfc3339},
    selector::{SelectorError, parse_selector},
    series_order::SeriesOrder,
    sources::{Coverable, Sources, covered_by},
    time::{TimeBound, TimeRange, Timestamp},
    variables::{UnsetVariable, expand_variables},
};
