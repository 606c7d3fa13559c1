use super::*;
use crate::BucketConfig;

const NO_VARIABLE: fn(&str) -> Option<String> = |_| None;

/// A bucket `b` on `server` with more fields.
fn s3(server: &str, more: &str) -> S3 {
    let yaml = format!("bucket: b\nendpoint: '{server}'\n{more}");
    S3::new(serde_saphyr::from_str(&yaml).unwrap(), &NO_VARIABLE).unwrap()
}

fn error(more: &str) -> String {
    let yaml = format!("type: S3\nconfig: {{bucket: b, {more}}}");
    let opened = BucketConfig::from_yaml(&yaml, NO_VARIABLE).and_then(|config| config.open());
    opened.expect_err(&yaml).to_string()
}

#[test]
fn an_unsupported_value_is_an_error_that_names_the_field() {
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
            "signature_version2: requests are signed by version 4",
        ),
        (
            "endpoint: e, list_objects_version: v3",
            "list_objects_version: expected v1 or v2, found \"v3\"",
        ),
        (
            "endpoint: e, part_size: 1024",
            "part_size: expected 0, or 5242880 to 5368709120, found 1024",
        ),
        (
            "endpoint: e, put_user_metadata: {X-Amz-Date: now}",
            "put_user_metadata.X-Amz-Date: not supported",
        ),
        (
            "endpoint: e, sse_config: {type: SSE-D}",
            "sse_config.type: expected SSE-S3, SSE-KMS or SSE-C, found \"SSE-D\"",
        ),
        (
            "endpoint: e, sse_config: {type: SSE-KMS}",
            "sse_config.kms_key_id: expected the key's id, found none",
        ),
        (
            "endpoint: e, sse_config: {type: SSE-C}",
            "sse_config.encryption_key: expected the file with the key, found none",
        ),
        (
            "endpoint: e, sse_config: {type: SSE-C, encryption_key: /none}",
            "sse_config.encryption_key: /none: No such file",
        ),
        (
            "endpoint: e, sse_config: {type: SSE-C, encryption_key: Cargo.toml}",
            "sse_config.encryption_key: Cargo.toml: expected 32 bytes, found ",
        ),
        (
            "endpoint: e, insecure: true, sse_config: {type: SSE-C, encryption_key: k}",
            "sse_config.type: SSE-C sends the key with each request, so it needs https",
        ),
        (
            "endpoint: e, http_config: {tls_config: {cert_file: c}}",
            "http_config.tls_config.cert_file: expected key_file beside it, found none",
        ),
        (
            "endpoint: e, http_config: {tls_config: {key_file: c}}",
            "http_config.tls_config.key_file: expected cert_file beside it, found none",
        ),
        (
            "endpoint: e, http_config: {tls_config: {cert_file: /none, key_file: k}}",
            "http_config.tls_config.cert_file: /none: No such file",
        ),
        (
            "endpoint: e, http_config: {tls_config: {server_name: 'a b'}}",
            "http_config.tls_config.server_name: invalid dns name",
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
        found.ends_with("line 2, column 54: expected one of auto, virtual-hosted, path"),
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
fn a_customers_key_of_32_bytes_opens_a_bucket() {
    crate::config::install_crypto_provider();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [7; 32]).unwrap();
    let path = file.path().display();
    let yaml = format!(
        "type: S3\nconfig: {{bucket: b, endpoint: e, access_key: a, secret_key: s, sse_config: {{type: SSE-C, encryption_key: {path}}}}}"
    );
    let config = BucketConfig::from_yaml(&yaml, NO_VARIABLE).unwrap();
    assert_eq!(config.open().unwrap().name(), "b");
}

