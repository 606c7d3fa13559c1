use super::{super::testing::Server as HttpServer, *};

const KEY: &str = include_str!("key_of_tests.pem");
const OBJECT: &[(&str, &str)] = &[
    ("etag", "\"1\""),
    ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
    ("x-goog-generation", "1"),
];

fn once() -> Retry {
    Retry {
        attempts: 0,
        ..Retry::default()
    }
}

fn gcs(yaml: &str, variables: &[(&str, &str)]) -> Result<Gcs, BucketError> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(of, _)| *of == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Gcs::new(serde_saphyr::from_str(yaml).unwrap(), &variable)
}

/// A bucket whose objects are on `server` as well as all that gives tokens.
fn bucket(server: &HttpServer, service_account: &str) -> Bucket {
    let host = [("GCE_METADATA_HOST", server.address.as_str())];
    let config = GcsConfig {
        bucket: "b".to_owned(),
        service_account: Secret(service_account.to_owned()),
        ..GcsConfig::default()
    };
    let variable = |name: &str| (name == host[0].0).then(|| host[0].1.to_owned());
    let mut gcs = Gcs::new(config, &variable).unwrap();
    if let Server::Google { url, .. } = &mut gcs.server {
        *url = Some(format!("http://{}", server.address));
    }
    crate::config::install_crypto_provider();
    gcs.open(String::new(), once(), None).unwrap()
}

