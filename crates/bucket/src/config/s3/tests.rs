use super::*;
use crate::BucketConfig;

const NO_VARIABLE: fn(&str) -> Option<String> = |_| None;

/// A bucket `b` on `server` with more fields.
fn s3(server: &str, more: &str) -> S3 {
    let yaml = format!("bucket: b\nendpoint: {server}\n{more}");
    S3::new(serde_saphyr::from_str(&yaml).unwrap(), &NO_VARIABLE).unwrap()
}

fn error(more: &str) -> String {
    let yaml = format!("type: S3\nconfig: {{bucket: b, {more}}}");
    let opened = BucketConfig::from_yaml(&yaml, NO_VARIABLE).and_then(|config| config.open());
    opened.expect_err(&yaml).to_string()
}

#[test]
fn what_cannot_be_honoured_is_an_error_that_names_the_field() {
    for (more, expected) in [
        ("endpoint: ''", "endpoint: expected host:port, found none"),
        (
            "endpoint: 'http://e:1'",
            "endpoint: expected host:port without scheme or path, found \"http://e:1\"",
        ),
        (
            "endpoint: e, access_key: a",
            "access_key: expected secret_key beside it",
        ),
        (
            "endpoint: e, access_key: a, secret_key: s, aws_sdk_auth: true",
            "aws_sdk_auth: expected no access_key",
        ),
        (
            "endpoint: e, signature_version2: true",
            "signature_version2: not supported",
        ),
        (
            "endpoint: e, list_objects_version: v1",
            "list_objects_version: expected v2, found \"v1\"",
        ),
        (
            "endpoint: e, part_size: 1024",
            "part_size: expected at least 5242880, found 1024",
        ),
        (
            "endpoint: e, put_user_metadata: {X-Amz-Acl: private}",
            "put_user_metadata.X-Amz-Acl: not supported",
        ),
        (
            "endpoint: e, sse_config: {type: SSE-C, encryption_key: k}",
            "sse_config.type: expected SSE-S3 or SSE-KMS, found \"SSE-C\"",
        ),
        (
            "endpoint: e, sse_config: {type: SSE-KMS}",
            "sse_config.kms_key_id: expected the key's id, found none",
        ),
        (
            "endpoint: e, sse_config: {type: SSE-KMS, kms_key_id: k, kms_encryption_context: {a: b}}",
            "sse_config.kms_encryption_context: not supported",
        ),
        (
            "endpoint: e, http_config: {tls_config: {cert_file: c}}",
            "http_config.tls_config.cert_file: not supported",
        ),
        (
            "endpoint: e, http_config: {tls_config: {server_name: c}}",
            "http_config.tls_config.server_name: not supported",
        ),
        (
            "endpoint: e, http_config: {tls_config: {ca_file: /none}}",
            "http_config.tls_config.ca_file: /none: No such file",
        ),
    ] {
        let found = error(more);
        assert!(
            found.starts_with(&format!("objstore config: config.{expected}")),
            "{found}"
        );
    }
    let found = error("endpoint: e, bucket_lookup_type: dns");
    assert!(
        found.contains("unknown variant `dns`, expected one of auto, virtual-hosted, path"),
        "{found}"
    );
    let found = error("endpoint: e, http_config: {idle_conn_timeout: ninety}");
    assert!(
        found.contains("expected a duration as in 1m30s, found \"ninety\""),
        "{found}"
    );
}

#[test]
fn a_ca_file_without_certificates_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display();
    let found = error(&format!(
        "endpoint: e, http_config: {{tls_config: {{ca_file: {path}}}}}"
    ));
    assert!(
        found.ends_with(&format!("{path}: expected certificates, found none")),
        "{found}"
    );
}

