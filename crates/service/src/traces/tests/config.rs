//! Each field of Thanos's YAML is honoured, or without effect and said so.

use std::{collections::BTreeSet, time::Duration};

use super::{
    super::{
        config::{Compression, Retry, Target},
        fields::{self, Effect},
        sampling::{Parents, Root},
    },
    *,
};
use crate::tls::testing::{Authority, Files};

/// The fields of Thanos v0.42 with a value that is not their default, and those that they need beside them.
const OTLP: &[(&str, &str, &str)] = &[
    ("client_type", "client_type: http", ""),
    ("service_name", "service_name: thanos", ""),
    (
        "resource_attributes.*",
        "resource_attributes: {zone: a}",
        "",
    ),
    ("reconnection_period", "reconnection_period: 30s", ""),
    ("compression", "compression: gzip", ""),
    ("insecure", "insecure: true", ""),
    ("endpoint", "endpoint: 'otel:4317'", ""),
    (
        "url_path",
        "client_type: http, url_path: /x",
        "client_type: http",
    ),
    ("timeout", "timeout: 3s", ""),
    (
        "retry_config.retry_enabled",
        "retry_config: {retry_enabled: true, retry_max_interval: 9s}",
        "retry_config: {retry_max_interval: 9s}",
    ),
    (
        "retry_config.retry_initial_interval",
        "retry_config: {retry_enabled: true, retry_initial_interval: 1s}",
        "retry_config: {retry_enabled: true}",
    ),
    (
        "retry_config.retry_max_interval",
        "retry_config: {retry_enabled: true, retry_max_interval: 9s}",
        "retry_config: {retry_enabled: true}",
    ),
    (
        "retry_config.retry_max_elapsed_time",
        "retry_config: {retry_enabled: true, retry_max_elapsed_time: 9s}",
        "retry_config: {retry_enabled: true}",
    ),
    ("headers.*", "headers: {x-scope: a}", ""),
    ("tls_config.ca_file", "tls_config: {ca_file: CA}", ""),
    (
        "tls_config.cert_file",
        "tls_config: {ca_file: CA, cert_file: CERT, key_file: KEY}",
        "tls_config: {ca_file: CA}",
    ),
    (
        "tls_config.key_file",
        "tls_config: {ca_file: CA, cert_file: CERT, key_file: KEY}",
        "tls_config: {ca_file: CA}",
    ),
    (
        "tls_config.server_name",
        "tls_config: {ca_file: CA, server_name: otel.example}",
        "tls_config: {ca_file: CA}",
    ),
    (
        "tls_config.insecure_skip_verify",
        "tls_config: {ca_file: CA, insecure_skip_verify: true}",
        "tls_config: {ca_file: CA}",
    ),
    ("sampler_type", "sampler_type: neversample", ""),
    (
        "sampler_param",
        "sampler_type: traceidratiobased, sampler_param: '0.5'",
        "sampler_type: traceidratiobased",
    ),
];

const JAEGER: &[(&str, &str, &str)] = &[
    ("service_name", "service_name: thanos", ""),
    ("disabled", "disabled: true", ""),
    ("rpc_metrics", "rpc_metrics: true", ""),
    ("tags", "tags: 'zone=a'", ""),
    ("sampler_type", "sampler_type: const", ""),
    ("sampler_param", "sampler_param: 7", ""),
    (
        "sampler_manager_host_port",
        "sampler_manager_host_port: 'a:1'",
        "",
    ),
    ("sampler_max_operations", "sampler_max_operations: 3", ""),
    (
        "sampler_refresh_interval",
        "sampler_refresh_interval: 5s",
        "",
    ),
    (
        "sampler_parent_config.local_parent_sampled",
        "sampler_parent_config: {local_parent_sampled: true}",
        "",
    ),
    (
        "sampler_parent_config.remote_parent_sampled",
        "sampler_parent_config: {remote_parent_sampled: true}",
        "",
    ),
    ("sampling_server_url", "sampling_server_url: 'http://a'", ""),
    (
        "operation_name_late_binding",
        "operation_name_late_binding: true",
        "",
    ),
    (
        "initial_sampler_rate",
        "sampler_type: remote, initial_sampler_rate: 0.5",
        "sampler_type: remote",
    ),
    ("reporter_max_queue_size", "reporter_max_queue_size: 10", ""),
    ("reporter_flush_interval", "reporter_flush_interval: 1s", ""),
    ("reporter_log_spans", "reporter_log_spans: true", ""),
    (
        "reporter_disable_attempt_reconnecting",
        "reporter_disable_attempt_reconnecting: true",
        "",
    ),
    (
        "reporter_attempt_reconnect_interval",
        "reporter_attempt_reconnect_interval: 5s",
        "",
    ),
    ("endpoint", "endpoint: 'http://jaeger:14268/api/traces'", ""),
    ("user", "user: a, password: b", ""),
    ("password", "user: a, password: b", ""),
    ("agent_host", "agent_host: jaeger", ""),
    ("agent_port", "agent_port: 6831", ""),
    ("traceid_128bit", "traceid_128bit: true", ""),
];

