//! No secret of a configuration is shown: not by `Debug`, and not by an error about it or about what stands beside it.

use std::{fs, path::Path};

use bucket::BucketConfig;
use service::{GrpcTls, GrpcTlsOptions, HttpClientConfig, Metrics, Reload, TlsVersion, WebConfig};
use sidecar::PrometheusConfig;

/// Stands where a secret does.
const MARK: &str = "s3cr3t-0f-th3-t3st";

/// A configuration: the fields that hold secrets, and what else it needs, as members of a YAML mapping.
struct Case {
    kind: &'static str,
    secrets: &'static [&'static str],
    rest: &'static str,
}

const BUCKETS: &[Case] = &[
    Case {
        kind: "S3",
        secrets: &["access_key", "secret_key", "session_token"],
        rest: "bucket: b, endpoint: 127.0.0.1:9000",
    },
    Case {
        kind: "GCS",
        secrets: &["service_account"],
        rest: "bucket: b",
    },
    Case {
        kind: "AZURE",
        secrets: &["storage_account_key"],
        rest: "storage_account: account, container: c",
    },
    Case {
        kind: "AZURE",
        secrets: &["storage_connection_string"],
        rest: "container: c",
    },
    Case {
        kind: "AZURE",
        secrets: &["client_secret"],
        rest: "storage_account: account, container: c, az_tenant_id: t, client_id: i",
    },
    Case {
        kind: "SWIFT",
        secrets: &["password", "application_credential_secret"],
        rest: "auth_url: 'http://127.0.0.1', username: u, container_name: c",
    },
    Case {
        kind: "COS",
        secrets: &["secret_id", "secret_key"],
        rest: "bucket: b, region: r, app_id: a",
    },
    Case {
        kind: "ALIYUNOSS",
        secrets: &["access_key_id", "access_key_secret"],
        rest: "bucket: b, endpoint: oss.example.com",
    },
    Case {
        kind: "BOS",
        secrets: &["access_key", "secret_key"],
        rest: "bucket: b, endpoint: bos.example.com",
    },
    Case {
        kind: "OCI",
        secrets: &["privatekey", "passphrase", "fingerprint"],
        rest: "provider: raw, bucket: b, tenancy_ocid: t, user_ocid: u, region: r",
    },
    Case {
        kind: "OBS",
        secrets: &["access_key", "secret_key"],
        rest: "bucket: b, endpoint: obs.example.com",
    },
];

const CLIENTS: &[Case] = &[
    Case {
        kind: "bearer",
        secrets: &["bearer_token"],
        rest: "bearer_token_file: ''",
    },
    Case {
        kind: "proxy",
        secrets: &["proxy_url"],
        rest: "bearer_token_file: ''",
    },
];

/// The members with the mark as each secret, and with one mistake each.
fn variants(case: &Case) -> Vec<String> {
    let with = |value: &dyn Fn(&str) -> String| {
        let secrets = case.secrets.iter();
        let mut members: Vec<_> = secrets
            .map(|name| format!("{name}: {}", value(name)))
            .collect();
        members.push(case.rest.to_owned());
        members.join(", ")
    };
    let plain = with(&|_| MARK.to_owned());
    let first = case.secrets.first().copied().unwrap_or_default();
    let mut all = vec![
        plain.clone(),
        // An unknown field beside the secret.
        format!("{plain}, unknown_field: 1"),
        // The secret under a name that is not known, or twice.
        format!("{plain}, {first}: again"),
        // As the value of what is no text.
        format!("{plain}, http_config: {MARK}"),
        format!("{plain}, http_config: {{max_idle_conns: {MARK}}}"),
        format!("{plain}, max_retries: {MARK}"),
        format!("{plain}, tls_config: {MARK}"),
        format!("{plain}, transport_config: {{max_idle_conns: {MARK}}}"),
        format!("{plain}, transport_config: {{idle_conn_timeout: {MARK}}}"),
        format!("{plain}, basic_auth: {MARK}"),
        format!("{plain}, insecure: {MARK}"),
    ];
    for wrong in case.secrets {
        for value in [
            format!("[{MARK}]"),
            format!("{{a: {MARK}}}"),
            format!("!!binary {MARK}"),
            format!("\"{MARK}\\0\""),
            format!("\"{MARK}\\n{MARK}\""),
            format!("'{{\"type\": \"{MARK}\"}}'"),
            format!("'{{\"private_key\": \"{MARK}\", \"type\": \"service_account\"}}'"),
            format!("'AccountName={MARK};AccountKey={MARK};x'"),
            format!("'http://user:{MARK}@127.0.0.1:1'"),
            format!("'http://user:{MARK}@:x'"),
        ] {
            all.push(with(&|name| match name == *wrong {
                true => value.clone(),
                false => MARK.to_owned(),
            }));
        }
    }
    all
}

