//! What becomes of each field of Thanos's YAML. The tables of `docs/tracing.md` are made from these, and what they say is
//! done here: a field without effect, or in no table, is a warning.

use serde_json::Value;

use crate::yaml_fields;

/// The fields of a type.
#[derive(Debug)]
pub(super) struct Table {
    /// The value of `type`.
    pub(super) kind: &'static str,
    /// The fields of `config`.
    pub(super) fields: &'static [Field],
}

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    /// Its path in `config`, with dots. `.*` at the end stands for any name.
    pub(super) name: &'static str,
    pub(super) effect: Effect,
    /// A remark, or why it is without effect.
    pub(super) note: &'static str,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Honoured,
    /// The value changes nothing here.
    None,
}

const fn honoured(name: &'static str, note: &'static str) -> Field {
    Field {
        name,
        effect: Effect::Honoured,
        note,
    }
}

const fn ignored(name: &'static str, note: &'static str) -> Field {
    Field {
        name,
        effect: Effect::None,
        note,
    }
}

/// The tables, in the order of the documentation.
pub(super) const TABLES: [&Table; 2] = [&OTLP, &JAEGER];

/// `type: OTLP`.
const OTLP: Table = Table {
    kind: "OTLP",
    fields: &[
        honoured(
            "client_type",
            "`grpc` or `http`; others are refused, as by Thanos",
        ),
        honoured("service_name", "default: `varve`"),
        honoured("resource_attributes.*", "of all spans"),
        honoured(
            "reconnection_period",
            "how long a connection may take to be made, if longer than 20 s; of `grpc` only",
        ),
        honoured(
            "compression",
            "`gzip`, or `none` and empty for none; others are none, with a warning",
        ),
        honoured("insecure", "no TLS"),
        honoured(
            "endpoint",
            "`HOST:PORT`; default: `localhost:4317` with `grpc`, `localhost:4318` with `http`",
        ),
        honoured("url_path", "default: `/v1/traces`; of `http` only"),
        honoured("timeout", "of each attempt; default: 10s"),
        honoured(
            "retry_config.retry_enabled",
            "Thanos retries if it is false, and not if it is true; here both retry, and `true` takes the three fields below",
        ),
        honoured(
            "retry_config.retry_initial_interval",
            "default: 5s; half as much again each time",
        ),
        honoured("retry_config.retry_max_interval", "default: 30s"),
        honoured(
            "retry_config.retry_max_elapsed_time",
            "default: 1m; then the spans are lost",
        ),
        honoured("headers.*", "of each request; never shown"),
        honoured(
            "tls_config.ca_file",
            "default: the authorities of the system",
        ),
        honoured("tls_config.cert_file", "read again at each connection"),
        honoured("tls_config.key_file", "read again at each connection"),
        honoured("tls_config.server_name", "default: the host of `endpoint`"),
        honoured("tls_config.insecure_skip_verify", "any certificate will do"),
        honoured(
            "sampler_type",
            "`alwayssample`, `neversample`, `traceidratiobased`, `parentbasedalwayssample`, `parentbasedneversample`, `parentbasedtraceidratiobased`; any other is the last one with all traces",
        ),
        honoured(
            "sampler_param",
            "the ratio; what is no number is 1, with a warning",
        ),
    ],
};