/// The settings without what is only said.
fn without_notices(mut settings: Settings) -> String {
    settings.notices.clear();
    format!("{settings:?}")
}

#[test]
fn each_field_of_thanos_changes_what_is_done_or_is_said_to_have_no_effect() {
    let (files, authority) = (Files::new(), Authority::new("collectors"));
    let ca = files.write("ca.pem", authority.pem()).display().to_string();
    let (cert, key) = files.identity("client", &authority.client());
    let place = |fields: &str| {
        let fields = fields.replace("CERT", &cert.display().to_string());
        let fields = fields.replace("KEY", &key.display().to_string());
        fields.replace(": CA", &format!(": {ca}"))
    };
    let lists = [("OTLP", OTLP), ("JAEGER", JAEGER)];
    for (table, (kind, list)) in fields::TABLES.into_iter().zip(lists) {
        assert_eq!(table.kind, kind);
        let known: Vec<&str> = table.fields.iter().map(|field| field.name).collect();
        let given: Vec<&str> = list.iter().map(|(name, ..)| *name).collect();
        assert_eq!(known, given);
        for ((name, set, beside), field) in list.iter().zip(table.fields) {
            let of = |fields: &str| {
                let client = match kind == "OTLP" && !fields.contains("client_type") {
                    true => "client_type: grpc, ",
                    false => "",
                };
                // Not those of the system, which may have none.
                let tls = match kind == "OTLP" && !fields.contains("tls_config") {
                    true => "tls_config: {insecure_skip_verify: true}, ",
                    false => "",
                };
                let tls = if fields.contains("insecure: true") {
                    ""
                } else {
                    tls
                };
                let fields = place(fields);
                let config = format!("{{type: {kind}, config: {{{client}{tls}{fields}}}}}");
                settings(&config).unwrap()
            };
            let (before, after) = (of(beside), of(set));
            let said = after.notices.join("\n");
            let warned = format!("tracing config: config.{name} has no effect: ");
            match field.effect {
                Effect::None => {
                    assert!(said.contains(&warned), "{kind} {name}: {said}");
                    assert_eq!(without_notices(before), without_notices(after), "{name}");
                }
                Effect::Honoured => {
                    assert!(!said.contains("no effect"), "{kind} {name}: {said}");
                    assert_ne!(without_notices(before), without_notices(after), "{name}");
                }
            }
        }
    }
}

#[test]
fn the_document_of_thanos_with_all_its_defaults_says_nothing_but_what_is_refused() {
    let all = "
type: JAEGER
config: {service_name: '', disabled: false, rpc_metrics: false, tags: '', sampler_type: '', sampler_param: 0,
  sampler_manager_host_port: '', sampler_max_operations: 0, sampler_refresh_interval: 0s,
  sampler_parent_config: {local_parent_sampled: false, remote_parent_sampled: false}, sampling_server_url: '',
  operation_name_late_binding: false, initial_sampler_rate: 0, reporter_max_queue_size: 0,
  reporter_flush_interval: 0s, reporter_log_spans: false, reporter_disable_attempt_reconnecting: false,
  reporter_attempt_reconnect_interval: 0s, endpoint: '', user: '', password: '', agent_host: '', agent_port: 0,
  traceid_128bit: false}
";
    let said = settings(all).unwrap().notices;
    let port = "tracing config: spans go to Jaeger's port for OTLP over gRPC, localhost:4317, and not by Thrift";
    assert_eq!(said, [port]);
    let all = "
type: otlp
config: {client_type: grpc, service_name: '', resource_attributes: {}, reconnection_period: 0s, compression: '',
  insecure: false, endpoint: '', url_path: '', timeout: 0s, retry_config: {retry_enabled: false,
  retry_initial_interval: 0s, retry_max_interval: 0s, retry_max_elapsed_time: 0s}, headers: {},
  tls_config: {ca_file: '', cert_file: '', key_file: '', server_name: '', insecure_skip_verify: true},
  sampler_type: '', sampler_param: ''}
";
    let settings = settings(all).unwrap();
    assert_eq!(settings.notices, [""; 0]);
    assert_eq!(settings.target, Target::Grpc("localhost:4317".to_owned()));
    assert_eq!(
        settings.resource,
        [("service.name".to_owned(), "varve".to_owned())]
    );
    assert_eq!(
        (settings.queue, settings.timeout),
        (2048, Duration::from_secs(10))
    );
    assert_eq!(settings.compression, Compression::None);
    assert!(settings.tls.is_some());
}

