use std::fs;

use super::{super::super::testing::Server, *};
use crate::{Bucket, BucketConfig, config::Retry};

/// What is found with these variables.
fn source<const N: usize>(
    variables: [(&str, &str); N],
    order: Order,
) -> Result<Source, BucketError> {
    let variable = |name: &str| {
        let mut variables = variables.iter();
        let found = variables.find(|(of, _)| *of == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Source::of_environment(&variable, order)
}

/// What kind of source it is, and what is known of it.
fn described(source: &Source) -> String {
    match source {
        Source::Keys(keys) => format!(
            "keys {} {} {}",
            keys.access_key.0, keys.secret_key.0, keys.session_token.0
        ),
        Source::File(file, services) => {
            let path = file.path.display();
            format!("file {path} {}, {}", file.profile, of_services(services))
        }
        Source::Services(services) => of_services(services),
    }
}

fn of_services(services: &Services) -> String {
    let names: Vec<_> = services.0.iter().map(|(name, _)| *name).collect();
    format!("services {}", names.join(" "))
}

#[test]
fn the_environment_is_read_in_the_order_of_thanos_or_of_the_sdk() {
    const WEB: [(&str, &str); 3] = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
        ("AWS_ROLE_ARN", "r"),
        ("HOME", "/h"),
    ];
    let of_web = "services aws_web_identity_token_file aws_role_arn";
    let found = |source: Result<Source, BucketError>| described(&source.unwrap());
    for order in [Order::Thanos, Order::Sdk] {
        let keys = [
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_SESSION_TOKEN", "t"),
            ("AWS_PROFILE", "p"),
            ("HOME", "/h"),
        ];
        assert_eq!(found(source(keys, order)), "keys a s t");
        let short = [("AWS_ACCESS_KEY", "a"), ("AWS_SECRET_KEY", "s")];
        assert_eq!(found(source(short, order)), "keys a s ");
        let half = [("AWS_ACCESS_KEY", "a"), ("AWS_SECRET_KEY", "")];
        assert_eq!(found(source(half, order)), "services ");
        let home = [("HOME", "/h")];
        assert_eq!(
            found(source(home, order)),
            "file /h/.aws/credentials default, services "
        );
        let named = [
            ("HOME", "/h"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/f"),
            ("AWS_PROFILE", "p"),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/u"),
        ];
        assert_eq!(
            found(source(named, order)),
            "file /f p, services aws_container_credentials_relative_uri"
        );
    }
    let file = "file /h/.aws/credentials default";
    assert_eq!(
        found(source(WEB, Order::Thanos)),
        format!("{file}, {of_web}")
    );
    assert_eq!(found(source(WEB, Order::Sdk)), of_web);
}

#[test]
fn variables_that_lack_their_other_half_and_keys_no_header_carries_are_errors() {
    for (variables, expected) in [
        (
            [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("", "")],
            "AWS_WEB_IDENTITY_TOKEN_FILE: expected AWS_ROLE_ARN beside it",
        ),
        (
            [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://e"), ("", "")],
            "AWS_CONTAINER_CREDENTIALS_FULL_URI: expected AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE beside it",
        ),
        (
            [("AWS_ACCESS_KEY_ID", "a\n"), ("AWS_SECRET_KEY", "secret")],
            "AWS_ACCESS_KEY_ID: expected a key",
        ),
    ] {
        let error = source(variables, Order::Thanos).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn all_names_of_services_are_known_to_the_library() {
    for (_, key) in SERVICES {
        assert!(key.parse::<AmazonS3ConfigKey>().is_ok(), "{key}");
    }
}

/// A bucket on the server without keys in its configuration.
fn bucket(server: &Server, variables: &[(&str, &str)]) -> Bucket {
    let yaml = format!(
        "type: S3\nconfig: {{bucket: b, endpoint: '{}', insecure: true}}",
        server.address
    );
    let variable = |name: &str| {
        let mut variables = variables.iter();
        let found = variables.find(|(of, _)| *of == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let mut config = BucketConfig::from_yaml(&yaml, variable).unwrap();
    config.retry = Retry {
        attempts: 0,
        ..Retry::default()
    };
    config.open().unwrap()
}

/// A server of objects, of an instance's metadata, and of an agent that gives credentials to containers.
async fn server() -> Server {
    let given = |key: &str| {
        format!(
            r#"{{"Code": "Success", "AccessKeyId": "{key}", "SecretAccessKey": "s", "Token": "t", "LastUpdated": "2023-11-14T22:13:20Z", "Type": "AWS-HMAC", "Expiration": "2200-01-01T00:00:00Z"}}"#
        )
    };
    Server::start(move |asked| {
        let text = match asked.line.as_str() {
            "PUT /latest/api/token" => "session".to_owned(),
            "GET /latest/meta-data/iam/security-credentials/" => "role".to_owned(),
            "GET /latest/meta-data/iam/security-credentials/role" => given("instance"),
            "GET /agent" if asked.header("authorization") == "word" => given("container"),
            line if line.contains(" /b/") => {
                let headers: &[_] = &[
                    ("etag", "1"),
                    ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
                ];
                return (200, headers, String::new());
            }
            _ => return (404, &[], String::new()),
        };
        (200, &[], text)
    })
    .await
}

/// The keys and tokens that objects were asked for with.
fn used(server: &Server) -> Vec<String> {
    let asked = server.asked().into_iter();
    let of_objects = asked.filter(|asked| asked.line.contains(" /b/"));
    of_objects
        .map(|asked| format!("{} {}", asked.key(), asked.header("x-amz-security-token")))
        .collect()
}

#[tokio::test]
async fn an_instance_and_a_container_give_credentials_where_the_file_has_none() {
    let server = server().await;
    let url = format!("http://{}", server.address);
    let instance = [
        ("HOME", "/none"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
    ];
    bucket(&server, &instance).get("k").await.unwrap();
    let token = tempfile::NamedTempFile::new().unwrap();
    fs::write(token.path(), "word").unwrap();
    let agent = format!("{url}/agent");
    let container = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.as_str()),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            token.path().to_str().unwrap(),
        ),
    ];
    bucket(&server, &container).get("k").await.unwrap();
    assert_eq!(used(&server), ["instance t", "container t"]);
}

#[tokio::test]
async fn the_shared_file_is_read_and_read_again_when_it_has_changed() {
    let server = server().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |key: &str| {
        let text = format!("[p]\naws_access_key_id={key}\naws_secret_access_key=s\n");
        fs::write(file.path(), text).unwrap();
    };
    write("one");
    let variables = [
        ("AWS_SHARED_CREDENTIALS_FILE", file.path().to_str().unwrap()),
        ("AWS_PROFILE", "p"),
    ];
    let bucket = bucket(&server, &variables);
    bucket.get("k").await.unwrap();
    write("two");
    bucket.get("k").await.unwrap();
    tokio::time::pause();
    tokio::time::advance(FILE_AGE).await;
    tokio::time::resume();
    bucket.get("k").await.unwrap();
    // It is gone for a moment.
    fs::write(file.path(), "").unwrap();
    tokio::time::pause();
    tokio::time::advance(FILE_AGE).await;
    tokio::time::resume();
    bucket.get("k").await.unwrap();
    assert_eq!(used(&server), ["one ", "one ", "two ", "two "]);
}

#[tokio::test]
async fn without_credentials_the_error_names_the_sources_tried() {
    let server = Server::start(|_| (404, &[], String::new())).await;
    let url = format!("http://{}", server.address);
    let variables = [
        ("HOME", "/none"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
    ];
    let error = bucket(&server, &variables).get("k").await.unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("AWS_ACCESS_KEY_ID is not set"), "{text}");
    assert!(
        text.contains("/none/.aws/credentials: No such file"),
        "{text}"
    );
}