/// `type: JAEGER`.
const JAEGER: Table = Table {
    kind: "JAEGER",
    fields: &[
        honoured("service_name", "default: `varve`"),
        ignored(
            "disabled",
            "it has none in Thanos either: leave the flag out",
        ),
        ignored("rpc_metrics", "it has none in Thanos either"),
        honoured(
            "tags",
            "`name=value,…` of all spans; `${VARIABLE:default}` is taken from the environment",
        ),
        honoured(
            "sampler_type",
            "`const`, `probabilistic`, `ratelimiting` (default), `remote`, each for spans without a parent",
        ),
        honoured("sampler_param", "1 or 0, the ratio, or traces a second"),
        ignored(
            "sampler_manager_host_port",
            "no server is asked for sampling strategies",
        ),
        ignored(
            "sampler_max_operations",
            "no server is asked for sampling strategies",
        ),
        ignored(
            "sampler_refresh_interval",
            "no server is asked for sampling strategies",
        ),
        honoured(
            "sampler_parent_config.local_parent_sampled",
            "the sampler decides about children of sampled spans of the process too",
        ),
        honoured(
            "sampler_parent_config.remote_parent_sampled",
            "likewise for sampled spans of other processes",
        ),
        ignored(
            "sampling_server_url",
            "no server is asked for sampling strategies",
        ),
        ignored(
            "operation_name_late_binding",
            "no server is asked for sampling strategies",
        ),
        honoured(
            "initial_sampler_rate",
            "the ratio with `remote`; default: 0.001",
        ),
        honoured(
            "reporter_max_queue_size",
            "spans that wait to be sent; default: 2048",
        ),
        honoured(
            "reporter_flush_interval",
            "the longest that a span waits; default: 5s",
        ),
        ignored("reporter_log_spans", "spans are not logged"),
        ignored(
            "reporter_disable_attempt_reconnecting",
            "it is for Jaeger's agent over UDP",
        ),
        ignored(
            "reporter_attempt_reconnect_interval",
            "it is for Jaeger's agent over UDP",
        ),
        honoured(
            "endpoint",
            "its host, with the port 4317, or 4318 if it has that; TLS with `https`",
        ),
        honoured("user", "basic authentication with `password`"),
        honoured("password", "never shown"),
        honoured(
            "agent_host",
            "the host if there is no `endpoint`; default: `localhost`",
        ),
        ignored(
            "agent_port",
            "the agent's protocol is not spoken: spans go to the port 4317",
        ),
        ignored("traceid_128bit", "ids always have 128 bits"),
    ],
};

/// The types that are refused, and what to use instead.
pub(super) const REFUSED: [(&str, &str); 4] = [
    (
        "GOOGLE_CLOUD",
        "use type OTLP with an OpenTelemetry collector that has the googlecloud exporter",
    ),
    (
        "STACKDRIVER",
        "use type OTLP with an OpenTelemetry collector that has the googlecloud exporter",
    ),
    (
        "ELASTIC_APM",
        "use type OTLP: the APM server takes it on its own port",
    ),
    (
        "LIGHTSTEP",
        "use type OTLP with the endpoint ingest.lightstep.com:443 and the header lightstep-access-token",
    ),
];

impl Table {
    /// The warnings about the fields that are set in `config`.
    pub(super) fn warnings(&self, config: &Value) -> Vec<String> {
        let mut paths = Vec::new();
        self.walk(config, "", &mut paths);
        let warning = |path: String| match self.field(&path) {
            None => Some(format!(
                "tracing config: config.{path} has no effect: there is no such field"
            )),
            Some(Field {
                effect: Effect::None,
                note,
                ..
            }) => {
                let why = note.replace('`', "");
                Some(format!(
                    "tracing config: config.{path} has no effect: {why}"
                ))
            }
            Some(_) => None,
        };
        paths.into_iter().filter_map(warning).collect()
    }

    /// The paths of the fields that are set. A mapping that no field is below is a field itself.
    fn walk(&self, value: &Value, at: &str, paths: &mut Vec<String>) {
        let Value::Object(map) = value else { return };
        for (name, value) in map.iter().filter(|(_, value)| yaml_fields::is_set(value)) {
            let path = match at {
                "" => name.clone(),
                at => format!("{at}.{name}"),
            };
            let below = format!("{path}.");
            let is_branch = self
                .fields
                .iter()
                .any(|field| field.name.starts_with(&below));
            match value {
                Value::Object(_) if is_branch => self.walk(value, &path, paths),
                _ => paths.push(path),
            }
        }
    }

    fn field(&self, path: &str) -> Option<&Field> {
        self.fields
            .iter()
            .find(|field| match field.name.strip_suffix('*') {
                Some(start) => path.starts_with(start),
                None => field.name == path,
            })
    }
}
