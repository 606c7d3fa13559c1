//! `varve store`.

use std::{collections::BTreeMap, process::ExitCode, sync::Arc};

use service::{
    CpuPool, GrpcOptions, Metrics, Probe, Reload, ReloadedFile, ServiceError, SystemClock,
    shutdown_signal,
};
use store_gateway::{Config, Deps, GatewayError, IndexHeaders, Limits, MemoryBudget};

use super::{daemon, web};
use crate::{
    cli::{GrpcArgs, StoreArgs},
    memory,
};

/// Serves the blocks of the bucket until a signal.
pub(super) async fn run(
    args: StoreArgs,
    flags: BTreeMap<String, String>,
    metrics: Metrics,
) -> anyhow::Result<ExitCode> {
    daemon::check_times(&args.time)?;
    let probe = Probe::new("store", &metrics);
    let reload = Reload::new();
    let shutdown = shutdown_signal(&reload)?;
    let web_config = daemon::web_config(&args.http, &metrics, &reload)?;
    let default = MemoryBudget::default();
    let mut config = config(&args, MemoryBudget(memory::store_budget(default.0)))?;
    config.grpc.tls = daemon::grpc_tls(&args.grpc, &metrics, &reload)?;
    config.grpc.request_log = args.http.request_log()?;
    let caches = args.cache.configs()?;
    config.max_page_bytes = caches.page_bytes();
    let rules = args.selector.reloaded(&config.blocks, &metrics, &reload)?;
    let bucket = daemon::need_bucket(&args.objstore, &metrics)?;
    let listener = daemon::listen("grpc-address", &args.grpc.grpc_address).await?;
    let deps = Deps {
        clock: Arc::new(SystemClock),
        pool: CpuPool::for_requests(0),
        metrics: metrics.clone(),
        probe: probe.clone(),
        board: web::board(&args.web),
        caches: caches.open(&metrics)?,
    };
    let routes = web::page_of("store", &args.web, &deps.board, &bucket, flags)?;
    let work = Box::pin(async {
        let run = store_gateway::run(config, bucket, deps, shutdown.clone(), listener);
        ended(ReloadedFile::beside(rules.as_ref(), run).await)?;
        Ok(ExitCode::SUCCESS)
    });
    daemon::beside_routes(
        &args.http, web_config, routes, &metrics, &probe, &shutdown, work,
    )
    .await
}

/// The configuration that the flags make; `memory` is that without a flag.
fn config(args: &StoreArgs, memory: MemoryBudget) -> anyhow::Result<Config> {
    Ok(Config {
        data_dir: args.data_dir.clone(),
        index_headers: if args.no_cache_index_header {
            IndexHeaders::InMemory
        } else {
            IndexHeaders::OnDisk
        },
        sync_interval: args.sync_block_duration,
        meta_fetch_concurrency: args.meta_fetch_concurrency,
        block_concurrency: args.block_concurrency,
        min_time: args.time.min_time,
        max_time: args.time.max_time,
        consistency_delay: args.consistency_delay,
        ignore_deletion_marks_delay: args.ignore_deletion_marks_delay,
        series_concurrency: args.series_max_concurrency,
        series_wait: args.series_max_wait,
        limits: Limits {
            request_series: args.request_series,
            request_samples: args.request_samples,
            downloaded_bytes: args.downloaded_bytes,
        },
        memory: args.memory_budget.map_or(memory, MemoryBudget),
        grpc: grpc_options(&args.grpc),
        blocks: args.selector.filter()?,
        ..Config::default()
    })
}

/// Clients that did not leave in time are not our failure.
pub(super) fn ended(ended: Result<(), GatewayError>) -> anyhow::Result<()> {
    match ended {
        Err(GatewayError::Service(error @ ServiceError::Drain { .. })) => {
            Ok(daemon::drained(Err(error))?)
        }
        other => Ok(other?),
    }
}

/// The options of the gRPC server that the flags make.
pub(super) fn grpc_options(args: &GrpcArgs) -> GrpcOptions {
    GrpcOptions {
        grace_period: args.grpc_grace_period,
        max_connection_age: args.max_connection_age(),
        send_timeout: args.send_timeout(),
        ..GrpcOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use bucket::BlockFilter;

    use super::*;
    use crate::cli::{Cli, Command};

    fn config_of(args: &[&str]) -> Config {
        let cli = Cli::parse_words(["varve", "store"].iter().chain(args)).unwrap();
        let Command::Store(args) = cli.command else {
            panic!("{:?}", cli.command);
        };
        config(&args, MemoryBudget::default()).unwrap()
    }

    #[test]
    fn without_flags_the_settings_are_the_gateway_s_own() {
        assert_eq!(config_of(&[]), Config::default());
    }

    #[test]
    fn of_the_flags_for_index_headers_the_last_counts() {
        let of = |args: &[&str]| config_of(args).index_headers;
        let (on, off) = ("--cache-index-header", "--no-cache-index-header");
        assert_eq!(of(&[on]), IndexHeaders::OnDisk);
        assert_eq!(of(&[off]), IndexHeaders::InMemory);
        assert_eq!(of(&[on, off]), IndexHeaders::InMemory);
        assert_eq!(of(&[off, on]), IndexHeaders::OnDisk);
    }

    #[test]
    fn blocks_are_selected_by_the_rules_of_the_flags() {
        let rules = "[{action: keep, source_labels: [cluster], regex: eu-.*}]";
        let flag = format!("--selector.relabel-config={rules}");
        assert_eq!(
            config_of(&[&flag]).blocks,
            BlockFilter::from_yaml(rules).unwrap()
        );
    }

    #[test]
    fn the_memory_is_that_of_the_flag_or_the_default() {
        let budget = config_of(&["--store.memory-budget=512MB"]).memory;
        assert_eq!(budget, MemoryBudget(512 << 20));
        assert_eq!(config_of(&[]).memory, MemoryBudget::default());
    }

    #[test]
    fn limits_are_those_of_the_flags() {
        let limits = config_of(&[
            "--store.limits.request-series=10",
            "--store.limits.request-samples=20",
            "--store.grpc.downloaded-bytes-limit=1KB",
        ])
        .limits;
        let expected = Limits {
            request_series: 10,
            request_samples: 20,
            downloaded_bytes: 1024,
        };
        assert_eq!(limits, expected);
    }
}
