//! The common parts of all daemons: listening, serving metrics and readiness, ending on a signal.

use std::{collections::BTreeSet, path::Path, pin::pin};

use anyhow::Context as _;
use bucket::{Bucket, BucketConfig};
use futures::future::{self, Either};
use model::{Labels, LabelsBuilder, Timestamp};
use service::{
    Clock as _, GrpcTls, HttpOptions, HttpRoutes, Metrics, Probe, Profiles, Reload, ServiceError,
    SystemClock, WebConfig, serve_http,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, GrpcArgs, HttpArgs, ObjstoreArgs, TimeArgs},
    heap,
    values::{LabelFlag, ListenAddress},
};

/// Listens on the address of a flag.
pub(super) async fn listen(flag: &str, address: &ListenAddress) -> anyhow::Result<TcpListener> {
    let bound = address.bind().await;
    bound.with_context(|| format!("--{flag} {address}"))
}

/// TLS of the gRPC server, if the flags ask for it. Its files are read again when they change, and on `reload`.
pub(super) fn grpc_tls(
    args: &GrpcArgs,
    metrics: &Metrics,
    reload: &Reload,
) -> anyhow::Result<Option<GrpcTls>> {
    let options = args.tls.options()?;
    let opened = options.map(|options| GrpcTls::open(&options, metrics, reload));
    opened.transpose().context("TLS of gRPC")
}

/// The web configuration of the flags, if they name one. Its files are read again when they change, and on `reload`.
pub(super) fn web_config(
    args: &HttpArgs,
    metrics: &Metrics,
    reload: &Reload,
) -> anyhow::Result<Option<WebConfig>> {
    let path = Some(Path::new(&args.http_config)).filter(|p| !p.as_os_str().is_empty());
    let opened = path.map(|path| WebConfig::open(path, metrics, reload));
    opened.transpose().context("--http.config")
}

/// The bucket of the flags, for uploads: a missing folder is created.
pub(super) fn open_bucket(
    args: &ObjstoreArgs,
    metrics: &Metrics,
) -> anyhow::Result<Option<Bucket>> {
    let Some(yaml) = args.yaml()? else {
        return Ok(None);
    };
    let config = BucketConfig::from_yaml(&yaml, cli::variable)?;
    Ok(Some(metered(config.open()?, metrics)))
}

/// The bucket of the flags, which must exist.
pub(super) fn need_bucket(args: &ObjstoreArgs, metrics: &Metrics) -> anyhow::Result<Bucket> {
    let yaml = args.yaml()?;
    let yaml =
        yaml.context("no bucket: --objstore.config-file or --objstore.config says where it is")?;
    let config = BucketConfig::from_yaml(&yaml, cli::variable)?;
    Ok(metered(config.open_existing()?, metrics))
}

/// The bucket with its operations counted.
pub(super) fn metered(bucket: Bucket, metrics: &Metrics) -> Bucket {
    metrics.with_registry(|registry| bucket.metered(registry, || Timestamp(SystemClock.now_ms())))
}

/// Refuses times that end before they begin.
pub(super) fn check_times(times: &TimeArgs) -> anyhow::Result<()> {
    times.check(Timestamp(SystemClock.now_ms()))
}

/// The labels of the flags, each once.
pub(super) fn labels(flags: &[LabelFlag]) -> anyhow::Result<Labels> {
    let mut labels = LabelsBuilder::default();
    let mut names = BTreeSet::new();
    for LabelFlag { name, value } in flags {
        anyhow::ensure!(
            names.insert(name),
            "--label: expected each name once, found {name} again"
        );
        labels.set(name.as_str(), value.as_str());
    }
    Ok(labels.finish())
}

/// Does `work` while `/metrics`, `/-/healthy` and `/-/ready` are served; they are until it has ended. It is pinned
/// elsewhere, as each function that a future is given to has room for it twice.
///
/// If they cannot be served any more, `shutdown` is cancelled, so that the work ends too.
pub(super) async fn beside_http<T>(
    args: &HttpArgs,
    web: Option<WebConfig>,
    metrics: &Metrics,
    probe: &Probe,
    shutdown: &CancellationToken,
    work: impl Future<Output = anyhow::Result<T>> + Unpin,
) -> anyhow::Result<T> {
    let routes = HttpRoutes::default();
    beside_routes(args, web, routes, metrics, probe, shutdown, work).await
}

