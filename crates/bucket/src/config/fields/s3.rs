//! `type: S3` and `type: FILESYSTEM`.

use super::{Table, honoured, http::HTTP, none, refused};

pub(super) const S3: Table = Table {
    kind: "S3",
    fields: &[
        honoured("bucket", ""),
        honoured("endpoint", "host:port, without a scheme"),
        honoured("region", "see [the region](#the-region)"),
        honoured("access_key", "see [credentials](#credentials-of-s3)"),
        honoured("secret_key", ""),
        honoured("session_token", ""),
        honoured("aws_sdk_auth", ""),
        honoured("insecure", ""),
        refused(
            "signature_version2",
            "false",
            "requests are signed by version 4",
        ),
        honoured("put_user_metadata", "see [below](#other-fields-of-s3)"),
        honoured(
            "disable_dualstack",
            "on AWS, whether the server's name without `dualstack` is used",
        ),
        honoured("list_objects_version", ""),
        honoured("bucket_lookup_type", ""),
        none(
            "send_content_md5",
            "true",
            "the signature covers the SHA-256 of each body",
        ),
        honoured("disable_multipart", "then an object has at most 5 GiB"),
        honoured("part_size", "0 is 8 MiB"),
        honoured("sse_config.type", "SSE-S3, SSE-KMS, SSE-C"),
        honoured("sse_config.kms_key_id", ""),
        honoured("sse_config.kms_encryption_context", ""),
        honoured(
            "sse_config.encryption_key",
            "a file with the 32 bytes of the key; not with `insecure`",
        ),
        honoured("sts_endpoint", ""),
        honoured("max_retries", "0 is 10"),
        honoured(
            "trace.enable",
            "method, path, status and duration of each request, at level debug",
        ),
    ],
    http: HTTP,
    refused: None,
};

pub(super) const FILESYSTEM: Table = Table {
    kind: "FILESYSTEM",
    fields: &[honoured("directory", "")],
    http: &[],
    refused: None,
};
