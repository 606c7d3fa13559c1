use super::super::super::testing::{Answer, Asked, Server};
use crate::{Bucket, BucketConfig, config::Retry};

const OBJECT: &[(&str, &str)] = &[
    ("etag", "\"1\""),
    ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
];
const MALFORMED: &str =
    "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-9</Region></Error>";

/// A bucket `b` on the server, with more in its section.
fn bucket(server: &Server, more: &str) -> Bucket {
    let yaml = format!(
        "type: S3\nconfig: {{bucket: b, endpoint: '{}', insecure: true, access_key: a, secret_key: s, {more}}}",
        server.address
    );
    let mut config = BucketConfig::from_yaml(&yaml, |_| None).unwrap();
    config.retry = Retry {
        attempts: 0,
        ..Retry::default()
    };
    config.open().unwrap()
}

fn ok() -> Answer {
    (200, OBJECT, "bytes".to_owned())
}

/// Answers only what is signed for `eu-9`, and else with `refusal`.
fn only_eu_9(refusal: Answer) -> impl Fn(&Asked) -> Answer {
    move |asked| match asked.region() {
        "eu-9" => ok(),
        _ => refusal.clone(),
    }
}

#[tokio::test]
async fn the_region_is_learnt_from_the_first_refusal_and_kept() {
    let in_header: &[_] = &[("x-amz-bucket-region", "eu-9")];
    for refusal in [
        (400, &[] as &[_], MALFORMED.to_owned()),
        (301, in_header, String::new()),
        (307, in_header, String::new()),
        (403, in_header, String::new()),
    ] {
        let server = Server::start(only_eu_9(refusal)).await;
        let bucket = bucket(&server, "");
        assert_eq!(bucket.get("k").await.unwrap(), "bytes");
        bucket.put("l", "12".into()).await.unwrap();
        assert_eq!(
            server.lines(),
            ["GET /b/k us-east-1", "GET /b/k eu-9", "PUT /b/l eu-9"]
        );
    }
}

#[tokio::test]
async fn if_a_refusal_names_no_region_the_location_is_requested_once() {
    let location = "<LocationConstraint xmlns=\"a\">eu-9</LocationConstraint>";
    let server = Server::start(move |asked| match asked.line.as_str() {
        "GET /b?location" => (200, &[], location.to_owned()),
        _ => only_eu_9((400, &[], String::new()))(asked),
    })
    .await;
    let bucket = bucket(&server, "");
    // The answer to a HEAD has no body.
    assert_eq!(bucket.head("k").await.unwrap().size, 5);
    bucket.head("k").await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "HEAD /b/k us-east-1",
            "GET /b?location us-east-1",
            "HEAD /b/k eu-9",
            "HEAD /b/k eu-9"
        ]
    );
}

#[tokio::test]
async fn without_an_answer_about_the_region_the_error_is_the_first_one() {
    let denied = "<Error><Code>AccessDenied</Code><Message>no list for you</Message></Error>";
    let server = Server::start(move |_| (403, &[], denied.to_owned())).await;
    let bucket = bucket(&server, "");
    for _ in 0..2 {
        let error = bucket.get("k").await.unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("no list for you"), "{text}");
    }
    assert_eq!(
        server.lines(),
        [
            "GET /b/k us-east-1",
            "GET /b?location us-east-1",
            "GET /b/k us-east-1"
        ]
    );
}

#[tokio::test]
async fn whatever_was_asked_a_refusal_names_the_bucket_and_whose_credentials_they_are() {
    for status in [401, 403] {
        let server = Server::start(move |_| (status, &[], "not you".to_owned())).await;
        let bucket = bucket(&server, "region: eu-9");
        for error in [
            bucket.list("", None).await.unwrap_err(),
            bucket.get("k").await.unwrap_err(),
            bucket.get_range("k", 0..1).await.unwrap_err(),
            bucket.head("k").await.unwrap_err(),
            bucket.put("k", "v".into()).await.unwrap_err(),
            bucket.put_if_absent("k", "v".into()).await.unwrap_err(),
            bucket.delete("k").await.unwrap_err(),
        ] {
            let text = error.to_string();
            let who = ": access denied to bucket b with the credentials of config.access_key: ";
            assert!(text.contains(who), "{text}");
        }
    }
}

#[tokio::test]
async fn a_configured_region_is_not_changed() {
    let server = Server::start(only_eu_9((400, &[], MALFORMED.to_owned()))).await;
    bucket(&server, "region: eu-8").get("k").await.unwrap_err();
    assert_eq!(server.lines(), ["GET /b/k eu-8"]);
}

