//! `varve compact`.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use bucket::Bucket;
use compactor::{
    Compression, Config, Dedup, Deps, Downsampling, MergeOptions, Outcome, Plan, ProgressStyle,
    Repeat, Replicas, Retention, Shard, Sharing, StoreClient, StoreError, Summary, WINDOWS,
    Watching,
};
use service::{
    CpuPool, HttpClientConfig, HttpClientError, Metrics, Probe, Reload, ReloadedFile, SystemClock,
    shutdown_signal,
};
use tokio_util::sync::CancellationToken;

use super::{daemon, web};
use crate::{
    cli::{self, Aim, CompactArgs, CompactCommand, Output},
    memory, print,
    values::ShardFlag,
};

/// The variable in which Kubernetes gives a pod of an Indexed Job its index.
const COMPLETION_INDEX: &str = "JOB_COMPLETION_INDEX";

/// Does all work, with `--wait` again and again until a signal; or plans it; or does one task.
pub(super) async fn run(
    args: CompactArgs,
    flags: BTreeMap<String, String>,
    metrics: Metrics,
) -> anyhow::Result<ExitCode> {
    daemon::check_times(&args.time)?;
    let probe = Probe::new("compact", &metrics);
    let bucket = daemon::need_bucket(&args.objstore, &metrics)?;
    let deps = Deps {
        clock: Arc::new(SystemClock),
        pool: CpuPool::new("merge", 0)?,
        metrics: metrics.clone(),
        probe: probe.clone(),
        board: web::board(&args.web),
    };
    let config = Config {
        progress: match io::stderr().is_terminal() {
            true => ProgressStyle::Bar,
            false => ProgressStyle::Log,
        },
        ..config(&args, cli::variable)?
    };
    if let Some(CompactCommand::Plan { output }) = args.command {
        let plan = compactor::plan_now(config, bucket, deps).await?;
        return show(&plan, output);
    }
    let reload = Reload::new();
    let shutdown = shutdown_signal(&reload)?;
    let rules = args.selector.reloaded(&config.filter, &metrics, &reload)?;
    let web_config = daemon::web_config(&args.http, &metrics, &reload)?;
    let routes = web::page_of("compact", &args.web, &deps.board, &bucket, flags)?;
    let work = Box::pin(async {
        if let Some(CompactCommand::Run { task }) = &args.command {
            return one(config, bucket, deps, task, shutdown.clone()).await;
        }
        let run = compactor::run(config, bucket, deps, shutdown.clone());
        let summary = ReloadedFile::beside(rules.as_ref(), run).await?;
        Ok(ended(&summary))
    });
    daemon::beside_routes(
        &args.http, web_config, routes, &metrics, &probe, &shutdown, work,
    )
    .await
}

/// Does one of the tasks that are planned now.
async fn one(
    config: Config,
    bucket: Bucket,
    deps: Deps,
    task: &str,
    shutdown: CancellationToken,
) -> anyhow::Result<ExitCode> {
    match compactor::run_task(config, bucket, deps, task, shutdown).await? {
        Outcome::Merged(blocks) => tracing::info!(task, ?blocks, "done"),
        Outcome::Empty => tracing::info!(task, "nothing to merge, as the blocks hold no sample"),
    }
    Ok(ExitCode::SUCCESS)
}

