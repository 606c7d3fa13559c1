//! `type: OTLP`.

use std::{path::PathBuf, time::Duration};

use http::HeaderMap;

use super::{
    config::{Compression, FLUSH_INTERVAL, QUEUE, Retry, Settings, Target, header},
    sampling::{Root, Sampling},
};
use crate::{GrpcClientTls, GrpcConnector, ServiceError, Verification, YamlFields};

/// Of an attempt.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Of a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Those of Go's exporters.
pub(super) const RETRY: Retry = Retry {
    first: Duration::from_secs(5),
    longest: Duration::from_secs(30),
    all: Duration::from_secs(60),
};

/// The path of OTLP over HTTP.
pub(super) const PATH: &str = "/v1/traces";

/// The protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Client {
    Grpc,
    Http,
}

/// What the fields mean.
pub(super) fn settings(values: YamlFields<'_>) -> Result<Settings, ServiceError> {
    let mut notices = Vec::new();
    let client = match values.text("client_type")?.as_str() {
        "grpc" => Client::Grpc,
        "http" => Client::Http,
        other => {
            let found = format!("expected grpc or http, found {other:?}");
            return Err(values.wrong("client_type", &found));
        }
    };
    let target = target(values, client, &mut notices)?;
    let tls = tls(values, client, &mut notices)?;
    let compression = match values.text("compression")?.as_str() {
        "gzip" => Compression::Gzip,
        "" | "none" => Compression::None,
        _ => {
            notices.push(
                "tracing config: config.compression has no effect: only gzip is known".to_owned(),
            );
            Compression::None
        }
    };
    let reconnection = values.duration("reconnection_period")?;
    if reconnection.is_some() && client == Client::Http {
        notices.push(
            "tracing config: config.reconnection_period has no effect: it is for client_type grpc"
                .to_owned(),
        );
    }
    let headers = values.texts("headers")?;
    let headers = headers
        .iter()
        .map(|(name, value)| header(values, name, value));
    let name = values.some_text("service_name")?;
    let name = name.map(|name| ("service.name".to_owned(), name));
    // An attribute replaces the name, as in Thanos.
    let mut resource = values.texts("resource_attributes")?;
    if let Some(name) = name
        && !resource.iter().any(|(other, _)| *other == name.0)
    {
        resource.insert(0, name);
    }
    Ok(Settings {
        target,
        tls,
        compression,
        timeout: values.duration("timeout")?.unwrap_or(TIMEOUT),
        connect_timeout: reconnection.unwrap_or_default().max(CONNECT_TIMEOUT),
        retry: retry(values, &mut notices)?,
        headers: headers.collect::<Result<HeaderMap, _>>()?,
        sampling: sampling(values, &mut notices)?,
        resource,
        queue: QUEUE,
        flush_interval: FLUSH_INTERVAL,
        notices,
    })
}

fn target(
    values: YamlFields<'_>,
    client: Client,
    notices: &mut Vec<String>,
) -> Result<Target, ServiceError> {
    let port = match client {
        Client::Grpc => "4317",
        Client::Http => "4318",
    };
    let endpoint = values.some_text("endpoint")?;
    let endpoint = endpoint.unwrap_or_else(|| format!("localhost:{port}"));
    let address = match client {
        // Names of resolvers of Go's gRPC.
        Client::Grpc => ["dns:///", "passthrough:///"]
            .into_iter()
            .find_map(|scheme| endpoint.strip_prefix(scheme))
            .unwrap_or(&endpoint),
        Client::Http => &endpoint,
    };
    let is_address = address
        .parse::<http::uri::Authority>()
        .is_ok_and(|authority| !authority.as_str().contains('@') && !authority.host().is_empty());
    if !is_address {
        let found = "expected HOST:PORT without a scheme or a path, found something else";
        return Err(values.wrong("endpoint", found));
    }
    let address = address.to_owned();
    let path = values.some_text("url_path")?;
    Ok(match client {
        Client::Grpc => {
            if path.is_some() {
                notices.push(
                    "tracing config: config.url_path has no effect: it is for client_type http"
                        .to_owned(),
                );
            }
            Target::Grpc(address)
        }
        Client::Http => {
            let path = path.unwrap_or_else(|| PATH.to_owned());
            let path = format!("/{}", path.trim_start_matches('/'));
            if path.parse::<http::uri::PathAndQuery>().is_err() {
                return Err(values.wrong("url_path", "it is no path of a URL"));
            }
            Target::Http(address, path)
        }
    })
}

