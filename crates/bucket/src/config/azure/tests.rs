use super::{
    super::testing::{Answer, Asked, Server},
    *,
};

/// `key` in base64.
const KEY: &str = "a2V5";
const BLOB: &[(&str, &str)] = &[
    ("etag", "0x1"),
    ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
];

fn azure(yaml: &str, variables: &[(&str, &str)]) -> Result<Azure, BucketError> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(of, _)| *of == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let yaml = format!("storage_account: acc\ncontainer: box\n{yaml}");
    Azure::new(serde_saphyr::from_str(&yaml).unwrap(), &variable)
}

/// The container on `server`.
fn bucket(server: &Server, yaml: &str, variables: &[(&str, &str)]) -> Bucket {
    let mut azure = azure(yaml, variables).unwrap();
    azure.url = format!("http://{}/acc", server.address);
    crate::config::install_crypto_provider();
    let retry = Retry {
        attempts: 0,
        ..Retry::default()
    };
    azure.open(String::new(), retry, None).unwrap()
}

fn blob(_: &Asked) -> Answer {
    (200, BLOB, "bytes".to_owned())
}

#[tokio::test]
async fn an_object_is_created_on_the_condition_that_none_exists() {
    let server = Server::start(|asked| match asked.line.as_str() {
        "PUT /acc/box/taken" => (
            409,
            &[("x-ms-error-code", "BlobAlreadyExists")],
            String::new(),
        ),
        _ => (201, BLOB, String::new()),
    })
    .await;
    let bucket = bucket(&server, &format!("storage_account_key: {KEY}"), &[]);
    assert!(bucket.put_if_absent("free", "1".into()).await.unwrap());
    assert!(!bucket.put_if_absent("taken", "1".into()).await.unwrap());
    bucket.put("other", "1".into()).await.unwrap();
    let puts: Vec<String> = server
        .asked()
        .into_iter()
        .map(|put| format!("{} {}", put.line, put.header("if-none-match")))
        .collect();
    assert_eq!(
        puts,
        [
            "PUT /acc/box/free *",
            "PUT /acc/box/taken *",
            "PUT /acc/box/other "
        ]
    );
    let signed = server.asked().into_iter();
    let mut signed = signed.map(|asked| asked.header("authorization").to_owned());
    assert!(signed.all(|by| by.starts_with("SharedKey acc:")));
}

#[tokio::test]
async fn a_missing_container_is_created_unless_configured_otherwise() {
    let missing: Answer = (
        404,
        &[("x-ms-error-code", "ContainerNotFound")],
        "missing".to_owned(),
    );
    for (more, expected) in [
        (
            "",
            &[
                "PUT /acc/box/k",
                "PUT /acc/box?restype=container",
                "PUT /acc/box/k",
            ][..],
        ),
        ("storage_create_container: false", &["PUT /acc/box/k"][..]),
    ] {
        let is_there = std::sync::atomic::AtomicBool::new(false);
        let missing = missing.clone();
        let server = Server::start(move |asked| {
            use std::sync::atomic::Ordering::Relaxed;
            if asked.line.ends_with("?restype=container") {
                is_there.store(true, Relaxed);
            }
            match is_there.load(Relaxed) {
                true => (201, BLOB, String::new()),
                false => missing.clone(),
            }
        })
        .await;
        let bucket = bucket(&server, &format!("storage_account_key: {KEY}\n{more}"), &[]);
        let put = bucket.put("k", "v".into()).await;
        assert_eq!(put.is_ok(), more.is_empty(), "{put:?}");
        let lines: Vec<String> = server.asked().into_iter().map(|asked| asked.line).collect();
        assert_eq!(lines, expected);
    }
}

