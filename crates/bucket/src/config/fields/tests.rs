use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::{Map, json};

use super::*;
use crate::BucketConfig;

const DOCS: &str = include_str!("../../../../../docs/bucket.md");

/// For each type the fields that it needs.
fn base(kind: &str) -> Value {
    match kind {
        "S3" => json!({"bucket": "b", "endpoint": "e", "access_key": "a", "secret_key": "s"}),
        "GCS" => json!({"bucket": "b"}),
        "AZURE" => json!({"storage_account": "acc", "container": "box"}),
        "FILESYSTEM" => json!({"directory": std::env::temp_dir()}),
        "COS" => {
            json!({"bucket": "b", "app_id": "1", "region": "r", "secret_id": "i", "secret_key": "s"})
        }
        "ALIYUNOSS" => {
            json!({"endpoint": "e", "bucket": "b", "access_key_id": "i", "access_key_secret": "s"})
        }
        "OBS" | "BOS" => {
            json!({"endpoint": "e", "bucket": "b", "access_key": "i", "secret_key": "s"})
        }
        _ => json!({}),
    }
}

/// A value of a field that is not Thanos's default, with other fields that it needs, and with the error of opening the
/// bucket, if the field names a file that does not exist.
fn sample(kind: &str, field: &str) -> (Value, Value, &'static str) {
    let none = json!({});
    let sse_c = json!({"sse_config": {"type": "SSE-C"}});
    let service_account = r#"{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}"#;
    match field {
        "endpoint" if kind == "COS" => (json!("https://b.cos.r.myqcloud.com"), none, ""),
        "directory" => (json!(std::env::temp_dir()), none, ""),
        "service_account" => (json!(service_account), none, ""),
        "put_user_metadata" => (json!({"team": "a"}), none, ""),
        "aws_sdk_auth" => (json!(true), json!({"access_key": "", "secret_key": ""}), ""),
        "list_objects_version" => (json!("v1"), none, ""),
        "bucket_lookup_type" => (json!("path"), none, ""),
        "send_content_md5" => (json!(false), none, ""),
        "part_size" | "chunk_size_bytes" => (json!(6 << 20), none, ""),
        "sse_config.type" => (json!("SSE-S3"), none, ""),
        "sse_config.kms_key_id" | "sse_config.kms_encryption_context" => {
            let more = json!({"sse_config": {"type": "SSE-KMS", "kms_key_id": "k"}});
            let context = field.ends_with("context");
            (
                if context {
                    json!({"a": "b"})
                } else {
                    json!("k")
                },
                more,
                "",
            )
        }
        "sse_config.encryption_key" => (json!("/none"), sse_c, "encryption_key: /none: "),
        "storage_account_key" => (json!("a2V5"), none, ""),
        "storage_connection_string" => (json!("UseDevelopmentStorage=true"), none, ""),
        "storage_create_container" => (json!(false), none, ""),
        "az_tenant_id" | "client_id" | "client_secret" => {
            let all = json!({"az_tenant_id": "t", "client_id": "c", "client_secret": "s"});
            (json!("x"), all, "")
        }
        "http_config.tls_config.ca_file" => (json!("/none"), none, "ca_file: /none: "),
        "http_config.tls_config.cert_file" => {
            let key = json!({"http_config": {"tls_config": {"key_file": "k"}}});
            (json!("/none"), key, "cert_file: /none: ")
        }
        "http_config.tls_config.key_file" => {
            let cert = json!({"http_config": {"tls_config": {"cert_file": "/none"}}});
            (json!("/none"), cert, "cert_file: /none: ")
        }
        _ if ends(field, &["timeout", "retry_delay"]) => (json!("7s"), none, ""),
        _ if ends(
            field,
            &[
                "max_retries",
                "max_tries",
                "retry_requests",
                "conns",
                "per_host",
                "pool_size",
            ],
        ) =>
        {
            (json!(7), none, "")
        }
        _ if ends(
            field,
            &[
                "insecure",
                "skip_verify",
                "disable_compression",
                "signature_version2",
                "dualstack",
                "disable_multipart",
                "trace.enable",
                "use_grpc",
            ],
        ) =>
        {
            (json!(true), none, "")
        }
        _ => (json!("x"), none, ""),
    }
}

fn ends(field: &str, with: &[&str]) -> bool {
    with.iter().any(|end| field.ends_with(end))
}

/// Sets a field in a section.
fn set(config: &mut Value, path: &str, value: Value) {
    let at = path.split('.').fold(config, |at, name| {
        let members = at.as_object_mut().unwrap();
        members
            .entry(name)
            .or_insert_with(|| Value::Object(Map::new()))
    });
    *at = value;
}

fn merge(config: &mut Value, more: &Value) {
    for (name, value) in more.as_object().unwrap() {
        let at = config.as_object_mut().unwrap();
        match at.get_mut(name) {
            Some(inner) if inner.is_object() => merge(inner, value),
            _ => {
                at.insert(name.clone(), value.clone());
            }
        }
    }
}

fn read(kind: &str, config: &Value) -> Result<BucketConfig, String> {
    // JSON is YAML.
    let yaml = format!("type: {kind}\nconfig: {config}\n");
    let variable = |name: &str| (name == "HOME").then(|| "/none".to_owned());
    BucketConfig::from_yaml(&yaml, variable).map_err(|error| error.to_string())
}