#[tokio::test]
async fn an_answer_of_the_first_region_settles_it() {
    let server = Server::start(|asked| match asked.line.as_str() {
        "GET /b/k" => ok(),
        _ => (400, &[], MALFORMED.to_owned()),
    })
    .await;
    let bucket = bucket(&server, "");
    bucket.get("k").await.unwrap();
    bucket.get("l").await.unwrap_err();
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn headers_of_s3_are_sent_and_signed_only_when_objects_are_created() {
    let server = Server::start(|asked| {
        let uploads =
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
        let done = "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>";
        match asked.line.as_str() {
            "POST /b/big?uploads=" | "POST /b/big?uploads" => (200, &[], uploads.to_owned()),
            line if line.starts_with("POST") => (200, &[], done.to_owned()),
            _ => (200, OBJECT, String::new()),
        }
    })
    .await;
    let more = "put_user_metadata: {X-Amz-Acl: private, team: a}, part_size: 5242880";
    let bucket = bucket(&server, more);
    bucket.put("k", "1".into()).await.unwrap();
    bucket.get("k").await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![7; 6 << 20]).unwrap();
    bucket.upload("big", file.path()).await.unwrap();
    let with_acl: Vec<_> = server
        .asked()
        .into_iter()
        .filter(|asked| asked.header("x-amz-acl") == "private")
        .collect();
    assert!(with_acl.iter().all(|asked| asked.signs("x-amz-acl")));
    assert!(
        with_acl
            .iter()
            .all(|asked| asked.header("x-amz-meta-team") == "a")
    );
    let lines: Vec<_> = with_acl.into_iter().map(|asked| asked.line).collect();
    let lines: Vec<_> = lines
        .iter()
        .map(|line| line.trim_end_matches('='))
        .collect();
    assert_eq!(lines, ["PUT /b/k", "POST /b/big?uploads"]);
}

#[tokio::test]
async fn created_objects_are_encrypted_as_configured() {
    for (sse, expected) in [
        ("{type: SSE-S3}", ["AES256", "", ""]),
        ("{type: SSE-KMS, kms_key_id: key}", ["aws:kms", "key", ""]),
        (
            "{type: SSE-KMS, kms_key_id: key, kms_encryption_context: {b: '2', a: '1'}}",
            ["aws:kms", "key", "eyJhIjoiMSIsImIiOiIyIn0="],
        ),
    ] {
        let server = Server::start(|_| ok()).await;
        let bucket = bucket(&server, &format!("region: eu-9, sse_config: {sse}"));
        bucket.put("k", "1".into()).await.unwrap();
        bucket.get("k").await.unwrap();
        let asked = server.asked();
        let names = ["", "-aws-kms-key-id", "-context"];
        let sent = |asked: &Asked| {
            names.map(|name| {
                let header = format!("x-amz-server-side-encryption{name}");
                let value = asked.header(&header).to_owned();
                assert_eq!(asked.signs(&header), !value.is_empty(), "{sse}");
                value
            })
        };
        assert_eq!(sent(&asked[0]), expected, "{sse}");
        assert_eq!(sent(&asked[1]), ["", "", ""], "{sse}");
    }
}

#[tokio::test]
async fn a_server_that_only_knows_version_1_is_listed_page_by_page() {
    let contents = |key: &str| {
        format!(
            "<Contents><Key>{key}</Key><Size>1</Size><LastModified>2023-11-14T22:13:20.000Z</LastModified><ETag>1</ETag></Contents>"
        )
    };
    let page = move |more: bool, keys: &[&str]| {
        let keys: String = keys.iter().map(|key| contents(key)).collect();
        let text =
            format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{keys}</ListBucketResult>");
        (200, &[] as &[_], text)
    };
    let server = Server::start(move |asked| match asked.line.as_str() {
        "GET /b?prefix=a%2F" => page(true, &["a/1", "a/2&amp;3"]),
        "GET /b?marker=a%2F2%263&prefix=a%2F" => page(false, &["a/4"]),
        _ => (501, &[], String::new()),
    })
    .await;
    let bucket = bucket(&server, "list_objects_version: v1");
    let listed = bucket.list("a", None).await.unwrap();
    let keys: Vec<_> = listed.into_iter().map(|object| object.key).collect();
    assert_eq!(keys, ["a/1", "a/2&3", "a/4"]);
}
