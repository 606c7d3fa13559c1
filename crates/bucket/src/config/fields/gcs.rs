//! `type: GCS`.

use super::{Table, honoured, http::HTTP, none};

pub(super) const GCS: Table = Table {
    kind: "GCS",
    fields: &[
        honoured("bucket", ""),
        honoured(
            "service_account",
            "JSON; see [credentials](#credentials-of-gcs)",
        ),
        none(
            "use_grpc",
            "false",
            "requests go by HTTP, to the same objects",
        ),
        none("grpc_conn_pool_size", "0", "requests go by HTTP"),
        honoured(
            "chunk_size_bytes",
            "the bytes of a part of an upload, at least 5 MiB; 0 is 8 MiB",
        ),
        honoured(
            "max_retries",
            "counts the first attempt, as with Thanos; 0 is 11",
        ),
    ],
    http: HTTP,
    refused: None,
};
