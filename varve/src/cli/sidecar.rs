//! The arguments of `varve sidecar`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use model::TimeBound;
use sidecar::HashFunc;

use super::{GrpcArgs, HttpArgs, HttpClientArgs, ObjstoreArgs, ReloaderArgs};
use crate::values::{self, LabelFlag};

/// `varve sidecar`.
#[derive(Debug, Args)]
pub(crate) struct SidecarArgs {
    /// The Prometheus that this is beside of.
    #[arg(
        long = "prometheus.url",
        default_value = "http://localhost:9090",
        value_name = "URL"
    )]
    pub(crate) prometheus_url: String,
    /// How long to wait for the external labels of Prometheus before giving up.
    #[arg(long = "prometheus.ready_timeout", default_value = "10m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) ready_timeout: Duration,
    /// How often Prometheus is asked for its external labels.
    #[arg(long = "prometheus.get_config_interval", default_value = "30s", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) get_config_interval: Duration,
    /// How long one such question may take.
    #[arg(long = "prometheus.get_config_timeout", default_value = "30s", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) get_config_timeout: Duration,
    #[command(flatten)]
    pub(crate) http_client: HttpClientArgs,
    /// Prometheus's data folder.
    #[arg(long = "tsdb.path", default_value = "./data", value_name = "PATH")]
    pub(crate) tsdb_path: PathBuf,
    /// External label of the blocks; where given, no Prometheus is asked. Repeatable.
    #[arg(long = "label", value_name = "NAME=\"VALUE\"")]
    pub(crate) labels: Vec<LabelFlag>,
    /// Upload blocks that Prometheus has compacted too.
    #[arg(long = "shipper.upload-compacted")]
    pub(crate) upload_compacted: bool,
    /// Go on where Prometheus's least and greatest block durations differ.
    #[arg(long = "shipper.ignore-unequal-block-size", hide = true)]
    pub(crate) ignore_unequal_block_size: bool,
    /// The file in the data folder that lists what was uploaded.
    #[arg(long = "shipper.meta-file-name", default_value = "thanos.shipper.json")]
    pub(crate) meta_file_name: String,
    /// Upload compacted blocks that overlap blocks of the bucket, too.
    #[arg(long = "shipper.allow-out-of-order-uploads", hide = true)]
    pub(crate) allow_overlaps: bool,
    /// Files of a block to upload at once; 0 for one after the other.
    #[arg(
        long = "shipper.upload-concurrency",
        default_value_t = 0,
        value_name = "COUNT"
    )]
    pub(crate) upload_concurrency: usize,
    /// Hash of each file to note in meta.json: SHA256, or none.
    #[arg(
        long = "hash-func",
        default_value = "",
        hide_default_value = true,
        value_name = "NAME",
        value_parser = values::hash_func
    )]
    pub(crate) hash_func: HashFunc,
    /// Start of the time range that is served, RFC 3339 or relative to now as in -2h.
    #[arg(
        long = "min-time",
        default_value = "0000-01-01T00:00:00Z",
        value_parser = values::time,
        value_name = "TIME",
        allow_hyphen_values = true
    )]
    pub(crate) min_time: TimeBound,
    /// The most series that one request may get; 0 for no limit.
    #[arg(
        long = "store.limits.request-series",
        default_value_t = 0,
        value_name = "COUNT"
    )]
    pub(crate) request_series: u64,
    /// The most samples that one request may get, counted as 120 for each chunk; 0 for no limit.
    #[arg(
        long = "store.limits.request-samples",
        default_value_t = 0,
        value_name = "COUNT"
    )]
    pub(crate) request_samples: u64,
    /// The most bytes of series of one request that may wait to be sorted.
    #[arg(long = "store.limits.request-sort-bytes", default_value = "256MB", value_name = "BYTES", value_parser = values::bytes)]
    pub(crate) request_sort_bytes: u64,
    /// Requests for series at once; more wait. 0 for no limit.
    #[arg(
        long = "store.grpc.series-max-concurrency",
        default_value_t = 20,
        value_name = "COUNT"
    )]
    pub(crate) series_max_concurrency: usize,
    /// Upload what there is, then end.
    #[arg(long = "once")]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) reloader: ReloaderArgs,
    #[command(flatten)]
    pub(crate) objstore: ObjstoreArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) grpc: GrpcArgs,
}