/// A server of objects and of tokens, each with a number.
async fn server() -> HttpServer {
    let tokens = std::sync::atomic::AtomicUsize::new(1);
    HttpServer::start(move |asked| {
        let token = |field: &str, more: &str| {
            let n = tokens.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            (
                200,
                &[] as &[_],
                format!(r#"{{"{field}": "token-{n}"{more}}}"#),
            )
        };
        let (method, path) = asked.line.split_once(' ').unwrap();
        match (method, path.split('?').next().unwrap()) {
            ("GET", "/computeMetadata/v1/instance/service-accounts/default/token")
                if asked.header("metadata-flavor") == "Google" =>
            {
                token("access_token", r#", "expires_in": 3600"#)
            }
            ("POST", "/short") => token("access_token", r#", "expires_in": 0"#),
            ("POST", "/token") => token("access_token", r#", "expires_in": 3600"#),
            ("POST", "/act-as") => {
                token("accessToken", r#", "expireTime": "2200-01-01T00:00:00Z""#)
            }
            ("GET", "/subject") if asked.header("x-word") == "word" => {
                (200, &[], r#"{"value": "theirs"}"#.to_owned())
            }
            ("PUT", "/b/taken") => (412, &[], "PreconditionFailed".to_owned()),
            ("GET" | "PUT", path) if path.starts_with("/b/") => (200, OBJECT, "bytes".to_owned()),
            _ => (404, &[], String::new()),
        }
    })
    .await
}

/// The tokens that objects were asked for with.
fn bearers(server: &HttpServer) -> Vec<String> {
    let asked = server.asked().into_iter();
    let asked = asked.filter(|asked| asked.line.contains(" /b/"));
    asked
        .map(|asked| asked.header("authorization").to_owned())
        .collect()
}

#[tokio::test]
async fn an_object_is_created_on_the_condition_that_it_has_no_generation() {
    let server = server().await;
    let bucket = bucket(&server, "");
    assert!(bucket.put_if_absent("free", "1".into()).await.unwrap());
    assert!(!bucket.put_if_absent("taken", "1".into()).await.unwrap());
    bucket.put("other", "1".into()).await.unwrap();
    let puts = server.asked().into_iter();
    let puts = puts.filter(|asked| asked.line.starts_with("PUT"));
    let puts: Vec<String> = puts
        .map(|put| format!("{} {}", put.line, put.header("x-goog-if-generation-match")))
        .collect();
    assert_eq!(puts, ["PUT /b/free 0", "PUT /b/taken 0", "PUT /b/other "]);
}

#[tokio::test]
async fn a_token_of_the_metadata_server_is_used_until_shortly_before_its_end() {
    let server = server().await;
    let bucket = bucket(&server, "");
    bucket.get("k").await.unwrap();
    bucket.get("l").await.unwrap();
    assert_eq!(bearers(&server), ["Bearer token-1", "Bearer token-1"]);
}

#[tokio::test]
async fn the_token_of_another_issuer_is_exchanged_and_exchanged_again_after_its_end() {
    let server = server().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "theirs\n").unwrap();
    let at = format!("http://{}", server.address);
    let account = |source: &str, more: &str| {
        format!(
            r#"{{"type": "external_account", "audience": "a", "subject_token_type": "jwt", "credential_source": {source}{more}}}"#
        )
    };
    let of_file = format!(r#"{{"file": "{}"}}"#, file.path().display());
    let short = bucket(
        &server,
        &account(&of_file, &format!(r#", "token_url": "{at}/short""#)),
    );
    short.get("k").await.unwrap();
    short.get("l").await.unwrap();
    assert_eq!(bearers(&server), ["Bearer token-1", "Bearer token-2"]);

    let of_url = format!(
        r#"{{"url": "{at}/subject", "headers": {{"x-word": "word"}}, "format": {{"type": "json", "subject_token_field_name": "value"}}}}"#
    );
    let more = format!(
        r#", "token_url": "{at}/token", "service_account_impersonation_url": "{at}/act-as""#
    );
    let acting = bucket(&server, &account(&of_url, &more));
    acting.get("m").await.unwrap();
    assert_eq!(bearers(&server)[2], "Bearer token-4");
    let asked = server.asked();
    let body = |line: &str| {
        let found = asked.iter().find(|asked| asked.line == line).unwrap();
        (found.body.clone(), found.header("authorization").to_owned())
    };
    for line in ["POST /short", "POST /token"] {
        assert!(body(line).0.contains("subject_token=theirs"), "{line}");
    }
    let (scope, bearer) = body("POST /act-as");
    assert!(scope.contains("devstorage.full_control"), "{scope}");
    assert_eq!(bearer, "Bearer token-3");
}

#[tokio::test]
async fn a_service_accounts_key_signs_tokens() {
    let server = server().await;
    let key = serde_json::json!({
        "type": "service_account", "project_id": "p", "private_key_id": "1",
        "private_key": KEY, "client_email": "a@p.iam.gserviceaccount.com",
    });
    bucket(&server, &key.to_string()).get("k").await.unwrap();
    let bearer = bearers(&server).remove(0);
    // Header, claims and signature.
    assert_eq!(bearer.split('.').count(), 3, "{bearer}");
}

#[tokio::test]
async fn a_refusal_names_the_bucket_and_whose_credentials_they_are() {
    let server = HttpServer::start(|asked| match asked.line.contains("computeMetadata") {
        true => (200, &[], r#"{"access_token": "t"}"#.to_owned()),
        false => (403, &[], "not you".to_owned()),
    })
    .await;
    let bucket = bucket(&server, "");
    let place = format!("the metadata server {}", server.address);
    for error in [
        bucket.list("", None).await.unwrap_err(),
        bucket.get("k").await.unwrap_err(),
        bucket.put_if_absent("k", "v".into()).await.unwrap_err(),
        bucket.delete("k").await.unwrap_err(),
    ] {
        let who = format!(": access denied to bucket b with the credentials of {place}: ");
        assert!(error.to_string().contains(&who), "{error}");
    }
}

#[tokio::test]
async fn a_token_server_that_refuses_is_named_with_its_answer() {
    let server = HttpServer::start(|_| (404, &[], "no identity".to_owned())).await;
    let error = bucket(&server, "").get("k").await.unwrap_err().to_string();
    let says = format!("{} answers 404 Not Found: no identity", server.address);
    assert!(error.contains("found no credentials"), "{error}");
    assert!(error.contains(&says), "{error}");
}

#[test]
fn credentials_are_found_in_the_order_of_googles_libraries() {
    let dir = tempfile::tempdir().unwrap();
    let user = r#"{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}"#;
    let file = dir.path().join("adc.json");
    std::fs::write(&file, user).unwrap();
    let home = dir.path().join("home");
    let gcloud = home.join(".config/gcloud");
    std::fs::create_dir_all(&gcloud).unwrap();
    let of_gcloud = gcloud.join("application_default_credentials.json");
    std::fs::write(&of_gcloud, user).unwrap();
    let (file, home) = (file.display().to_string(), home.display().to_string());
    let inline = format!("bucket: b\nservice_account: '{user}'");
    let named = format!("GOOGLE_APPLICATION_CREDENTIALS: {file}");
    let all = [
        ("GOOGLE_APPLICATION_CREDENTIALS", file.as_str()),
        ("HOME", home.as_str()),
    ];
    let of_gcloud = of_gcloud.display().to_string();
    for (yaml, variables, expected) in [
        (inline.as_str(), &all[..], "config.service_account"),
        ("bucket: b", &all[..], named.as_str()),
        ("bucket: b", &all[1..], of_gcloud.as_str()),
        ("bucket: b", &[], "the metadata server 169.254.169.254"),
    ] {
        let Server::Google { identity, .. } = gcs(yaml, variables).unwrap().server else {
            panic!("no emulator is named");
        };
        assert_eq!(identity.to_string(), expected);
    }
    let error = gcs(
        "bucket: b",
        &[("GOOGLE_APPLICATION_CREDENTIALS", "/none.json")],
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("/none.json: No such file"), "{error}");
}

#[test]
fn credentials_that_cannot_be_used_are_refused_without_their_contents() {
    for (json, expected) in [
        (
            "secret",
            "expected the JSON of credentials, found other text",
        ),
        (
            r#"{"type": ["secret"]}"#,
            "expected the JSON of credentials, found a field of another type",
        ),
        (
            r#"{"type": "gdch_service_account", "private_key": "secret"}"#,
            "expected type service_account, authorized_user or external_account",
        ),
        (
            r#"{"type": "service_account", "private_key": "secret"}"#,
            "expected client_email, found none",
        ),
        (
            r#"{"type": "authorized_user", "client_id": "secret", "client_secret": "secret"}"#,
            "expected refresh_token, found none",
        ),
        (
            r#"{"type": "external_account", "audience": "secret", "subject_token_type": "t", "token_url": "u", "credential_source": {"environment_id": "aws1"}}"#,
            "expected credential_source with file or url",
        ),
        (
            r#"{"type": "service_account", "universe_domain": "other", "private_key": "secret"}"#,
            "expected universe_domain googleapis.com",
        ),
    ] {
        let yaml = format!("bucket: b\nservice_account: '{json}'");
        let error = gcs(&yaml, &[]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("config.service_account: "), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let key = r#"{"type": "service_account", "private_key": "secret", "client_email": "e"}"#;
    let gcs = gcs(&format!("bucket: b\nservice_account: '{key}'"), &[]).unwrap();
    let error = gcs.open(String::new(), once(), None).unwrap_err();
    let expected = "config.service_account: expected private_key with an RSA key in PEM";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn attempts_and_parts_are_as_configured() {
    let of = |more: &str| {
        let gcs = gcs(
            &format!("bucket: b\n{more}"),
            &[("STORAGE_EMULATOR_HOST", "e")],
        );
        let mut retry = Retry::default();
        gcs.unwrap().adapt(&mut retry);
        retry.attempts
    };
    assert_eq!(of(""), 10);
    // Thanos counts the first attempt.
    assert_eq!(of("max_retries: 1"), 0);
    assert_eq!(of("max_retries: 4"), 3);
    for bad in ["", "bucket: ''", "bucket: a/b"] {
        let error = gcs(bad, &[]).unwrap_err().to_string();
        assert!(error.contains("config.bucket: expected a name"), "{error}");
    }
}

#[tokio::test]
async fn an_emulator_is_asked_by_the_json_api_without_credentials() {
    let server = HttpServer::start(|asked| {
        let page = |more: &str, names: &[&str]| {
            let item = |name: &&str| {
                format!(
                    r#"{{"name": "{name}", "size": "1", "updated": "2023-11-14T22:13:20.123Z", "etag": "E"}}"#
                )
            };
            let items: Vec<String> = names.iter().map(item).collect();
            let text = format!(r#"{{"items": [{}]{more}}}"#, items.join(","));
            (200, &[] as &[_], text)
        };
        match asked.line.as_str() {
            "GET /storage/v1/b/b/o/a%2Fk?alt=media" => (200, OBJECT, "bytes".to_owned()),
            "DELETE /storage/v1/b/b/o/a%2Fk" => (204, &[], String::new()),
            "POST /upload/storage/v1/b/b/o?uploadType=media&name=a%2Fk"
            | "POST /upload/storage/v1/b/b/o?uploadType=media&name=new&ifGenerationMatch=0" => {
                (200, &[], r#"{"name": "k", "etag": "E"}"#.to_owned())
            }
            "POST /upload/storage/v1/b/b/o?uploadType=media&name=old&ifGenerationMatch=0" => {
                (412, &[], "{}".to_owned())
            }
            "GET /storage/v1/b/b/o?prefix=a%2F" => {
                page(r#", "nextPageToken": "x&y""#, &["a/1", "a/<2>&", "a//3"])
            }
            "GET /storage/v1/b/b/o?pageToken=x%26y&prefix=a%2F" => page("", &["a/4"]),
            "GET /storage/v1/b/b/o?prefix=a%2F&startOffset=a%2F1" => page("", &["a/1", "a/4"]),
            _ => (404, &[], String::new()),
        }
    })
    .await;
    for host in [
        server.address.clone(),
        format!("http://{}/storage/v1/", server.address),
    ] {
        let gcs = gcs("bucket: b", &[("STORAGE_EMULATOR_HOST", &host)]).unwrap();
        let bucket = gcs.open(String::new(), once(), None).unwrap();
        assert_eq!(bucket.get("a/k").await.unwrap(), "bytes");
        bucket.put("a/k", "v".into()).await.unwrap();
        assert!(bucket.put_if_absent("new", "v".into()).await.unwrap());
        assert!(!bucket.put_if_absent("old", "v".into()).await.unwrap());
        bucket.delete("a/k").await.unwrap();
        assert!(!bucket.exists("none").await.unwrap());
        let listed = async |after| {
            let objects = bucket.list("a", after).await.unwrap();
            objects.into_iter().map(|o| o.key).collect::<Vec<_>>()
        };
        assert_eq!(listed(None).await, ["a/1", "a/4", "a/<2>&"]);
        assert_eq!(listed(Some("a/1")).await, ["a/4"]);
    }
    let posted = server.asked().into_iter().find(|asked| asked.body == "v");
    assert!(posted.is_some());
    let error = gcs("bucket: b", &[("STORAGE_EMULATOR_HOST", "http://")]);
    assert!(error.unwrap_err().to_string().contains("expected a host"));
}
