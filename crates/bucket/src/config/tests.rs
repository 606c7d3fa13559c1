mod secrets;

use super::*;

fn variable(name: &str) -> Option<String> {
    match name {
        "BUCKET" => Some("from-env".to_owned()),
        _ => None,
    }
}

fn error(yaml: &str) -> String {
    let config = BucketConfig::from_yaml(yaml, variable);
    config.expect_err(yaml).to_string()
}

#[test]
fn an_invalid_value_is_an_error_that_names_the_field() {
    for (yaml, expected) in [
        (
            "type: GLACIER\nconfig: {bucket: b}",
            "type: expected one of S3, GCS, AZURE, FILESYSTEM, COS, ALIYUNOSS, OBS, BOS, OCI, SWIFT, found \"GLACIER\"",
        ),
        (
            "type: FILESYSTEM",
            "config.directory: expected a folder, found none",
        ),
        (
            "type: FILESYSTEM\nconfig: {}",
            "config.directory: expected a folder, found none",
        ),
        ("config: {}", "missing field `type`"),
        (
            "type: FILESYSTEM\nconfig: {directory: a, dir: b}",
            "unknown field `dir`, expected one of directory",
        ),
        (
            "type: FILESYSTEM\nconfig: {directory: a}\nprefx: b",
            "unknown field `prefx`, expected one of type, config, prefix",
        ),
        (
            "type: S3\nconfig: {bucket: b, endpoint: e, acces_key: k}",
            "unknown field `acces_key`, expected one of bucket, endpoint",
        ),
        (
            "type: S3\nconfig: {bucket: $(NOT_SET)}",
            "$(NOT_SET): no such environment variable is set",
        ),
        ("type: S3\nconfig: {bucket: [1", "yaml: "),
        ("", "yaml: "),
    ] {
        let found = error(yaml);
        assert!(
            found.starts_with("objstore config: ") && found.contains(expected),
            "{yaml}\n{found}"
        );
    }
}

#[test]
fn an_unknown_field_is_shown_with_its_line() {
    let yaml =
        "type: S3\nconfig:\n  bucket: b\n  endpoint: e\n  http_config:\n    idle_timeout: 1s\n";
    let found = error(yaml);
    assert!(found.contains("unknown field `idle_timeout`"), "{found}");
    assert!(found.contains("line 6"), "{found}");
}

#[tokio::test]
async fn a_folder_is_opened_with_its_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("$(BUCKET)/x").display().to_string();
    let yaml = format!("type: filesystem\nconfig:\n  directory: {folder}\nprefix: /a/b/\n");
    let bucket = BucketConfig::from_yaml(&yaml, variable)
        .unwrap()
        .open()
        .unwrap();
    bucket.put("key", "value".into()).await.unwrap();
    let file = dir.path().join("from-env/x/a/b/key");
    assert_eq!(fs::read_to_string(file).unwrap(), "value");
    assert_eq!(bucket.list("", None).await.unwrap()[0].key, "key");
    assert!(bucket.name().starts_with("fs: "), "{bucket:?}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = BucketConfig::filesystem(&file.join("sub"))
        .open()
        .unwrap_err()
        .to_string();
    let start = format!(
        "objstore config: config.directory: {}/sub: ",
        file.display()
    );
    assert!(error.starts_with(&start), "{error}");
}

#[test]
fn a_whole_configuration_of_thanos_is_understood() {
    let yaml = "
type: S3
config:
  bucket: $(BUCKET)
  endpoint: localhost:9000
  region: eu-1
  disable_dualstack: false
  aws_sdk_auth: false
  access_key: 12345
  insecure: true
  signature_version2: false
  secret_key: s
  session_token: t
  put_user_metadata: {X-Amz-Storage-Class: STANDARD_IA, team: a}
  http_config:
    idle_conn_timeout: 1m30s
    response_header_timeout: 2m
    insecure_skip_verify: false
    tls_handshake_timeout: 10s
    expect_continue_timeout: 1s
    max_idle_conns: 100
    max_idle_conns_per_host: 100
    max_conns_per_host: 0
    tls_config: {ca_file: '', cert_file: '', key_file: '', server_name: '', insecure_skip_verify: false}
    disable_compression: false
  trace: {enable: true}
  list_objects_version: ''
  bucket_lookup_type: auto
  send_content_md5: true
  disable_multipart: false
  part_size: 67108864
  sse_config: {type: '', kms_key_id: '', kms_encryption_context: {}, encryption_key: ''}
  sts_endpoint: ''
  max_retries: 3
prefix: ''
hedging_config: {enabled: false, up_to: 3, quantile: 0.9}
";
    let config = BucketConfig::from_yaml(yaml, variable).unwrap();
    assert_eq!(config.retry.attempts, 3);
    assert_eq!(config.open().unwrap().name(), "from-env");
}

#[test]
fn secrets_are_not_shown() {
    let yaml = "type: S3\nconfig: {bucket: b, endpoint: e, access_key: AAA, secret_key: BBB, session_token: CCC}";
    let config = BucketConfig::from_yaml(yaml, variable).unwrap();
    let shown = format!("{config:?} {:?}", config.open().unwrap());
    let error = error(&yaml.replace("endpoint", "end_point"));
    assert!(error.contains("unknown field `end_point`"), "{error}");
    for secret in ["AAA", "BBB", "CCC"] {
        assert!(
            !shown.contains(secret) && !error.contains(secret),
            "{shown}\n{error}"
        );
    }
}