#[test]
fn the_bucket_is_named_where_the_server_expects_it() {
    for (server, more, expected) in [
        ("localhost:9000", "insecure: true", "http://localhost:9000"),
        ("minio.example", "", "https://minio.example"),
        (
            "minio.example",
            "bucket_lookup_type: virtual-hosted",
            "https://b.minio.example",
        ),
        (
            "minio.example",
            "bucket_lookup_type: auto",
            "https://minio.example",
        ),
        (
            "s3.eu-west-1.amazonaws.com",
            "",
            "https://b.s3.eu-west-1.amazonaws.com",
        ),
        (
            "s3.eu-west-1.amazonaws.com",
            "bucket_lookup_type: path",
            "https://s3.eu-west-1.amazonaws.com",
        ),
        (
            "s3.amazonaws.com",
            "region: eu-west-3",
            "https://b.s3.eu-west-3.amazonaws.com",
        ),
    ] {
        assert_eq!(s3(server, more).endpoint(), expected, "{server} {more}");
    }
    let mut dotted = s3("s3.eu-west-1.amazonaws.com", "");
    dotted.config.bucket = "a.b".to_owned();
    assert_eq!(dotted.endpoint(), "https://s3.eu-west-1.amazonaws.com");
}

#[test]
fn the_region_is_the_configured_the_servers_or_the_environments() {
    for (server, more, variable, expected) in [
        ("e", "", None, "us-east-1"),
        ("e", "", Some("eu-9"), "eu-9"),
        ("e", "region: r", Some("eu-9"), "r"),
        ("s3.eu-west-1.amazonaws.com", "", Some("eu-9"), "eu-west-1"),
        ("s3-eu-west-1.amazonaws.com", "", None, "eu-west-1"),
        (
            "s3.dualstack.eu-west-1.amazonaws.com",
            "",
            None,
            "eu-west-1",
        ),
        ("s3.cn-north-1.amazonaws.com.cn", "", None, "cn-north-1"),
        ("s3.amazonaws.com", "", None, "us-east-1"),
    ] {
        let yaml = format!("bucket: b\nendpoint: {server}\n{more}");
        let lookup = |name: &str| variable.filter(|_| name == "AWS_REGION").map(str::to_owned);
        let s3 = S3::new(serde_saphyr::from_str(&yaml).unwrap(), &lookup).unwrap();
        assert_eq!(s3.region, expected, "{server} {more}");
    }
}

#[test]
fn all_names_of_credentials_are_known_to_the_library() {
    for name in CREDENTIALS {
        assert!(
            name.to_lowercase().parse::<AmazonS3ConfigKey>().is_ok(),
            "{name}"
        );
    }
    assert!(
        "aws_server_side_encryption"
            .parse::<AmazonS3ConfigKey>()
            .is_ok()
    );
}

#[test]
fn objects_are_written_with_the_headers_and_metadata_configured() {
    let metadata = BTreeMap::from([
        ("X-Amz-Storage-Class".to_owned(), "GLACIER".to_owned()),
        ("Team".to_owned(), "a".to_owned()),
        ("x-amz-meta-tier".to_owned(), "b".to_owned()),
    ]);
    let attributes = attributes(&metadata);
    let value = |attribute| attributes.get(&attribute).map(|v| v.as_ref().to_owned());
    assert_eq!(value(Attribute::StorageClass).as_deref(), Some("GLACIER"));
    assert_eq!(
        value(Attribute::Metadata("team".into())).as_deref(),
        Some("a")
    );
    assert_eq!(
        value(Attribute::Metadata("tier".into())).as_deref(),
        Some("b")
    );
}

#[test]
fn parts_are_as_big_as_configured() {
    let sizes = |more: &str| {
        let settings = s3("e", more).settings(String::new());
        (settings.part_size, settings.single_put)
    };
    assert_eq!(sizes(""), (8 << 20, 8 << 20));
    assert_eq!(sizes("part_size: 67108864"), (64 << 20, 64 << 20));
    assert_eq!(sizes("disable_multipart: true"), (8 << 20, 5 << 30));
}