#[test]
fn values_have_the_meaning_that_thanos_gives_them() {
    let secs = Duration::from_secs;
    let some = otlp("client_type: http, endpoint: 'otel:80', url_path: v2/traces, timeout: 1m30s");
    assert_eq!(
        some.target,
        Target::Http("otel:80".to_owned(), "/v2/traces".to_owned())
    );
    assert_eq!(some.timeout, secs(90));
    assert_eq!(
        otlp("endpoint: 'dns:///otel:4317'").target,
        Target::Grpc("otel:4317".to_owned())
    );
    let retry = "retry_config: {retry_enabled: true, retry_initial_interval: 1s, retry_max_interval: 2s, retry_max_elapsed_time: 3s}";
    let expected = Retry {
        first: secs(1),
        longest: secs(2),
        all: secs(3),
    };
    assert_eq!(otlp(retry).retry, expected);
    assert_eq!(otlp("reconnection_period: 1s").connect_timeout, secs(20));
    assert_eq!(otlp("reconnection_period: 1m").connect_timeout, secs(60));
    // The ratio is a text in Thanos, and a number is taken for one.
    for param in ["0.25", "'0.25'"] {
        let root = otlp(&format!(
            "sampler_type: ParentBasedTraceIDRatioBased, sampler_param: {param}"
        ));
        assert!(matches!(root.sampling.root, Root::Ratio(0.25)), "{root:?}");
        assert_eq!(root.sampling.parents, Some(Parents::default()));
    }
    let root = otlp("sampler_type: traceidratiobased, sampler_param: half");
    assert!(matches!(root.sampling.root, Root::Ratio(1.0)), "{root:?}");
    assert_eq!(root.notices.len(), 1);
    assert_eq!(otlp("sampler_type: alwayssample").sampling.parents, None);
    assert_eq!(otlp("sampler_type: always").notices.len(), 1);
    let wide = jaeger(
        "endpoint: 'http://jaeger:4318/v1/traces', tags: 'a=b, c=${X:d}, service.name=x', service_name: name",
    );
    assert_eq!(
        wide.target,
        Target::Http("jaeger:4318".to_owned(), "/v1/traces".to_owned())
    );
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        wide.resource,
        [pair("service.name", "name"), pair("a", "b"), pair("c", "d")]
    );
    assert_eq!(
        jaeger("reporter_max_queue_size: 9000000000000000000").queue,
        1 << 20
    );
    assert_eq!(jaeger("reporter_max_queue_size: -1").queue, 2048);
    for (fields, expected) in [
        ("sampler_type: const, sampler_param: 1", "Always"),
        ("sampler_type: const, sampler_param: 0.4", "Never"),
        (
            "sampler_type: probabilistic, sampler_param: 0.5",
            "Ratio(0.5)",
        ),
        ("sampler_type: remote", "Ratio(0.001)"),
        ("sampler_param: 2", "PerSecond(Limiter { per_second: 2.0"),
        (
            "sampler_type: ratelimiting, sampler_param: 3",
            "PerSecond(Limiter { per_second: 3.0",
        ),
    ] {
        let root = format!("{:?}", jaeger(fields).sampling.root);
        assert!(root.starts_with(expected), "{fields}: {root}");
    }
}

