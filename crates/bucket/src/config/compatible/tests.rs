use crate::{BucketConfig, config::testing::Server as HttpServer};

fn shown(kind: &str, config: &str) -> String {
    let yaml = format!("type: {kind}\nconfig: {config}");
    match BucketConfig::from_yaml(&yaml, |_| None) {
        Ok(config) => config.provider.shown(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_store_is_asked_at_its_s3_compatible_server_with_the_bucket_in_the_host() {
    let cos = "app_id: '12', region: ap-guangzhou, secret_id: i, secret_key: s";
    let of_cos = format!("{{bucket: b, {cos}}}");
    for (kind, config, expected) in [
        (
            "COS",
            of_cos.as_str(),
            "https://b-12.cos.ap-guangzhou.myqcloud.com ap-guangzhou config.secret_id",
        ),
        (
            "COS",
            "{endpoint: 'http://b-12.cos.ap-tokyo.myqcloud.com', secret_id: i, secret_key: s}",
            "http://b-12.cos.ap-tokyo.myqcloud.com ap-tokyo config.secret_id",
        ),
        (
            "ALIYUNOSS",
            "{endpoint: oss-cn-hangzhou.aliyuncs.com, bucket: b, access_key_id: i, access_key_secret: s}",
            "https://b.s3.oss-cn-hangzhou.aliyuncs.com cn-hangzhou config.access_key_id",
        ),
        (
            "aliyunoss",
            "{endpoint: 'http://s3.oss-cn-beijing-internal.aliyuncs.com', bucket: b, access_key_id: i, access_key_secret: s}",
            "http://b.s3.oss-cn-beijing-internal.aliyuncs.com cn-beijing config.access_key_id",
        ),
        (
            "OBS",
            "{endpoint: 'https://obs.cn-east-3.myhuaweicloud.com/', bucket: b, access_key: i, secret_key: s, max_retries: 2}",
            "https://b.obs.cn-east-3.myhuaweicloud.com cn-east-3 config.access_key",
        ),
        (
            "BOS",
            "{endpoint: bj.bcebos.com, bucket: b, access_key: i, secret_key: s}",
            "https://b.s3.bj.bcebos.com bj config.access_key",
        ),
        (
            "BOS",
            "{endpoint: s3.su.bcebos.com, bucket: b, access_key: i, secret_key: s}",
            "https://b.s3.su.bcebos.com su config.access_key",
        ),
        (
            "COS",
            "{bucket: b, app_id: a, secret_id: i, secret_key: s}",
            "config.region: expected a value, found none",
        ),
        (
            "ALIYUNOSS",
            "{bucket: b, access_key_id: i, access_key_secret: s}",
            "config.endpoint: expected a value, found none",
        ),
        (
            "OBS",
            "{bucket: b, endpoint: e, access_key: i}",
            "config.secret_key: expected a value, found none",
        ),
        (
            "BOS",
            "{bucket: b, endpoint: 'https://e/f', access_key: i, secret_key: s}",
            "config.endpoint: expected a host, with or without https://",
        ),
    ] {
        let found = shown(kind, config);
        assert!(found.contains(expected), "{kind} {config}: {found}");
    }
}

#[tokio::test]
async fn a_store_is_asked_as_s3_is() {
    let server = HttpServer::start(|_| {
        let headers: &[_] = &[
            ("etag", "1"),
            ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ];
        (200, headers, "bytes".to_owned())
    })
    .await;
    // An address has no place for the bucket, so it is in the path.
    let yaml = format!(
        "type: OBS\nconfig: {{endpoint: 'http://{}', bucket: b, access_key: key, secret_key: s}}",
        server.address
    );
    let config = BucketConfig::from_yaml(&yaml, |_| None).unwrap();
    let bucket = config.open().unwrap();
    assert_eq!(bucket.get("k").await.unwrap(), "bytes");
    bucket.put_if_absent("l", "v".into()).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].line, "GET /b/k");
    assert_eq!(asked[0].key(), "key");
    assert_eq!(asked[1].header("if-none-match"), "*");
}

#[test]
fn a_type_that_is_refused_says_what_to_use_instead() {
    for (kind, expected) in [
        (
            "OCI",
            "use type: S3 with endpoint NAMESPACE.compat.objectstorage.REGION.oraclecloud.com",
        ),
        ("SWIFT", "use type: S3 with the cluster's host"),
    ] {
        let found = shown(kind, "{}");
        let start = format!("objstore config: type: {kind} is not supported: {expected}");
        assert!(found.starts_with(&start), "{found}");
    }
}
