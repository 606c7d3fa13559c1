//! `type: JAEGER`: Jaeger itself takes OTLP, on a port of its own.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, Uri};

use super::{
    config::{Compression, FLUSH_INTERVAL, QUEUE, Settings, Target, header},
    otlp,
    sampling::{Limiter, Parents, Root, Sampling},
};
use crate::{GrpcClientTls, GrpcConnector, ServiceError, YamlFields};

/// Jaeger's port for OTLP over gRPC.
const GRPC: u16 = 4317;

/// And that over HTTP.
const HTTP: u16 = 4318;

/// The longest queue.
const MOST_QUEUED: usize = 1 << 20;

/// What Jaeger's own samplers do until a server has told them more.
const INITIAL: f64 = 0.001;

/// What the fields mean.
pub(super) fn settings(
    values: YamlFields<'_>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Settings, ServiceError> {
    let mut notices = Vec::new();
    let (target, tls) = target(values)?;
    let what = match target {
        Target::Grpc(_) => "gRPC",
        Target::Http(..) => "HTTP",
    };
    let address = target.address();
    notices.push(format!(
        "tracing config: spans go to Jaeger's port for OTLP over {what}, {address}, and not by Thrift"
    ));
    let mut headers = HeaderMap::new();
    if let Some(user) = values.some_text("user")? {
        let password = values.text("password")?;
        let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
        let (name, value) = header(values, "authorization", &format!("Basic {credentials}"))?;
        headers.insert(name, value);
    } else if values.some_text("password")?.is_some() {
        notices.push("tracing config: config.password has no effect: there is no user".to_owned());
    }
    let mut resource = tags(&values.text("tags")?, variable);
    if let Some(name) = values.some_text("service_name")? {
        resource.retain(|(other, _)| other != "service.name");
        resource.insert(0, ("service.name".to_owned(), name));
    }
    Ok(Settings {
        target,
        tls,
        compression: Compression::None,
        timeout: otlp::TIMEOUT,
        connect_timeout: otlp::CONNECT_TIMEOUT,
        retry: otlp::RETRY,
        headers,
        sampling: sampling(values, &mut notices)?,
        resource,
        queue: values
            .count("reporter_max_queue_size")?
            .map_or(QUEUE, |spans| spans.min(MOST_QUEUED)),
        flush_interval: values
            .duration("reporter_flush_interval")?
            .unwrap_or(FLUSH_INTERVAL),
        notices,
    })
}

fn target(values: YamlFields<'_>) -> Result<(Target, Option<GrpcClientTls>), ServiceError> {
    let Some(endpoint) = values.some_text("endpoint")? else {
        let host = values.some_text("agent_host")?;
        let host = host.unwrap_or_else(|| "localhost".to_owned());
        let address = format!("{host}:{GRPC}");
        if address.parse::<http::uri::Authority>().is_err() {
            return Err(values.wrong("agent_host", "it is no host"));
        }
        return Ok((Target::Grpc(address), None));
    };
    let expected = "expected a URL as in http://jaeger:14268/api/traces, found something else";
    let url: Uri = endpoint
        .parse()
        .map_err(|_| values.wrong("endpoint", expected))?;
    let is_tls = match url.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(values.wrong("endpoint", expected)),
    };
    let host = url.host().unwrap_or_default();
    let target = match url.port_u16() {
        Some(HTTP) => Target::Http(format!("{host}:{HTTP}"), otlp::PATH.to_owned()),
        _ => Target::Grpc(format!("{host}:{GRPC}")),
    };
    let tls = is_tls.then(GrpcClientTls::default);
    tls.as_ref().map(GrpcConnector::open).transpose()?;
    Ok((target, tls))
}

fn sampling(values: YamlFields<'_>, notices: &mut Vec<String>) -> Result<Sampling, ServiceError> {
    let param = values.number("sampler_param")?;
    let initial = values.number("initial_sampler_rate")?;
    let kind = values.text("sampler_type")?;
    let root = match kind.as_str() {
        "const" => match param.round() >= 1.0 {
            true => Root::Always,
            false => Root::Never,
        },
        "probabilistic" => Root::Ratio(param),
        "remote" => {
            notices.push(
                "tracing config: config.sampler_type remote: no server is asked for strategies, so initial_sampler_rate holds"
                    .to_owned(),
            );
            Root::Ratio(if initial == 0.0 { INITIAL } else { initial })
        }
        other => {
            if !matches!(other, "" | "ratelimiting") {
                notices.push(
                    "tracing config: config.sampler_type is not known, so it is ratelimiting"
                        .to_owned(),
                );
            }
            Root::PerSecond(Arc::new(Limiter::new(param.max(0.0))))
        }
    };
    if initial != 0.0 && kind != "remote" {
        notices.push(
            "tracing config: config.initial_sampler_rate has no effect: it is for sampler_type remote"
                .to_owned(),
        );
    }
    let parents = values.below(
        "sampler_parent_config",
        "tracing config: config.sampler_parent_config.",
    )?;
    Ok(Sampling {
        root,
        parents: Some(Parents {
            ask_for_local: parents.is_true("local_parent_sampled")?,
            ask_for_remote: parents.is_true("remote_parent_sampled")?,
        }),
    })
}

/// `name=value,…`; a value may be `${VARIABLE:default}`.
fn tags(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let tag = |(name, value): (&str, &str)| {
        let value = value.trim();
        let inner = value
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        let value = match inner {
            None => value.to_owned(),
            Some(inner) => {
                let (of, default) = inner.split_once(':').unwrap_or((inner, ""));
                let found = variable(of).filter(|value| !value.is_empty());
                found.unwrap_or_else(|| default.to_owned())
            }
        };
        (name.trim().to_owned(), value)
    };
    pairs.map(tag).collect()
}