/// TLS, whose files are read once to see that they can be.
fn tls(
    values: YamlFields<'_>,
    client: Client,
    notices: &mut Vec<String>,
) -> Result<Option<GrpcClientTls>, ServiceError> {
    let fields = values.below("tls_config", "tracing config: config.tls_config.")?;
    let file = |name| {
        let path = fields.some_text(name)?;
        Ok::<_, ServiceError>(path.map(PathBuf::from))
    };
    let (cert, key) = (file("cert_file")?, file("key_file")?);
    let options = GrpcClientTls {
        identity: match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => {
                let found = "expected key_file with it, and the other way round, found one of them";
                return Err(fields.wrong("cert_file", found));
            }
        },
        ca_file: file("ca_file")?,
        server_name: fields.some_text("server_name")?,
        verification: match fields.is_true("insecure_skip_verify")? {
            true => Verification::Off,
            false => Verification::On,
        },
    };
    if values.is_true("insecure")? {
        if options != GrpcClientTls::default() {
            notices.push(
                "tracing config: config.tls_config has no effect: insecure is set".to_owned(),
            );
        }
        return Ok(None);
    }
    if client == Client::Http
        && let Some(name) = &options.server_name
        && name.parse::<std::net::IpAddr>().is_ok()
    {
        let found = "expected a DNS name with client_type http, found an IP address";
        return Err(fields.wrong("server_name", found));
    }
    GrpcConnector::open(&options)?;
    Ok(Some(options))
}

fn retry(values: YamlFields<'_>, notices: &mut Vec<String>) -> Result<Retry, ServiceError> {
    let fields = values.below("retry_config", "tracing config: config.retry_config.")?;
    let given = [
        fields.duration("retry_initial_interval")?,
        fields.duration("retry_max_interval")?,
        fields.duration("retry_max_elapsed_time")?,
    ];
    if !fields.is_true("retry_enabled")? {
        if given.iter().any(Option::is_some) {
            notices.push(
                "tracing config: the times of config.retry_config have no effect: retry_enabled is not set, so the defaults hold"
                    .to_owned(),
            );
        }
        return Ok(RETRY);
    }
    let [first, longest, all] = given;
    Ok(Retry {
        first: first.unwrap_or(RETRY.first),
        longest: longest.unwrap_or(RETRY.longest),
        all: all.unwrap_or(RETRY.all),
    })
}

fn sampling(values: YamlFields<'_>, notices: &mut Vec<String>) -> Result<Sampling, ServiceError> {
    let param = values.text("sampler_param")?;
    let mut ratio = || match param.parse::<f64>() {
        Ok(ratio) if !ratio.is_nan() => Root::Ratio(ratio),
        _ => {
            notices.push(
                "tracing config: config.sampler_param is no number, so all traces are sent"
                    .to_owned(),
            );
            Root::Ratio(1.0)
        }
    };
    let alone = |root| Sampling {
        root,
        parents: None,
    };
    Ok(match values.text("sampler_type")?.to_lowercase().as_str() {
        "alwayssample" => alone(Root::Always),
        "neversample" => alone(Root::Never),
        "traceidratiobased" => alone(ratio()),
        "parentbasedalwayssample" => Sampling::of_parent(Root::Always),
        "parentbasedneversample" => Sampling::of_parent(Root::Never),
        "parentbasedtraceidratiobased" => Sampling::of_parent(ratio()),
        "" => Sampling::of_parent(Root::Always),
        _ => {
            notices.push(
                "tracing config: config.sampler_type is not known, so all traces without a parent are sent, and others as their parents"
                    .to_owned(),
            );
            Sampling::of_parent(Root::Always)
        }
    })
}