fn assert_hidden(shown: &str, of: &str) {
    assert!(!shown.contains(MARK), "{of}: shows {shown}");
}

/// The text of an error with all its causes.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text
}

#[test]
fn no_secret_of_a_bucket_s_configuration_is_shown() {
    service::install_crypto_provider();
    let mut accepted = 0;
    for case in BUCKETS {
        for members in variants(case) {
            let yaml = format!("type: {}\nconfig: {{{members}}}\n", case.kind);
            match BucketConfig::from_yaml(&yaml, |_| None) {
                Ok(config) => {
                    accepted += 1;
                    assert_hidden(&format!("{config:?}"), &yaml);
                    match config.open() {
                        Ok(bucket) => assert_hidden(&format!("{bucket:?}"), &yaml),
                        Err(error) => assert_hidden(&whole(&error), &yaml),
                    }
                }
                Err(error) => assert_hidden(&whole(&error), &yaml),
            }
        }
        // Where a mapping should be.
        let yaml = format!("type: {}\nconfig: {MARK}\n", case.kind);
        let error = BucketConfig::from_yaml(&yaml, |_| None).unwrap_err();
        assert_hidden(&whole(&error), &yaml);
    }
    assert!(accepted >= 10, "only {accepted} configurations were valid");
}

#[test]
fn no_secret_of_the_client_of_prometheus_is_shown() {
    service::install_crypto_provider();
    let basic = format!("basic_auth: {{username: u, password: {MARK}}}");
    let mut all: Vec<String> = CLIENTS.iter().flat_map(variants).collect();
    for value in [
        format!("[{MARK}]"),
        format!("{{a: {MARK}}}"),
        format!("{MARK}, x: 1"),
    ] {
        all.push(format!("basic_auth: {{username: u, password: {value}}}"));
    }
    all.push(format!("{basic}, bearer_token: {MARK}"));
    all.push(basic);
    let mut accepted = 0;
    for members in all {
        match HttpClientConfig::from_yaml(&format!("{{{members}}}")) {
            Ok(config) => {
                accepted += 1;
                assert_hidden(&format!("{config:?}"), &members);
            }
            Err(error) => assert_hidden(&whole(&error), &members),
        }
    }
    assert!(accepted >= 3, "only {accepted} configurations were valid");
    for url in [
        "http://user:MARK@localhost:9090",
        "user:MARK@",
        "ftp://user:MARK@host",
    ] {
        let config = PrometheusConfig {
            url: url.replace("MARK", MARK),
            ..PrometheusConfig::default()
        };
        assert_hidden(&format!("{config:?}"), url);
    }
}

#[test]
fn no_secret_of_the_web_configuration_is_shown() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("web.yml");
    fs::write(dir.path().join("server.key"), key_of_mark())?;
    fs::write(dir.path().join("server.pem"), key_of_mark())?;
    for text in [
        format!("basic_auth_users: {{user: {MARK}}}"),
        format!("basic_auth_users: {{user: [{MARK}]}}"),
        format!("basic_auth_users: {MARK}"),
        format!("basic_auth_users: {{user: {MARK}, user: {MARK}}}"),
        format!("basic_auth_users: {{user: '$2y$10${MARK}'}}"),
        format!("unknown_field: 1\nbasic_auth_users: {{user: {MARK}}}"),
        format!("rate_limit: {{burst: {MARK}}}"),
        "tls_server_config: {cert_file: server.pem, key_file: server.key}".to_owned(),
    ] {
        fs::write(&path, &text)?;
        match WebConfig::open(&path, &Metrics::new(), &Reload::new()) {
            Ok(web) => assert_hidden(&format!("{web:?}"), &text),
            Err(error) => assert_hidden(&whole(&error), &text),
        }
    }
    Ok(())
}

#[test]
fn no_part_of_a_key_of_grpc_is_shown() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    for key in [key_of_mark(), MARK.to_owned(), String::new()] {
        for name in ["server.pem", "server.key"] {
            fs::write(dir.path().join(name), &key)?;
        }
        let options = options(dir.path());
        assert_hidden(&format!("{options:?}"), "options");
        let Err(error) = GrpcTls::open(&options, &Metrics::new(), &Reload::new()) else {
            anyhow::bail!("a key that is none was accepted");
        };
        assert_hidden(&whole(&error), &key);
    }
    Ok(())
}

/// What looks like a key until it is decoded.
fn key_of_mark() -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----\n")
}

fn options(dir: &Path) -> GrpcTlsOptions {
    GrpcTlsOptions {
        cert_file: dir.join("server.pem"),
        key_file: dir.join("server.key"),
        client_ca_file: None,
        min_version: TlsVersion::V13,
        cipher_suites: Vec::new(),
        curves: Vec::new(),
    }
}
