use std::{collections::VecDeque, fs, os::unix::fs::symlink};

use axum::{Router, http::StatusCode, routing::post};
use service::{CpuPool, Exposition, ManualClock, Metrics, Probe};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use super::*;
use crate::PrometheusConfig;

/// Hears of nothing; notes what it is to follow.
#[derive(Debug, Default)]
struct Deaf(Arc<Mutex<BTreeSet<PathBuf>>>);

impl Watch for Deaf {
    fn follow(&mut self, folders: &BTreeSet<PathBuf>) -> Followed {
        let mut followed = self.0.lock();
        let more = !folders.is_subset(&followed);
        followed.clone_from(folders);
        if more {
            Followed::More
        } else {
            Followed::AsBefore
        }
    }
}

/// Answers with errors as often as it is to, and tells of each reload when it was.
#[derive(Debug)]
struct Scripted {
    failures: Mutex<VecDeque<&'static str>>,
    calls: mpsc::UnboundedSender<Instant>,
}

impl Trigger for Scripted {
    async fn reload(&self) -> Result<(), SidecarError> {
        self.calls.send(Instant::now()).unwrap();
        match self.failures.lock().pop_front() {
            Some(reason) => Err(SidecarError::Reload {
                reason: reason.to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// A folder with a configuration and rules, and a reloader of it.
struct World {
    dir: TempDir,
    metrics: Metrics,
    changed: Arc<Notify>,
    calls: mpsc::UnboundedReceiver<Instant>,
    trigger: Option<Scripted>,
}

impl World {
    fn new(failures: &[&'static str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("rules")).unwrap();
        let (sender, calls) = mpsc::unbounded_channel();
        let world = Self {
            dir,
            metrics: Metrics::new(),
            changed: Arc::default(),
            calls,
            trigger: Some(Scripted {
                failures: Mutex::new(failures.iter().copied().collect()),
                calls: sender,
            }),
        };
        world.write("in.yaml", "host: $(HOST)");
        world.write("rules/a.yaml", "a");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn output(&self) -> String {
        fs::read_to_string(self.path("out.yaml")).unwrap_or_default()
    }

    fn config(&self) -> ReloaderConfig {
        ReloaderConfig {
            config_file: Some(self.path("in.yaml")),
            output_file: Some(self.path("out.yaml")),
            rule_dirs: vec![self.path("rules").display().to_string()],
            variable: |name| (name == "HOST").then(|| "db-1".to_owned()),
            ..ReloaderConfig::default()
        }
    }

    fn reloader(&mut self, config: ReloaderConfig) -> Reloader<Deaf, Scripted> {
        let metrics = ReloaderMetrics::new(&self.metrics, &config.method);
        Reloader {
            config: Arc::new(config),
            watch: Arc::default(),
            trigger: self.trigger.take().unwrap(),
            metrics,
            clock: Arc::new(ManualClock::new(1_787_392_800_000)),
            changed: Arc::clone(&self.changed),
            reloaded: Arc::default(),
            taken: None,
        }
    }

    /// Runs a reloader until the test ends.
    fn start(&mut self, config: ReloaderConfig) -> JoinHandle<Result<(), SidecarError>> {
        tokio::spawn(self.reloader(config).run())
    }

    /// How many reloads there were since.
    fn reloads(&mut self) -> usize {
        let mut count = 0;
        while self.calls.try_recv().is_ok() {
            count += 1;
        }
        count
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.encode(Exposition::Prometheus);
        let start = format!("thanos_sidecar_reloader_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("{name}:\n{text}"))
            .parse()
            .unwrap()
    }
}

#[tokio::test]
async fn each_change_writes_what_it_must_and_reloads_once() {
    let mut world = World::new(&[]);
    let mut reloader = world.reloader(world.config());
    assert_eq!(reloader.apply().await.unwrap(), Outcome::Current);
    assert_eq!(
        (world.reloads(), world.output().as_str()),
        (1, "host: db-1")
    );
    let remove = |name| fs::remove_file(world.dir.path().join(name)).unwrap();
    let write = |name, text| fs::write(world.dir.path().join(name), text).unwrap();
    type Change<'a> = &'a dyn Fn();
    let changes: [(&str, Change<'_>, usize, &str); 7] = [
        ("nothing", &|| {}, 0, "host: db-1"),
        (
            "the configuration",
            &|| write("in.yaml", "h: $(HOST)"),
            1,
            "h: db-1",
        ),
        ("a rule", &|| write("rules/a.yaml", "b"), 1, "h: db-1"),
        ("a new rule", &|| write("rules/b.yaml", "b"), 1, "h: db-1"),
        (
            "a rule that is gone",
            &|| remove("rules/a.yaml"),
            1,
            "h: db-1",
        ),
        (
            "an output that is gone",
            &|| remove("out.yaml"),
            0,
            "h: db-1",
        ),
        (
            "the same text under a variable",
            &|| write("in.yaml", "h: db-1"),
            0,
            "h: db-1",
        ),
    ];
    let mut seen = Vec::new();
    for (what, change, _, _) in &changes {
        change();
        let outcome = reloader.apply().await.unwrap();
        assert_eq!(outcome, Outcome::Current, "{what}");
        let output = fs::read_to_string(world.dir.path().join("out.yaml")).unwrap();
        let mut reloads = 0;
        while world.calls.try_recv().is_ok() {
            reloads += 1;
        }
        seen.push((*what, reloads, output));
    }
    let expected = changes.map(|(what, _, reloads, output)| (what, reloads, output.to_owned()));
    assert_eq!(seen, expected);
    // Nothing is left beside the output.
    let names = fs::read_dir(world.dir.path()).unwrap().count();
    assert_eq!(names, 3);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_applied_leaves_the_output_and_prometheus_alone() {
    let mut world = World::new(&[]);
    let mut reloader = world.reloader(world.config());
    reloader.apply().await.unwrap();
    assert_eq!(world.reloads(), 1);
    world.write("in.yaml", "$(HOST) $(NOT_SET) $(NEITHER)");
    let error = reloader.apply().await.unwrap_err().to_string();
    assert!(
        error.ends_with("in.yaml: $(NOT_SET), $(NEITHER): no such environment variable is set"),
        "{error}"
    );
    assert_eq!(
        (world.reloads(), world.output().as_str()),
        (0, "host: db-1")
    );
    assert_eq!(
        world.metric("config_environment_variable_expansion_errors"),
        2.0
    );
    reloader.config = Arc::new(ReloaderConfig {
        unset: UnsetVariables::Keep,
        ..world.config()
    });
    reloader.apply().await.unwrap();
    let kept = "db-1 $(NOT_SET) $(NEITHER)";
    assert_eq!((world.reloads(), world.output().as_str()), (1, kept));
    assert_eq!(
        world.metric("config_environment_variable_expansion_errors"),
        2.0
    );
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_fails_is_tried_again_with_what_there_is_then() {
    let mut world = World::new(&["away", "away"]);
    let config = world.config();
    let retry = config.retry_interval;
    let start = Instant::now();
    let task = world.start(config);
    let mut calls = Vec::new();
    for _ in 0..2 {
        calls.push(world.calls.recv().await.unwrap() - start);
    }
    assert_eq!(world.metric("last_reload_successful"), 0.0);
    world.write("in.yaml", "new");
    calls.push(world.calls.recv().await.unwrap() - start);
    assert_eq!(calls, [Duration::ZERO, retry, retry * 2]);
    assert_eq!(world.output(), "new");
    // Then it rests until the watch interval is over, and finds nothing to do.
    sleep(Duration::from_mins(10)).await;
    assert_eq!(world.reloads(), 0);
    for (name, value) in [
        ("reloads_total", 3.0),
        ("reloads_failed_total", 2.0),
        ("last_reload_successful", 1.0),
        ("last_reload_success_timestamp_seconds", 1_787_392_800.0),
        ("config_apply_operations_total", 5.0),
        ("config_apply_operations_failed_total", 0.0),
        ("info{method=\"http\"}", 1.0),
    ] {
        assert_eq!(world.metric(name), value, "{name}");
    }
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn what_no_event_tells_is_found_by_reading_again() {
    let mut world = World::new(&[]);
    let config = world.config();
    let interval = config.watch_interval;
    let task = world.start(config);
    let start = world.calls.recv().await.unwrap();
    world.write("rules/a.yaml", "new");
    assert_eq!(world.calls.recv().await.unwrap() - start, interval);
    // Files that cannot be read are counted, and found when they can be.
    fs::rename(world.path("rules"), world.path("aside")).unwrap();
    sleep(interval + Duration::from_secs(1)).await;
    assert_eq!(world.metric("config_apply_operations_failed_total"), 1.0);
    fs::rename(world.path("aside"), world.path("rules")).unwrap();
    sleep(interval).await;
    assert_eq!(world.reloads(), 0, "they are as they were");
    assert_eq!(world.metric("config_apply_operations_failed_total"), 1.0);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn files_that_are_being_written_are_waited_for_but_not_for_ever() {
    let mut world = World::new(&[]);
    let config = world.config();
    let delay = config.delay_interval;
    let task = world.start(config);
    world.calls.recv().await.unwrap();
    let start = Instant::now();
    for half in ["b", "bb"] {
        world.write("rules/a.yaml", half);
        world.changed.notify_one();
        sleep(delay / 2).await;
    }
    assert_eq!(world.calls.recv().await.unwrap() - start, delay / 2 + delay);
    let start = Instant::now();
    world.write("rules/a.yaml", "c");
    let reload = loop {
        world.changed.notify_one();
        sleep(delay / 2).await;
        if let Ok(at) = world.calls.try_recv() {
            break at;
        }
    };
    assert_eq!(reload - start, delay * RESTLESS);
    task.abort();
}

#[tokio::test]
async fn at_the_start_what_cannot_be_read_or_written_is_an_error() {
    type Change = fn(&World);
    let cases: [(Change, &str); 3] = [
        (
            |w| fs::remove_file(w.path("in.yaml")).unwrap(),
            "in.yaml: No such file",
        ),
        (
            |w| fs::remove_dir_all(w.path("rules")).unwrap(),
            "rules: No such file",
        ),
        (
            |w| fs::create_dir(w.path("out.yaml")).unwrap(),
            "out.yaml: Is a directory",
        ),
    ];
    for (spoil, expected) in cases {
        let mut world = World::new(&[]);
        spoil(&world);
        let error = world
            .start(world.config())
            .await
            .unwrap()
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(world.reloads(), 0);
    }
}

#[tokio::test]
async fn without_a_watch_interval_the_output_is_written_and_that_is_all() {
    let mut world = World::new(&[]);
    let config = ReloaderConfig {
        watch_interval: Duration::ZERO,
        ..world.config()
    };
    world.start(config).await.unwrap().unwrap();
    assert_eq!(
        (world.reloads(), world.output().as_str()),
        (0, "host: db-1")
    );
}

/// A Prometheus that answers reloads with these and then with 200; it tells of each.
async fn prometheus(answers: &[StatusCode]) -> (Prometheus, mpsc::UnboundedReceiver<()>) {
    let (sender, calls) = mpsc::unbounded_channel();
    let answers: Arc<Mutex<VecDeque<StatusCode>>> =
        Arc::new(Mutex::new(answers.iter().copied().collect()));
    let reload = move || {
        sender.send(()).unwrap();
        let status = answers.lock().pop_front().unwrap_or(StatusCode::OK);
        std::future::ready((status, "one or more errors occurred"))
    };
    let app = Router::new().route("/prefix/-/reload", post(reload));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/prefix/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let config = PrometheusConfig {
        url,
        ..PrometheusConfig::default()
    };
    (Prometheus::new(&config).unwrap(), calls)
}

fn deps(metrics: &Metrics) -> Deps {
    Deps {
        clock: Arc::new(ManualClock::new(0)),
        pool: CpuPool::new("test", 1).unwrap(),
        probe: Probe::new("sidecar", metrics),
        metrics: metrics.clone(),
    }
}

#[tokio::test]
async fn a_prometheus_that_answers_500_is_asked_again_until_it_answers_200() {
    let world = World::new(&[]);
    let failures = [
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let (prometheus, mut calls) = prometheus(&failures).await;
    let config = ReloaderConfig {
        retry_interval: Duration::from_millis(1),
        ..world.config()
    };
    let reloaded = Arc::new(Notify::new());
    let (deps, done) = (deps(&world.metrics), Arc::clone(&reloaded));
    let task = tokio::spawn(async move { run(&config, prometheus, &deps, done).await });
    reloaded.notified().await;
    for _ in 0..3 {
        calls.recv().await.unwrap();
    }
    assert_eq!(world.metric("reloads_total"), 3.0);
    assert_eq!(world.metric("reloads_failed_total"), 2.0);
    assert_eq!(world.metric("last_reload_successful"), 1.0);
    task.abort();
}

#[tokio::test]
async fn a_refused_reload_says_what_prometheus_says() {
    let (prometheus, _calls) = prometheus(&[StatusCode::FORBIDDEN]).await;
    let error = Means::Http(prometheus)
        .reload()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("/prefix/-/reload: status 403: one or more errors occurred"),
        "{error}"
    );
}

#[tokio::test]
async fn a_swapped_volume_is_heard_of_at_once() {
    let world = World::new(&[]);
    let volume = world.path("rules");
    fs::remove_file(volume.join("a.yaml")).unwrap();
    let put = |version: &str, text: &str| {
        fs::create_dir(volume.join(version)).unwrap();
        fs::write(volume.join(version).join("a.yaml"), text).unwrap();
        symlink(version, volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    };
    put("..1", "a");
    symlink("..data/a.yaml", volume.join("a.yaml")).unwrap();
    let (prometheus, mut calls) = prometheus(&[]).await;
    // Only events can be what wakes it.
    let config = ReloaderConfig {
        watch_interval: Duration::from_hours(1),
        delay_interval: Duration::from_millis(1),
        ..world.config()
    };
    let deps = deps(&world.metrics);
    let task = tokio::spawn(async move { run(&config, prometheus, &deps, Arc::default()).await });
    calls.recv().await.unwrap();
    let changes: [&dyn Fn(); 4] = [
        &|| put("..2", "b"),
        &|| world.write("in.yaml", "new"),
        // Below a folder that was not there before.
        &|| {
            fs::create_dir(volume.join("sub")).unwrap();
            fs::write(volume.join("sub/b.yaml"), "b").unwrap();
        },
        &|| {
            fs::write(world.path("aside"), "c").unwrap();
            fs::rename(world.path("aside"), volume.join("sub/b.yaml")).unwrap();
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        while calls.try_recv().is_ok() {}
        change();
        let heard = tokio::time::timeout(Duration::from_secs(30), calls.recv()).await;
        assert!(heard.is_ok(), "change {number}");
    }
    assert!(world.metric("watches") >= 4.0);
    assert!(world.metric("watch_events_total") >= 4.0);
    assert_eq!(world.metric("watch_errors_total"), 0.0);
    task.abort();
}
