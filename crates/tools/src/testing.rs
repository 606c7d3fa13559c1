//! Buckets for tests.

use bucket::{Bucket, MetaFetcher, Snapshot, SyncMetrics};
use service::Metrics;

/// A block's name.
pub(crate) const ID: &str = "01HF8J5JG0RAVB4GMS32W7ZJ2B";
/// Another, which is later.
pub(crate) const OTHER: &str = "01M8730YYK53DX21EDQCEJACBY";

/// Puts the `meta.json` of the block at `root` into the bucket; `members` are its members, the common ones apart.
pub(crate) async fn put(bucket: &Bucket, root: &str, members: &str) {
    let id = root.trim_start_matches("parquet/");
    let json = format!(r#"{{"ulid":"{id}","version":1,{members}}}"#);
    let key = format!("{root}/meta.json");
    bucket.put(&key, json.into()).await.unwrap();
}

/// What is in the bucket.
pub(crate) async fn snapshot(bucket: &Bucket) -> Snapshot {
    let metrics = Metrics::new().register_once("block syncs", SyncMetrics::register);
    let mut fetcher = MetaFetcher::new(bucket.clone(), None, 1, metrics);
    fetcher.fetch().await.unwrap()
}