#[tokio::test]
async fn each_field_of_each_type_does_what_its_table_says() {
    for table in TABLES {
        let kind = table.kind;
        if table.refused.is_none() {
            assert_eq!(read(kind, &base(kind)).unwrap().notices, [], "{kind}");
        }
        for (field, row) in table.names() {
            let (value, more, missing) = sample(kind, &field);
            let mut config = base(kind);
            merge(&mut config, &more);
            set(&mut config, &field, value);
            let found = read(kind, &config);
            let what = format!("{kind} {config}");
            let place = format!("config.{field}");
            if table.refused.is_some() {
                let error = found.expect_err(&what);
                assert!(error.contains("type: "), "{what}: {error}");
                continue;
            }
            match row.effect {
                Effect::Honoured => {
                    let found = found.expect(&what);
                    assert_eq!(found.notices, [], "{what}");
                    let opened = found.open().map_err(|error| error.to_string());
                    match opened {
                        Ok(_) => assert_eq!(missing, "", "{what}"),
                        Err(error) => {
                            assert!(!missing.is_empty(), "{what}: {error}");
                            assert!(error.contains(missing), "{what}: {error}");
                        }
                    }
                }
                Effect::None => {
                    let expected = Notice {
                        field: place,
                        why: row.note,
                    };
                    assert_eq!(found.expect(&what).notices, [expected], "{what}");
                }
                Effect::Refused => {
                    let error = found.expect_err(&what);
                    let expected = format!("objstore config: {place}: {}", row.note);
                    assert_eq!(error, expected, "{what}");
                }
            }
        }
    }
}

#[test]
fn thanoss_defaults_are_taken_without_a_warning() {
    for table in TABLES.into_iter().filter(|table| table.refused.is_none()) {
        let mut config = base(table.kind);
        for (field, row) in table.names() {
            if row.effect != Effect::Honoured {
                set(&mut config, &field, json!(row.default));
            }
        }
        assert_eq!(read(table.kind, &config).unwrap().notices, [], "{config}");
    }
}

#[test]
fn a_field_that_is_in_no_table_is_an_error_that_names_it() {
    for table in TABLES {
        let sections = table.names().filter_map(|(name, _)| {
            let (section, _) = name.rsplit_once('.')?;
            Some(format!("{section}."))
        });
        let sections: BTreeSet<String> = sections.chain([String::new()]).collect();
        for section in sections {
            let mut config = base(table.kind);
            set(&mut config, &format!("{section}bogus"), json!(1));
            let error = read(table.kind, &config).expect_err("an unknown field");
            assert!(
                error.contains("unknown field") && error.contains("bogus"),
                "{}: {error}",
                table.kind
            );
            // The fields that the section is read into are those of the table.
            let Some((_, known)) = error.split_once("unknown field `bogus`, expected one of ")
            else {
                continue;
            };
            let known = known.split(" at line ").next().unwrap_or_default();
            let known: BTreeSet<&str> = known
                .split([',', ' ', '`', ')', '(', '\n'])
                .filter(|name| !name.is_empty())
                .collect();
            let of_table: BTreeSet<String> = table
                .names()
                .filter_map(|(name, _)| {
                    let rest = name.strip_prefix(&section)?;
                    Some(rest.split('.').next()?.to_owned())
                })
                .collect();
            let of_table: BTreeSet<&str> = of_table.iter().map(String::as_str).collect();
            assert_eq!(known, of_table, "{} {section}", table.kind);
        }
    }
}

/// A table as the documentation has it.
fn rendered(fields: &[Field]) -> String {
    let mut rows: Vec<(String, Effect, &str)> = Vec::new();
    for field in fields {
        let name = format!("`{}`", field.name);
        match rows.last_mut() {
            Some((names, effect, note)) if (*effect, *note) == (field.effect, field.note) => {
                let _ = write!(names, ", {name}");
            }
            _ => rows.push((name, field.effect, field.note)),
        }
    }
    let mut text = "| field | | |\n|---|---|---|\n".to_owned();
    for (names, effect, note) in rows {
        let effect = match effect {
            Effect::Honoured => "honoured",
            Effect::None => "**without effect**",
            Effect::Refused => "**refused**",
        };
        let _ = writeln!(text, "| {names} | {effect} | {note} |");
    }
    text
}

#[test]
fn the_documentation_has_these_tables() {
    let mut parts: Vec<(String, String)> = TABLES
        .into_iter()
        .map(|table| (format!("`type: {}`", table.kind), rendered(table.fields)))
        .collect();
    parts.push(("`http_config`".to_owned(), rendered(S3_HTTP)));
    let missing: String = parts
        .into_iter()
        .filter(|(title, table)| !DOCS.contains(&format!("### {title}\n\n{table}")))
        .map(|(title, table)| format!("### {title}\n\n{table}\n"))
        .collect();
    assert!(missing.is_empty(), "docs/bucket.md lacks:\n{missing}");
    for table in TABLES {
        if let Some(why) = table.refused {
            assert!(DOCS.contains(why), "docs/bucket.md lacks: {why}");
        }
    }
}

const S3_HTTP: &[Field] = http::HTTP;