/// To stdout: text, or JSON as one object.
fn show(plan: &Plan, output: Output) -> anyhow::Result<ExitCode> {
    let text = match output {
        Output::Text => plan.to_string(),
        Output::Json => serde_json::to_string(plan).context("plan as JSON")?,
    };
    print::stdout(&format!("{text}\n"))?;
    Ok(match plan.unread.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The configuration that the flags make.
fn config(args: &CompactArgs, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Config> {
    // Zero is for ever.
    let kept = |retention: Duration| (!retention.is_zero()).then_some(retention);
    Ok(Config {
        data_dir: args.data_dir.clone(),
        consistency_delay: args.consistency_delay,
        delete_delay: args.delete_delay,
        repeat: match args.wait {
            true => Repeat::Every(args.wait_interval),
            false => Repeat::Once,
        },
        meta_fetch_concurrency: args.meta_fetch_concurrency,
        blocks_fetch_concurrency: args.blocks_fetch_concurrency,
        min_time: args.time.min_time,
        max_time: args.time.max_time,
        filter: args.selector.filter()?,
        shard: match args.shard {
            Some(flag) => shard(flag, variable)?,
            None => Shard::ALL,
        },
        sharing: match args.disable_leases {
            true => Sharing::Alone,
            false => Sharing::Leases {
                holder: holder(),
                duration: args.lease_duration,
            },
        },
        windows: windows(args.max_compaction_level),
        retention: Retention {
            raw: kept(args.retention_raw),
            five_minutes: kept(args.retention_5m),
            one_hour: kept(args.retention_1h),
        },
        downsampling: match args.downsampling_disable {
            true => Downsampling::Off,
            false => Downsampling::On,
        },
        replicas: Replicas::new(
            args.replica_labels.iter().cloned(),
            match args.deduplication.as_str() {
                "penalty" => Dedup::Penalty,
                _ => Dedup::Exact,
            },
        )?,
        stores: stores(args)?,
        output: args.block_format.into(),
        watching: Some(Watching {
            interval: args.view_interval,
            timeout: args.view_timeout,
        }),
        merge: MergeOptions {
            write: match args.compression {
                Aim::Fast => Compression::Fast,
                Aim::Small => Compression::Small,
            }
            .write_options(),
            memory_budget: args.memory_budget.unwrap_or_else(memory::merge_budget),
            ..MergeOptions::default()
        },
        ..Config::default()
    })
}

/// The store gateways that TSDB blocks wait for.
fn stores(args: &CompactArgs) -> anyhow::Result<Vec<StoreClient>> {
    let (file, inline) = (&args.store_client_file, &args.store_client);
    let config = cli::parsed(
        file.as_deref(),
        inline.as_deref(),
        HttpClientConfig::from_yaml,
    );
    let config = config.context("--compact.store-http-client")?;
    let config = config.unwrap_or_default();
    let client = |url: &String| {
        let client = StoreClient::new(url, &config);
        let of_client = matches!(
            client,
            Err(StoreError::Client(HttpClientError::Config { .. }))
        );
        client.context(match of_client {
            true => "--compact.store-http-client",
            false => "--compact.keep-until-served",
        })
    };
    args.stores.iter().map(client).collect()
}

/// The holder of our leases, for people.
pub(super) fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}/{}", host.trim(), std::process::id())
}

/// The shard that the flag names.
fn shard(flag: ShardFlag, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Shard> {
    let index = match flag.index {
        Some(index) => index,
        None => {
            let set = variable(COMPLETION_INDEX).with_context(|| {
                format!("--shard {}: {COMPLETION_INDEX} is not set", flag.count)
            })?;
            set.parse()
                .with_context(|| format!("{COMPLETION_INDEX}: expected a number, found {set:?}"))?
        }
    };
    Ok(Shard::new(index, flag.count)?)
}

/// The windows up to one of Thanos's levels, of which the first two, 1 h and 2 h, do not exist here.
fn windows(level: u8) -> Vec<i64> {
    let count = usize::from(level).saturating_sub(1);
    WINDOWS.into_iter().take(count).collect()
}

/// Prints the result of a run, and at the end each failure once more.
fn ended(summary: &Summary) -> ExitCode {
    for (what, error) in &summary.failed {
        tracing::error!(what, %error, "not done");
    }
    tracing::info!(
        merged = summary.merged.len(),
        covered = summary.covered.len(),
        expired = summary.expired.len(),
        no_compact = summary.no_compact.len(),
        deleted = summary.deleted.len(),
        left_to_others = summary.left_to_others.len(),
        failed = summary.failed.len(),
        "run ended"
    );
    match summary.failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use compactor::OutputFormat;
    use model::TimeBound;

    use super::*;
    use crate::cli::{Cli, Command};

    fn config_of(args: &[&str]) -> Config {
        let cli = Cli::parse_words(["varve", "compact"].iter().chain(args)).unwrap();
        let Command::Compact(args) = cli.command else {
            panic!("{:?}", cli.command);
        };
        config(&args, |_| None).unwrap()
    }

    #[test]
    fn without_flags_the_settings_are_the_compactor_s_own() {
        let own = Config {
            watching: Some(Watching {
                interval: Duration::from_mins(1),
                timeout: Duration::from_mins(5),
            }),
            ..Config::default()
        };
        let budget = format!("--compact.memory-budget={}", own.merge.memory_budget);
        let ours = config_of(&["--compact.disable-leases", &budget]);
        assert_eq!(format!("{ours:?}"), format!("{own:?}"));
    }

    #[test]
    fn wait_makes_it_go_on_and_times_may_move_with_the_clock() {
        let config = config_of(&["--wait", "--wait-interval=1m", "--max-time=-2d"]);
        assert_eq!(config.repeat, Repeat::Every(Duration::from_mins(1)));
        assert_eq!(config.max_time, TimeBound::FromNow(-2 * 86_400_000));
    }

    #[test]
    fn others_may_share_the_bucket_unless_told_that_there_are_none() {
        let Sharing::Leases { duration, .. } = config_of(&[]).sharing else {
            panic!("leases are the default");
        };
        assert_eq!(duration, Duration::from_mins(5));
        let alone = config_of(&["--compact.disable-leases"]);
        assert_eq!(alone.sharing, Sharing::Alone);
    }

    #[test]
    fn a_retention_of_zero_is_for_ever() {
        let config = config_of(&[
            "--retention.resolution-raw=30d",
            "--retention.resolution-1h=1y",
        ]);
        let days = |days: u64| Some(Duration::from_hours(24 * days));
        let expected = Retention {
            raw: days(30),
            five_minutes: None,
            one_hour: days(365),
        };
        assert_eq!(config.retention, expected);
        assert_eq!(config.downsampling, Downsampling::On);
        let off = config_of(&["--downsampling.disable"]);
        assert_eq!(off.downsampling, Downsampling::Off);
    }

    #[test]
    fn replicas_are_told_apart_by_all_labels_that_are_given() {
        let replicas = |labels: &[&str], dedup| {
            let labels = labels.iter().map(|l| (*l).to_owned());
            Replicas::new(labels, dedup).unwrap()
        };
        let config = config_of(&[
            "--deduplication.replica-label=replica,rule_replica",
            "--deduplication.replica-label",
            "prometheus",
            "--deduplication.func=penalty",
        ]);
        let all = ["replica", "rule_replica", "prometheus"];
        assert_eq!(config.replicas, replicas(&all, Dedup::Penalty));
        let one = config_of(&[
            "--deduplication.replica-label=replica",
            "--deduplication.func=",
        ]);
        assert_eq!(one.replicas, replicas(&["replica"], Dedup::Exact));
        let none = config_of(&["--deduplication.replica-label="]);
        assert_eq!(none.replicas, Replicas::default());
    }

    #[test]
    fn penalty_without_a_replica_label_ends_it_at_the_start() {
        let cli = Cli::parse_words(["varve", "compact", "--deduplication.func=penalty"]).unwrap();
        let Command::Compact(args) = cli.command else {
            panic!("{:?}", cli.command);
        };
        let error = config(&args, |_| None).unwrap_err().to_string();
        assert_eq!(
            error,
            "penalty based deduplication needs at least one replica label specified"
        );
    }

    #[test]
    fn pages_are_compressed_where_it_pays_unless_bytes_count_more() {
        let chunks = |args: &[&str]| config_of(args).merge.write.chunks;
        let fast = chunks(&["--compact.compression=fast"]);
        assert_eq!(fast, chunks(&[]));
        assert!(fast.least_saving > 0);
        let small = chunks(&["--compact.compression=small"]);
        assert_eq!(small.least_saving, 0);
    }

    #[test]
    fn blocks_are_written_in_the_format_that_is_asked_for() {
        assert_eq!(
            config_of(&["--compact.output=tsdb"]).output,
            OutputFormat::Tsdb
        );
        assert_eq!(
            config_of(&["--compact.output=parquet"]).output,
            OutputFormat::Parquet
        );
    }

    #[test]
    fn a_shard_without_an_index_is_that_of_the_job() {
        let of = |flag: &str, index: Option<&str>| {
            let index = index.map(str::to_owned);
            let shard = shard(flag.parse().unwrap(), |_| index.clone());
            shard.map(|s| s.to_string()).map_err(|e| format!("{e:#}"))
        };
        assert_eq!(of("1/4", Some("2")), Ok("1/4".to_owned()));
        assert_eq!(of("4", Some("2")), Ok("2/4".to_owned()));
        let unset = "--shard 4: JOB_COMPLETION_INDEX is not set".to_owned();
        assert_eq!(of("4", None), Err(unset));
        assert!(of("4", Some("x")).is_err());
        assert!(of("4", Some("4")).is_err());
        assert_eq!(config_of(&[]).shard, Shard::ALL);
    }

    #[test]
    fn rules_that_select_blocks_are_read_and_checked() {
        let parse = |rules: &str| {
            let flag = format!("--selector.relabel-config={rules}");
            let cli = Cli::parse_words(["varve", "compact", &flag]).unwrap();
            let Command::Compact(args) = cli.command else {
                panic!("{:?}", cli.command);
            };
            config(&args, |_| None)
        };
        assert!(parse("- action: keep\n  source_labels: [a]\n  regex: b").is_ok());
        let error = parse("- action: replace").unwrap_err().to_string();
        assert!(error.contains("expected keep, drop or hashmod"), "{error}");
    }

    #[test]
    fn the_levels_of_thanos_are_windows() {
        let [eight_hours, two_days, two_weeks] = WINDOWS;
        let windows =
            |level: &str| config_of(&[&format!("--debug.max-compaction-level={level}")]).windows;
        assert_eq!(windows("4"), [eight_hours, two_days, two_weeks]);
        assert_eq!(windows("3"), [eight_hours, two_days]);
        assert_eq!(windows("2"), [eight_hours]);
        assert_eq!(windows("1"), Vec::<i64>::new());
        assert_eq!(windows("0"), Vec::<i64>::new());
    }

    #[test]
    fn flags_may_stand_before_and_after_what_is_to_be_done() {
        for line in [
            &["compact", "--data-dir=/d", "plan", "--output=json"][..],
            &["compact", "plan", "--output=json", "--data-dir=/d"],
        ] {
            let cli = Cli::parse_words(["varve"].iter().chain(line)).unwrap();
            let Command::Compact(args) = cli.command else {
                panic!("{:?}", cli.command);
            };
            assert_eq!(args.data_dir.to_str(), Some("/d"), "{line:?}");
            let command = args.command;
            assert!(
                matches!(
                    command,
                    Some(CompactCommand::Plan {
                        output: Output::Json
                    })
                ),
                "{command:?}"
            );
        }
    }
}