#[tokio::test]
async fn a_container_that_may_not_be_created_is_an_error_that_says_so() {
    let server = Server::start(|asked| match asked.line.contains("restype") {
        true => (403, &[], "AuthorizationFailure".to_owned()),
        false => (
            404,
            &[("x-ms-error-code", "ContainerNotFound")],
            String::new(),
        ),
    })
    .await;
    let bucket = bucket(&server, &format!("storage_account_key: {KEY}"), &[]);
    let error = bucket.list("", None).await.unwrap_err().to_string();
    assert!(error.contains("AuthorizationFailure"), "{error}");
    assert!(
        error.contains("container box with the credentials of config.storage_account_key"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_ignores_where_a_listing_starts_is_listed_from_there() {
    let server = Server::start(|_| {
        let entry = |name: &str| {
            format!(
                "<Blob><Name>{name}</Name><Properties><Last-Modified>Tue, 14 Nov 2023 22:13:20 GMT</Last-Modified><Etag>0x1</Etag><Content-Length>1</Content-Length><Content-Type>a/b</Content-Type></Properties></Blob>"
            )
        };
        let all: String = ["a/0", "a/1", "a//x", "a/2"].map(entry).concat();
        let text = format!(
            "<EnumerationResults><Blobs>{all}</Blobs><NextMarker /></EnumerationResults>"
        );
        (200, &[], text)
    })
    .await;
    let bucket = bucket(&server, &format!("storage_account_key: {KEY}"), &[]);
    let keys = async |after| {
        let objects = bucket.list("a", after).await.unwrap();
        objects.into_iter().map(|o| o.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(None).await, ["a/0", "a/1", "a/2"]);
    assert_eq!(keys(Some("a/1")).await, ["a/2"]);
}

#[tokio::test]
async fn tokens_are_fetched_for_each_kind_of_identity() {
    let server = Server::start(|asked| {
        let given = |token: &str| {
            let text = format!(
                r#"{{"access_token": "{token}", "expires_in": 3600, "expires_on": "7258118400", "token_type": "Bearer"}}"#
            );
            (200, &[] as &[_], text)
        };
        let has = |text: &str| asked.body.contains(text);
        match asked.line.split('?').next().unwrap() {
            "POST /tenant/oauth2/v2.0/token" if has("client_secret=s3") => given("of-secret"),
            "POST /tenant/oauth2/v2.0/token" if has("client_assertion=theirs") => {
                given("of-workload")
            }
            "GET /msi" if asked.line.contains("client_id=me") => given("of-user-assigned"),
            "GET /msi" => given("of-machine"),
            _ => blob(asked),
        }
    })
    .await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "theirs").unwrap();
    let file = file.path().display().to_string();
    let at = format!("http://{}/", server.address);
    let msi = format!("{at}msi");
    let authority = ("AZURE_AUTHORITY_HOST", at.as_str());
    let client = [
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "me"),
        authority,
    ];
    let endpoint = ("IDENTITY_ENDPOINT", msi.as_str());
    let with = |more: (&'static str, String)| -> Vec<(&'static str, String)> {
        let mut all: Vec<_> = client.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        all.push(more);
        all
    };
    let secret = with(("AZURE_CLIENT_SECRET", "s3".to_owned()));
    let workload = with(("AZURE_FEDERATED_TOKEN_FILE", file));
    let of = |pairs: &[(&'static str, String)]| -> Vec<(&'static str, String)> { pairs.to_vec() };
    let own = [(authority.0, authority.1.to_owned())];
    let machine = [(endpoint.0, endpoint.1.to_owned())];
    for (yaml, variables, expected) in [
        (
            "az_tenant_id: tenant\nclient_id: me\nclient_secret: s3",
            of(&own),
            "of-secret",
        ),
        ("", of(&secret), "of-secret"),
        ("", of(&workload), "of-workload"),
        ("user_assigned_id: me", of(&machine), "of-user-assigned"),
        ("", of(&machine), "of-machine"),
    ] {
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
        bucket(&server, yaml, &variables).get("k").await.unwrap();
        let asked = server.asked();
        let last = asked.last().unwrap();
        assert_eq!(last.header("authorization"), format!("Bearer {expected}"));
    }
}

#[test]
fn contradictions_are_errors_that_name_the_field() {
    for (yaml, expected) in [
        (
            "storage_account_key: no",
            "storage_account_key: expected an account's key in base64",
        ),
        (
            "storage_account_key: a2V5\nstorage_connection_string: s",
            "storage_account_key: expected no storage_connection_string",
        ),
        (
            "storage_account_key: a2V5\nuser_assigned_id: u",
            "user_assigned_id: expected no storage_account_key",
        ),
        (
            "client_id: c",
            "az_tenant_id: expected az_tenant_id, client_id and client_secret together",
        ),
        (
            "az_tenant_id: t\nclient_id: c",
            "client_secret: expected az_tenant_id, client_id and client_secret together",
        ),
        (
            "endpoint: 'a b'\nstorage_account_key: a2V5",
            "endpoint: expected a host",
        ),
    ] {
        let error = azure(yaml, &[]).unwrap_err().to_string();
        let start = format!("objstore config: config.{expected}");
        assert!(error.starts_with(&start), "{error}");
    }
    for (yaml, field) in [
        ("container: c", "storage_account"),
        ("storage_account: a", "container"),
        ("storage_account: a\ncontainer: c/d", "container"),
    ] {
        let error = Azure::new(serde_saphyr::from_str(yaml).unwrap(), &|_| None);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(&format!("config.{field}: expected a name")));
    }
    let variables = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_CERTIFICATE_PATH", "p"),
    ];
    let error = azure("", &variables).unwrap_err().to_string();
    assert!(error.contains("AZURE_CLIENT_CERTIFICATE_PATH: not supported"));
}

#[test]
fn the_account_is_below_the_endpoint_and_attempts_are_as_configured() {
    let url = |yaml: &str| azure(yaml, &[]).unwrap().url;
    assert_eq!(url(""), "https://acc.blob.core.windows.net");
    assert_eq!(
        url("endpoint: blob.core.chinacloudapi.cn"),
        "https://acc.blob.core.chinacloudapi.cn"
    );
    let retry = |yaml: &str| {
        let mut retry = Retry::default();
        azure(yaml, &[]).unwrap().adapt(&mut retry);
        (retry.attempts, retry.pause.as_millis(), retry.longest_pause)
    };
    assert_eq!(retry(""), (10, 100, None));
    assert_eq!(retry("max_retries: 4").0, 4);
    let all = "max_retries: 4\npipeline_config: {max_tries: 7, try_timeout: 5s, retry_delay: 1s, max_retry_delay: 2s}";
    assert_eq!(retry(all), (7, 1000, Some(Duration::from_secs(2))));
}