/// As [`beside_http`], with routes of the component.
pub(super) async fn beside_routes<T>(
    args: &HttpArgs,
    web: Option<WebConfig>,
    routes: HttpRoutes,
    metrics: &Metrics,
    probe: &Probe,
    shutdown: &CancellationToken,
    work: impl Future<Output = anyhow::Result<T>> + Unpin,
) -> anyhow::Result<T> {
    let listener = listen("http-address", &args.http_address).await?;
    let options = HttpOptions {
        grace_period: args.http_grace_period,
        web,
        request_log: args.request_log()?,
        profiles: match args.pprof {
            true => Profiles::On {
                heap: heap::profile,
            },
            false => Profiles::Off,
        },
        routes,
        ..HttpOptions::default()
    };
    let end = CancellationToken::new();
    let serve = pin!(serve_http(listener, options, metrics, probe, end.clone()));
    match future::select(work, serve).await {
        Either::Left((done, serve)) => {
            end.cancel();
            drained(serve.await)?;
            done
        }
        Either::Right((served, work)) => {
            shutdown.cancel();
            let done = work.await;
            served?;
            done
        }
    }
}

/// Clients that did not leave in time are not our failure.
pub(super) fn drained(ended: Result<(), ServiceError>) -> Result<(), ServiceError> {
    match ended {
        Err(error @ ServiceError::Drain { .. }) => {
            tracing::warn!(%error, "ending all the same");
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use service::ServiceError;

    use super::*;

    #[test]
    fn labels_are_those_of_the_flags_in_order_of_their_names() {
        let flags = [r#"replica="a""#, r#"cluster="eu-1""#].map(|l| l.parse().unwrap());
        assert_eq!(
            labels(&flags).unwrap().to_string(),
            r#"{cluster="eu-1", replica="a"}"#
        );
        let twice = [r#"a="b""#, r#"a="c""#].map(|l| l.parse().unwrap());
        let error = labels(&twice).unwrap_err().to_string();
        assert_eq!(error, "--label: expected each name once, found a again");
    }

    #[test]
    fn clients_that_stay_do_not_make_the_end_a_failure() {
        let grace = Duration::ZERO;
        let stayed = ServiceError::Drain {
            server: "http",
            grace,
        };
        assert!(drained(Err(stayed)).is_ok());
        let broken = ServiceError::Signals(std::io::Error::other("broken"));
        assert!(drained(Err(broken)).is_err());
    }

    #[test]
    fn a_bucket_comes_from_its_yaml_and_is_missed_where_it_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let yaml = format!(
            "type: FILESYSTEM\nconfig:\n  directory: {}\n",
            dir.path().display()
        );
        let given = ObjstoreArgs {
            objstore_config_file: None,
            objstore_config: Some(yaml),
        };
        let metrics = Metrics::new();
        assert!(need_bucket(&given, &metrics).is_ok());
        let text = metrics.encode(service::Exposition::Prometheus);
        assert!(
            text.contains("thanos_objstore_bucket_operations_total{"),
            "{text}"
        );
        let missing = ObjstoreArgs {
            objstore_config_file: None,
            objstore_config: None,
        };
        let error = need_bucket(&missing, &metrics).unwrap_err().to_string();
        assert!(
            error.starts_with("no bucket: --objstore.config-file"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn work_goes_on_beside_the_probes_until_it_ends() {
        let metrics = Metrics::new();
        let probe = Probe::new("test", &metrics);
        let args = HttpArgs {
            http_address: "127.0.0.1:0".parse().unwrap(),
            http_grace_period: Duration::ZERO,
            http_config: String::new(),
            request_log_file: None,
            request_log: None,
            pprof: false,
        };
        let shutdown = CancellationToken::new();
        let done = beside_http(
            &args,
            None,
            &metrics,
            &probe,
            &shutdown,
            Box::pin(async { Ok(7) }),
        )
        .await;
        assert_eq!(done.unwrap(), 7);
        assert!(!shutdown.is_cancelled());
    }

    #[tokio::test]
    async fn an_address_in_use_is_told_with_its_flag() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = listen("grpc-address", &address.parse().unwrap())
            .await
            .unwrap_err();
        assert!(
            format!("{error:#}").starts_with(&format!("--grpc-address {address}: ")),
            "{error:#}"
        );
    }
}
