//! `type: AZURE`.

use super::{Table, honoured, http::HTTP, none};

pub(super) const AZURE: Table = Table {
    kind: "AZURE",
    fields: &[
        honoured("storage_account", ""),
        honoured("storage_account_key", ""),
        honoured("storage_connection_string", ""),
        honoured(
            "storage_create_container",
            "true if absent; the container is created when the first request finds none",
        ),
        honoured("container", ""),
        honoured("endpoint", "`blob.core.windows.net` if absent"),
        honoured("az_tenant_id", "with `client_id` and `client_secret`"),
        honoured("client_id", ""),
        honoured("client_secret", ""),
        honoured("user_assigned_id", "the client of a managed identity"),
        none(
            "msi_resource",
            "",
            "the resource is always Azure Storage, with Thanos too",
        ),
        honoured("max_retries", "for `pipeline_config.max_tries`; 0 is 10"),
        none(
            "reader_config.max_retry_requests",
            "0",
            "`pipeline_config.max_tries` counts for reads too",
        ),
        honoured("pipeline_config.max_tries", "attempts after the first"),
        honoured(
            "pipeline_config.try_timeout",
            "the longest wait for an answer's next bytes",
        ),
        honoured("pipeline_config.retry_delay", "the first pause"),
        honoured("pipeline_config.max_retry_delay", "the longest pause"),
    ],
    http: HTTP,
    refused: None,
};
