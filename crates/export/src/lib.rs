//! Samples as plain columns: Parquet, Arrow IPC or CSV files that SQL engines and data frames read.
//!
//! One row is one sample of one series. Rows are sorted by the labels of their series, then by time.
//!
//! | column | type | what it holds |
//! |---|---|---|
//! | one for each label | dictionary of strings | the label's value; null where the series has no such label |
//! | `timestamp` | milliseconds, UTC | the time of the sample |
//! | `value` | float | a float sample |
//! | `histogram` | struct | a native histogram, with the fields of Prometheus's JSON: see [`Buckets`] |
//! | `count`, `sum`, `min`, `max`, `counter` | float | aggregates of a downsampled block, at 5 m and 1 h only |
//! | `sum_histogram`, `counter_histogram` | struct | the aggregates of native histograms, at 5 m and 1 h only |
//!
//! A label that has the name of another column, in upper or lower case, gets the prefix `label_`; the metadata of each
//! column says under `label` which label it holds. Bytes of a label that are not UTF-8 are
//! written as `\xff`. Staleness markers are no rows. `counter` has resets added up, as a querier does: it starts with
//! the first value of the series in the range that is exported and never falls.
//!
//! ```text
//! series, chunks ─▶ SeriesRows: decode, merge, cut ─▶ Rows: one record batch ─▶ Files: one file after the other
//! ```
//! Sync and without I/O but for local files. Memory is bounded by a batch of rows and a row group of encoded pages.

mod counter;
mod csv_rows;
mod days;
mod decode;
mod error;
mod exporter;
mod file;
mod files;
mod histogram;
mod label_column;
mod layout;
mod rows;

pub use crate::{
    days::{Day, days},
    error::ExportError,
    exporter::Exporter,
    file::Format,
    files::{Files, Finished},
    histogram::{Bucket, Buckets},
    layout::Layout,
};
