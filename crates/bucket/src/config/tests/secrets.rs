//! No secret of any configuration is in a log, an error or a `Debug` text.

use std::{io, sync::Arc};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::super::{BucketConfig, Retry, testing::Server};

/// Every secret has this; it is also base64.
const MARK: &str = "MarkedMarked";
/// What a server that lacks discretion repeats.
const ACCESS_KEY: &str = "theAccessKey";

/// For each type a configuration with all its secrets, on a server of the test where that can be.
fn configurations(address: &str) -> Vec<Value> {
    let secret = |of: &str| format!("{MARK}{of}");
    let string = format!(
        "AccountName=acc;AccountKey={MARK};BlobEndpoint=http://{address}/acc;SharedAccessSignature=sig={MARK}"
    );
    let sas = format!("BlobEndpoint=http://{address}/acc;SharedAccessSignature=sv=1&sig={MARK}");
    let user = json!({
        "type": "authorized_user", "client_id": "i",
        "client_secret": secret("A"), "refresh_token": secret("B"),
    });
    let key = json!({
        "type": "service_account", "client_email": "e", "private_key": secret("C"),
    });
    let other = json!({
        "type": "external_account", "audience": "a", "subject_token_type": "t",
        "token_url": format!("http://{address}/token"),
        "credential_source": {"url": format!("http://{address}/s"), "headers": {"x": secret("D")}},
    });
    let broken = format!("{{\"type\": \"service_account\", \"private_key\": {MARK}");
    let trace = json!({"enable": true});
    vec![
        json!({"type": "S3", "config": {
            "bucket": "b", "endpoint": address, "insecure": true, "trace": trace,
            "access_key": ACCESS_KEY, "secret_key": secret("E"), "session_token": secret("F"),
        }}),
        json!({"type": "GCS", "config": {"bucket": "b", "service_account": user.to_string()}}),
        json!({"type": "GCS", "config": {"bucket": "b", "service_account": key.to_string()}}),
        json!({"type": "GCS", "config": {"bucket": "b", "service_account": other.to_string()}}),
        json!({"type": "GCS", "config": {"bucket": "b", "service_account": broken}}),
        json!({"type": "AZURE", "config": {
            "storage_account": "acc", "container": "box", "storage_connection_string": string,
        }}),
        json!({"type": "AZURE", "config": {
            "storage_account": "acc", "container": "box", "storage_connection_string": sas,
        }}),
        json!({"type": "AZURE", "config": {
            "storage_account": "acc", "container": "box",
            "storage_connection_string": format!("AccountName=acc;AccountKey=!{MARK}"),
        }}),
        json!({"type": "AZURE", "config": {
            "storage_account": "acc", "container": "box", "endpoint": "localhost:1",
            "az_tenant_id": "t", "client_id": "c", "client_secret": secret("G"),
        }}),
        json!({"type": "AZURE", "config": {
            "storage_account": "acc", "container": "box", "endpoint": "localhost:1",
            "storage_account_key": format!("!{MARK}"),
        }}),
        json!({"type": "COS", "config": {
            "endpoint": format!("http://{address}"), "secret_id": ACCESS_KEY, "secret_key": secret("H"),
        }}),
        json!({"type": "ALIYUNOSS", "config": {
            "endpoint": format!("http://{address}"), "bucket": "b",
            "access_key_id": ACCESS_KEY, "access_key_secret": secret("I"),
        }}),
        json!({"type": "OBS", "config": {
            "endpoint": format!("http://{address}"), "bucket": "b",
            "access_key": ACCESS_KEY, "secret_key": secret("J"),
        }}),
        json!({"type": "BOS", "config": {
            "endpoint": format!("http://{address}"), "bucket": "b",
            "access_key": ACCESS_KEY, "secret_key": secret("K"),
        }}),
        json!({"type": "OCI", "config": {"privatekey": secret("L"), "passphrase": secret("M")}}),
        json!({"type": "SWIFT", "config": {
            "password": secret("N"), "application_credential_secret": secret("O"),
        }}),
    ]
}

/// The same with one text after the other replaced by something of another type, and with an unknown field.
fn spoilt(config: &Value) -> Vec<Value> {
    let mut all = vec![config.clone()];
    let fields = config["config"].as_object().unwrap();
    for (name, value) in fields {
        for other in [json!([value]), json!({"a": value}), json!({ MARK: 1 })] {
            let mut spoilt = config.clone();
            spoilt["config"][name] = other;
            all.push(spoilt);
        }
        let mut spoilt = config.clone();
        spoilt["config"][format!("{name}x")] = value.clone();
        all.push(spoilt);
        let mut spoilt = config.clone();
        spoilt["config"]["max_retries"] = value.clone();
        all.push(spoilt);
    }
    all
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_is_in_a_log_an_error_or_a_debug_text() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let server = Server::start(|_| (403, &[], "not you".to_owned())).await;
    let mut texts = Vec::new();
    for config in configurations(&server.address) {
        for config in spoilt(&config) {
            let mut read = match BucketConfig::from_yaml(&config.to_string(), |_| None) {
                Ok(read) => read,
                Err(error) => {
                    texts.push(format!("{error} {error:?}"));
                    continue;
                }
            };
            read.retry = Retry {
                attempts: 0,
                ..Retry::default()
            };
            texts.push(format!("{read:?} {read:#?}"));
            let bucket = match read.open() {
                Ok(bucket) => bucket,
                Err(error) => {
                    texts.push(format!("{error} {error:?}"));
                    continue;
                }
            };
            texts.push(format!("{bucket:?}"));
            // Others are not of this machine.
            if !config.to_string().contains(&server.address) {
                continue;
            }
            for error in [
                bucket.get("k").await.err(),
                bucket.list("", None).await.err(),
                bucket.put("k", "v".into()).await.err(),
            ] {
                let error = error.expect("the server refuses all");
                texts.push(format!("{error} {error:?}"));
            }
        }
    }
    let log = String::from_utf8(log.0.lock().clone()).unwrap();
    assert!(
        log.contains("request to the object store"),
        "requests are logged"
    );
    texts.push(log);
    for text in texts {
        // A field may be named as a secret is, if that is what stands there.
        let text = text.replace(&format!("unknown field `{MARK}`"), "");
        let at = text.find(MARK);
        let around = at.map(|at| text.get(at.saturating_sub(200)..at + 20));
        assert_eq!(around, None);
    }
}