#[test]
fn attributes_of_the_process_come_from_the_file_and_then_from_the_environment() {
    let variable = |name: &str| match name {
        "OTEL_RESOURCE_ATTRIBUTES" => Some("zone=b, host = h".to_owned()),
        "OTEL_SERVICE_NAME" => Some("of-env".to_owned()),
        "TEAM" => Some("t".to_owned()),
        _ => None,
    };
    let yaml =
        "{type: OTLP, config: {client_type: grpc, insecure: true, resource_attributes: {zone: a}}}";
    let settings = Settings::from_yaml(yaml, "varve", &variable)
        .unwrap()
        .unwrap();
    let of = |name: &str| {
        let mut pairs = settings.resource.iter();
        pairs
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(
        [of("zone"), of("host"), of("service.name")],
        [Some("a"), Some("h"), Some("of-env")]
    );
    let yaml = "{type: JAEGER, config: {tags: 'team=${TEAM:none}'}}";
    let settings = Settings::from_yaml(yaml, "varve", &variable)
        .unwrap()
        .unwrap();
    assert_eq!(settings.resource[0], ("team".to_owned(), "t".to_owned()));
}

#[test]
fn what_cannot_be_used_is_refused_with_what_to_use_instead() {
    let error = |yaml: &str| settings(yaml).unwrap_err().to_string();
    let kinds: BTreeSet<&str> = fields::REFUSED.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.len(), 4);
    for kind in kinds {
        let error = error(&format!("{{type: {}, config: {{}}}}", kind.to_lowercase()));
        let start = format!("tracing config: type: {kind} is not supported: use type OTLP");
        assert!(error.starts_with(&start), "{error}");
    }
    for (yaml, expected) in [
        (
            "type: ZIPKIN",
            "tracing config: type: expected OTLP or JAEGER, found \"ZIPKIN\"",
        ),
        (
            "config: {}",
            "tracing config: type: expected OTLP or JAEGER, found \"\"",
        ),
        (
            "{type: OTLP, other: 1}",
            "tracing config: expected YAML with the fields type and config, found something else",
        ),
        (
            "type: OTLP",
            "tracing config: config.client_type: expected grpc or http, found \"\"",
        ),
        (
            "{type: OTLP, config: [a]}",
            "tracing config: config: expected fields, found a list",
        ),
        (
            "{type: OTLP, config: {client_type: grpc, insecure: 'yes'}}",
            "tracing config: config.insecure: expected true or false, found a text",
        ),
        (
            "{type: OTLP, config: {client_type: grpc, endpoint: 'http://otel:4317'}}",
            "tracing config: config.endpoint: expected HOST:PORT without a scheme or a path, found something else",
        ),
        (
            "{type: OTLP, config: {client_type: grpc, insecure: true, timeout: soon}}",
            "tracing config: config.timeout: expected a duration as in 1m30s, found a text",
        ),
        (
            "{type: OTLP, config: {client_type: grpc, tls_config: {cert_file: a}}}",
            "tracing config: config.tls_config.cert_file: expected key_file with it, and the other way round, found one of them",
        ),
        (
            "{type: OTLP, config: {client_type: grpc, tls_config: {ca_file: /nowhere/ca.pem}}}",
            "/nowhere/ca.pem: ",
        ),
        (
            "{type: OTLP, config: {client_type: http, tls_config: {server_name: 127.0.0.1}}}",
            "tracing config: config.tls_config.server_name: expected a DNS name with client_type http, found an IP address",
        ),
        (
            "{type: OTLP, config: {client_type: grpc, insecure: true, headers: {'a b': c}}}",
            "tracing config: config.headers.a b: it is no name of a header",
        ),
        (
            "{type: JAEGER, config: {endpoint: 'jaeger:14268'}}",
            "tracing config: config.endpoint: expected a URL as in http://jaeger:14268/api/traces, found something else",
        ),
        (
            "{type: JAEGER, config: {sampler_param: much}}",
            "tracing config: config.sampler_param: expected a number, found a text",
        ),
    ] {
        let error = error(yaml);
        assert!(error.starts_with(expected), "{yaml}: {error}");
    }
}

#[test]
fn no_secret_is_shown() {
    const MARK: &str = "s3cr3t";
    let all = otlp(&format!("headers: {{authorization: 'Bearer {MARK}'}}"));
    assert_eq!(all.headers["authorization"], format!("Bearer {MARK}"));
    assert!(!format!("{all:?}").contains(MARK));
    let all = jaeger(&format!("user: u, password: {MARK}"));
    assert!(!format!("{all:?}").contains("dTpz"), "{all:?}");
    for wrong in [
        format!("{{type: OTLP, config: {{client_type: grpc, headers: {MARK}}}}}"),
        format!("{{type: OTLP, config: {{client_type: grpc, headers: {{a: [{MARK}]}}}}}}"),
        format!("{{type: OTLP, config: {{client_type: grpc, headers: {{a: \"{MARK}\\n\"}}}}}}"),
        format!("{{type: JAEGER, config: {{password: [{MARK}]}}}}"),
        format!("type: JAEGER\nconfig: {{password: {MARK}: {MARK}"),
        format!("{{type: OTLP, config: {{client_type: grpc, endpoint: 'user:{MARK}@host:1'}}}}"),
    ] {
        let error = settings(&wrong).unwrap_err().to_string();
        assert!(!error.contains(MARK), "{error}");
    }
}

#[test]
fn an_empty_configuration_is_none() {
    for empty in ["", " \n"] {
        assert!(
            Settings::from_yaml(empty, "varve", &|_| None)
                .unwrap()
                .is_none()
        );
    }
}
