//! Types that are refused as a whole: their credentials are of no use on an S3-compatible interface.

use super::{Field, Table, http::HTTP, refused};

/// As the type itself is refused, so is each of its fields.
const fn of_type(name: &'static str) -> Field {
    refused(name, "", "the type is refused")
}

pub(super) const OCI: Table = Table {
    kind: "OCI",
    fields: &[
        of_type("provider"),
        of_type("bucket"),
        of_type("compartment_ocid"),
        of_type("tenancy_ocid"),
        of_type("user_ocid"),
        of_type("region"),
        of_type("fingerprint"),
        of_type("privatekey"),
        of_type("passphrase"),
        of_type("part_size"),
        of_type("max_request_retries"),
        of_type("request_retry_interval"),
    ],
    http: &[
        of_type("idle_conn_timeout"),
        of_type("response_header_timeout"),
        of_type("insecure_skip_verify"),
        of_type("tls_handshake_timeout"),
        of_type("expect_continue_timeout"),
        of_type("max_idle_conns"),
        of_type("max_idle_conns_per_host"),
        of_type("max_conns_per_host"),
        of_type("disable_compression"),
        of_type("client_timeout"),
    ],
    refused: Some(
        "use type: S3 with endpoint NAMESPACE.compat.objectstorage.REGION.oraclecloud.com, region REGION, bucket_lookup_type path, and a customer secret key of the user as access_key and secret_key",
    ),
};

pub(super) const SWIFT: Table = Table {
    kind: "SWIFT",
    fields: &[
        of_type("auth_version"),
        of_type("auth_url"),
        of_type("username"),
        of_type("user_domain_name"),
        of_type("user_domain_id"),
        of_type("user_id"),
        of_type("password"),
        of_type("domain_id"),
        of_type("domain_name"),
        of_type("application_credential_id"),
        of_type("application_credential_name"),
        of_type("application_credential_secret"),
        of_type("project_id"),
        of_type("project_name"),
        of_type("project_domain_id"),
        of_type("project_domain_name"),
        of_type("region_name"),
        of_type("container_name"),
        of_type("large_object_chunk_size"),
        of_type("large_object_segments_container_name"),
        of_type("retries"),
        of_type("connect_timeout"),
        of_type("timeout"),
        of_type("use_dynamic_large_objects"),
    ],
    http: HTTP,
    refused: Some(
        "use type: S3 with the cluster's host (its s3api must be on) as endpoint, bucket_lookup_type path, and EC2 credentials (openstack ec2 credentials create) as access_key and secret_key",
    ),
};
