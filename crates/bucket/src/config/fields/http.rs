//! `http_config`, which most types have.

use super::{Field, honoured, none};

pub(super) const HTTP: &[Field] = &[
    honoured("idle_conn_timeout", ""),
    honoured(
        "response_header_timeout",
        "the longest wait for an answer's next bytes",
    ),
    honoured("tls_handshake_timeout", "for the connection as a whole"),
    none(
        "expect_continue_timeout",
        "1s",
        "no request waits for `100 Continue`",
    ),
    none(
        "max_idle_conns",
        "100",
        "only `max_idle_conns_per_host` limits them",
    ),
    honoured("max_idle_conns_per_host", ""),
    honoured("max_conns_per_host", "further requests wait"),
    honoured("insecure_skip_verify", ""),
    honoured("tls_config.ca_file", "instead of the system's certificates"),
    honoured("tls_config.cert_file", "read at each handshake"),
    honoured("tls_config.key_file", "read at each handshake"),
    honoured(
        "tls_config.server_name",
        "the name that the certificate must have",
    ),
    honoured("tls_config.insecure_skip_verify", ""),
    none(
        "disable_compression",
        "false",
        "objects are never sent compressed, with Thanos neither",
    ),
];