#[test]
fn the_bucket_is_named_where_the_server_expects_it() {
    for (server, more, expected) in [
        ("localhost:9000", "insecure: true", "http://localhost:9000"),
        ("minio.example", "", "https://minio.example"),
        ("minio.example:9000/", "", "https://minio.example:9000"),
        ("10.0.0.1:9000", "", "https://10.0.0.1:9000"),
        ("[::1]:9000", "", "https://[::1]:9000"),
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
            "https://b.s3.dualstack.eu-west-1.amazonaws.com",
        ),
        (
            "s3.eu-west-1.amazonaws.com",
            "disable_dualstack: true",
            "https://b.s3.eu-west-1.amazonaws.com",
        ),
        (
            "s3-eu-west-1.amazonaws.com",
            "bucket_lookup_type: path",
            "https://s3.dualstack.eu-west-1.amazonaws.com",
        ),
        (
            "s3.cn-north-1.amazonaws.com.cn",
            "",
            "https://b.s3.dualstack.cn-north-1.amazonaws.com.cn",
        ),
        (
            "s3-fips.us-west-1.amazonaws.com",
            "",
            "https://b.s3-fips.us-west-1.amazonaws.com",
        ),
        (
            "s3-accelerate.amazonaws.com",
            "",
            "https://b.s3-accelerate.amazonaws.com",
        ),
        (
            "s3.amazonaws.com",
            "region: eu-west-3",
            "https://b.s3.dualstack.eu-west-3.amazonaws.com",
        ),
        (
            "s3.amazonaws.com",
            "region: eu-west-3\ndisable_dualstack: true",
            "https://b.s3.eu-west-3.amazonaws.com",
        ),
    ] {
        assert_eq!(s3(server, more).endpoint(), expected, "{server} {more}");
    }
    let mut dotted = s3("s3.eu-west-1.amazonaws.com", "");
    dotted.config.bucket = "a.b".to_owned();
    assert_eq!(
        dotted.endpoint(),
        "https://s3.dualstack.eu-west-1.amazonaws.com"
    );
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
        ("s3.amazonaws.com", "", Some("eu-9"), "eu-9"),
        ("s3-accelerate.amazonaws.com", "", None, "us-east-1"),
    ] {
        let yaml = format!("bucket: b\nendpoint: {server}\n{more}");
        let lookup = |name: &str| variable.filter(|_| name == "AWS_REGION").map(str::to_owned);
        let s3 = S3::new(serde_saphyr::from_str(&yaml).unwrap(), &lookup).unwrap();
        assert_eq!(s3.region.name(), expected, "{server} {more}");
    }
}

#[test]
fn parts_are_as_big_as_configured() {
    let sizes = |more: &str| {
        let settings = s3("e", more).settings(String::new());
        (settings.part_size, settings.single_put)
    };
    assert_eq!(sizes(""), (8 << 20, 8 << 20));
    assert_eq!(sizes("part_size: 0"), (8 << 20, 8 << 20));
    assert_eq!(sizes("part_size: 67108864"), (64 << 20, 64 << 20));
    assert_eq!(sizes("disable_multipart: true"), (8 << 20, 5 << 30));
}

#[tokio::test]
async fn a_value_that_makes_no_url_or_header_is_an_error_not_a_panic() {
    let keys = "access_key: a, secret_key: s";
    for (more, expected) in [
        (
            "endpoint: '127.0.0.1:9000', bucket_lookup_type: virtual-hosted",
            "bucket_lookup_type: virtual-hosted needs a host name to put the bucket before, found the address \"127.0.0.1:9000\"",
        ),
        (
            "endpoint: '[::1]:9000', bucket_lookup_type: virtual-hosted",
            "bucket_lookup_type: virtual-hosted needs a host name",
        ),
        (
            "endpoint: '2130706433', bucket_lookup_type: virtual-hosted",
            "bucket_lookup_type: virtual-hosted needs a host name",
        ),
        ("endpoint: 'e:99999'", "endpoint: expected host:port"),
        ("endpoint: 'e f'", "endpoint: expected host:port"),
        ("endpoint: '[::1'", "endpoint: expected host:port"),
        (
            "endpoint: 'e//'",
            "endpoint: expected host:port without scheme or path",
        ),
        (
            "endpoint: e, region: 'a b'",
            "region: expected a region's name",
        ),
        (
            "endpoint: e, session_token: \"t\\n\"",
            "access_key: expected a key and a token of visible ASCII",
        ),
        (
            "endpoint: e, part_size: 5368709121",
            "part_size: expected 0, or 5242880 to 5368709120",
        ),
    ] {
        let found = error(&format!("{more}, {keys}"));
        assert!(
            found.starts_with(&format!("objstore config: config.{expected}")),
            "{found}"
        );
    }
    let yaml = format!("type: S3\nconfig: {{bucket: 'a b', endpoint: e, {keys}}}");
    let found = BucketConfig::from_yaml(&yaml, NO_VARIABLE).unwrap_err();
    let expected = "objstore config: config.bucket: expected a name that fits a URL";
    assert!(found.to_string().starts_with(expected), "{found}");
}

#[test]
fn fields_without_a_value_and_plain_scalars_are_taken_as_yaml_in_go_takes_them() {
    let empty = "region:\nsession_token:\nput_user_metadata:\nhttp_config:\nsse_config:\ntrace:\npart_size:\nlist_objects_version:\ninsecure:\nmax_retries:\naccess_key:\nsecret_key:\nsts_endpoint:";
    assert_eq!(s3("e", empty).endpoint(), "https://e");
    let plain = s3(
        "e",
        "access_key: 12345\nsecret_key: 67890\nput_user_metadata: {a: 1}",
    );
    assert_eq!(plain.config.access_key.0, "12345");
    assert_eq!(plain.config.put_user_metadata["a"], "1");
}
