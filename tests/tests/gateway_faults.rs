//! A store gateway behind an S3 server that fails: at each moment an answer is whole, or says what is missing.

use anyhow::{Context as _, ensure};
use bucket::{Bucket, BucketConfig, Retry};
use model::TimeRange;
use proto::thanos::{LabelNamesRequest, PartialResponseStrategy, SeriesRequest};
use tests::{
    Answer, Failure, Fault, FaultScript, Operation, RunningGateway, SAMPLE, When, World, matcher,
    sample_dir, series_request,
};
use tokio::time::{Duration, timeout};

/// How many scripts are played.
const SCRIPTS: u64 = 6;
/// How often the faults change in each.
const STEPS: usize = 5;
/// How long what has to come by itself may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long a client waits for a server that hangs.
const PATIENCE: Duration = Duration::from_millis(300);

fn everything(strategy: PartialResponseStrategy) -> anyhow::Result<SeriesRequest> {
    let all = [matcher("__name__", "=~", ".+")?];
    Ok(SeriesRequest {
        partial_response_strategy: strategy.into(),
        ..series_request(&all, TimeRange::ALL)
    })
}

fn truth() -> anyhow::Result<Answer> {
    let dirs: Vec<_> = SAMPLE.iter().map(|b| sample_dir().join(b)).collect();
    Answer::of_blocks(&dirs, &World::external_labels())
}

async fn world() -> anyhow::Result<World> {
    let world = World::with_sample(&SAMPLE).await?;
    world.upload().await?;
    let mark = format!(
        r#"{{"id":"{0}","version":1,"no_compact_time":1,"reason":"manual"}}"#,
        SAMPLE[0]
    );
    world
        .s3
        .put(&format!("{}/no-compact-mark.json", SAMPLE[0]), mark);
    Ok(world)
}

/// Whether a strict question gets the whole answer. What else it gets must be an error that says something.
async fn is_whole(gateway: &RunningGateway, truth: &Answer) -> anyhow::Result<bool> {
    Ok(lacks(gateway, truth).await?.is_none())
}

/// What a strict question gets in place of the whole answer, if it does not get that.
async fn lacks(gateway: &RunningGateway, truth: &Answer) -> anyhow::Result<Option<String>> {
    let strict = everything(PartialResponseStrategy::Abort)?;
    let answer = match gateway.client.series(strict).await {
        Ok(answer) => answer.checked()?,
        Err(status) => {
            let says = status.message();
            let named = ["not ready", "get ", "get range of ", "expected", "missing"];
            ensure!(named.iter().any(|what| says.contains(what)), "{status:?}");
            return Ok(Some(says.to_owned()));
        }
    };
    let difference = answer.difference(truth);
    ensure!(difference.is_none(), "a strict answer lacks {difference:?}");
    Ok(None)
}

/// Asks in every way, and finds nothing missing of which nothing is said.
async fn assert_honest(
    gateway: &RunningGateway,
    truth: &Answer,
    names: &[String],
) -> anyhow::Result<()> {
    is_whole(gateway, truth).await?;
    let partial = everything(PartialResponseStrategy::Warn)?;
    match gateway.client.series(partial).await {
        Ok(answer) if answer.warnings.is_empty() => {
            let difference = answer.checked()?.difference(truth);
            ensure!(difference.is_none(), "without a warning {difference:?}");
        }
        Ok(answer) => {
            // What there is of it is right.
            let mut all = answer.checked_but_for_warnings()?;
            all.merge(truth.clone())?;
            ensure!(all.difference(truth).is_none(), "more than there is");
        }
        Err(status) => ensure!(status.message().contains("not ready"), "{status:?}"),
    }
    let request = LabelNamesRequest {
        end: i64::MAX,
        ..LabelNamesRequest::default()
    };
    let strict = LabelNamesRequest {
        partial_response_disabled: true,
        ..request.clone()
    };
    for request in [request, strict] {
        let answer = gateway.client.label_names(request).await;
        if let Ok(answer) = answer {
            let is_whole = answer.names == names;
            ensure!(
                is_whole || !answer.warnings.is_empty(),
                "{:?}",
                answer.names
            );
        }
    }
    // A querier goes by this: it must not leave out a gateway that may have more.
    let info = gateway.client.info().await?;
    ensure!(!info.label_sets.is_empty(), "{info:?}");
    Ok(())
}

/// Waits until it is ready and whole, without being told to look.
async fn recovers(gateway: &RunningGateway, truth: &Answer) -> anyhow::Result<()> {
    gateway.ready().await?;
    let whole = async {
        while !is_whole(gateway, truth).await? {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    match timeout(DEADLINE, whole).await {
        Ok(whole) => whole,
        Err(_) => anyhow::bail!("not whole by itself: {:?}", lacks(gateway, truth).await?),
    }
}

async fn play(world: &World, seed: u64, truth: &Answer, names: &[String]) -> anyhow::Result<()> {
    let keys = world.s3.keys().into_iter();
    let mut script = FaultScript::new(seed, keys.filter(|key| key.ends_with(".json")));
    let inject = |faults: Vec<Fault>| faults.into_iter().for_each(|fault| world.s3.inject(fault));
    inject(script.step());
    let gateway = world.start_gateway(world.bucket()?).await?;
    for _ in 0..STEPS {
        assert_honest(&gateway, truth, names).await?;
        world.s3.heal();
        inject(script.step());
        if script.below(2) == 0 {
            // It may fail; then what was served before is.
            let _ = gateway.sync().await;
        }
        if gateway.client.is_serving().await? {
            assert_honest(&gateway, truth, names).await?;
        }
    }
    world.s3.heal();
    recovers(&gateway, truth).await?;
    assert_honest(&gateway, truth, names).await?;
    gateway.stop().await
}

async fn names(world: &World) -> anyhow::Result<Vec<String>> {
    let gateway = world.gateway().await?;
    let request = LabelNamesRequest {
        end: i64::MAX,
        ..LabelNamesRequest::default()
    };
    let names = gateway.client.label_names(request).await?.names;
    gateway.stop().await?;
    let names = names
        .into_iter()
        .map(|name| String::from_utf8(name.to_vec()));
    Ok(names.collect::<Result<_, _>>()?)
}

#[tokio::test]
async fn whatever_fails_an_answer_is_whole_or_says_what_is_missing() -> anyhow::Result<()> {
    let (world, truth) = (world().await?, truth()?);
    let names = names(&world).await?;
    for seed in 1..=SCRIPTS {
        play(&world, seed, &truth, &names)
            .await
            .with_context(|| format!("script {seed}"))?;
        world.s3.heal();
    }
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_lists_and_gives_nothing_is_never_taken_for_an_empty_one()
-> anyhow::Result<()> {
    let (world, truth) = (world().await?, truth()?);
    for failure in [
        Failure::Refused,
        Failure::TooMany,
        Failure::Unavailable,
        Failure::CutOff(0),
    ] {
        let when = When::NextGets(String::new(), usize::MAX);
        world.s3.inject(Fault { when, failure });
        let gateway = world.start_gateway(world.bucket()?).await?;
        gateway.sync().await?;
        ensure!(!gateway.client.is_serving().await?, "{failure:?}: ready");
        ensure!(!is_whole(&gateway, &truth).await?, "{failure:?}: whole");
        let one = everything(PartialResponseStrategy::Warn)?;
        let answer = gateway.client.series(one).await?;
        let said = answer.warnings.first().context("no warning")?;
        ensure!(said.contains("meta.json"), "{failure:?}: {said}");
        world.s3.heal();
        recovers(&gateway, &truth).await?;
        gateway.stop().await?;
    }
    Ok(())
}

/// The bucket as a client reaches it that waits for `PATIENCE` only.
fn impatient(world: &World) -> anyhow::Result<Bucket> {
    let wait = PATIENCE.as_millis();
    let http = format!("  http_config:\n    response_header_timeout: {wait}ms\n");
    let mut config = BucketConfig::from_yaml(&(world.s3.objstore_yaml() + &http), |_| None)?;
    config.retry = Retry {
        attempts: 1,
        timeout: PATIENCE * 10,
        pause: Duration::from_millis(1),
        longest_pause: None,
    };
    Ok(config.open()?)
}

#[tokio::test]
async fn a_server_that_hangs_is_waited_for_so_long_and_what_it_holds_back_is_said()
-> anyhow::Result<()> {
    let (world, truth) = (world().await?, truth()?);
    let names = names(&world).await?;
    let one = format!("{}/meta.json", SAMPLE[1]);
    let gets = |end: &str, count| When::NextGets(end.to_owned(), count);
    let cases = [
        (gets(&one, usize::MAX), Failure::Hang),
        (gets(&one, usize::MAX), Failure::Stalled(0)),
        (gets("", usize::MAX), Failure::Hang),
        (gets("", usize::MAX), Failure::Stalled(9)),
        (When::Next(Operation::List, usize::MAX), Failure::Hang),
    ];
    for (when, failure) in cases {
        let case = format!("{when:?}: {failure:?}");
        world.s3.inject(Fault { when, failure });
        let gateway = world.start_gateway(impatient(&world)?).await?;
        // A look ends, though what it looks for does not come.
        let looked = timeout(DEADLINE, gateway.sync())
            .await
            .context(case.clone())?;
        ensure!(
            looked.is_ok() != case.contains("List"),
            "{case}: {looked:?}"
        );
        ensure!(!gateway.client.is_serving().await?, "{case}: ready");
        ensure!(!is_whole(&gateway, &truth).await?, "{case}: whole");
        assert_honest(&gateway, &truth, &names)
            .await
            .context(case.clone())?;
        world.s3.heal();
        recovers(&gateway, &truth).await.context(case)?;
        gateway.stop().await?;
    }
    // It hangs for a while, and when the gateway is ready.
    for failure in [Failure::Hang, Failure::Stalled(20)] {
        for end in ["index", "000001", "meta.json"] {
            let gateway = world.gateway_to(impatient(&world)?).await?;
            let when = gets(end, 4);
            world.s3.inject(Fault { when, failure });
            let asked = timeout(DEADLINE, assert_honest(&gateway, &truth, &names)).await;
            asked.with_context(|| format!("{end}: {failure:?}"))??;
            recovers(&gateway, &truth).await?;
            world.s3.heal();
            gateway.stop().await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_bit_that_changes_on_the_way_is_not_taken_for_what_the_bucket_holds() -> anyhow::Result<()>
{
    let (world, truth) = (world().await?, truth()?);
    let key = format!("{}/meta.json", SAMPLE[0]);
    let length = world.s3.object(&key).context("no meta.json")?.len();
    // A digit of a time is as good as any other: the ETag tells.
    for at in (0..length).step_by(length / 12) {
        let when = When::NextGets(key.clone(), 1);
        let failure = Failure::Flipped(at);
        world.s3.inject(Fault { when, failure });
        let gateway = world.gateway().await?;
        ensure!(is_whole(&gateway, &truth).await?, "byte {at}");
        ensure!(world.s3.heal() == 1, "byte {at}: not read");
        gateway.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_object_that_always_changes_in_transit_is_missing_and_no_block_is_blamed()
-> anyhow::Result<()> {
    let (world, truth) = (world().await?, truth()?);
    let when = When::NextGets("meta.json".to_owned(), usize::MAX);
    let failure = Failure::Flipped(0);
    world.s3.inject(Fault { when, failure });
    let gateway = world.start_gateway(world.bucket()?).await?;
    gateway.sync().await?;
    for (state, count) in [("corrupted-meta-json", 0), ("failed", SAMPLE.len())] {
        let line = format!("thanos_blocks_meta_synced{{state=\"{state}\"}} {count}");
        ensure!(gateway.metrics().contains(&line), "{}", gateway.metrics());
    }
    ensure!(!is_whole(&gateway, &truth).await?);
    world.s3.heal();
    recovers(&gateway, &truth).await?;
    gateway.stop().await
}

#[tokio::test]
async fn an_answer_that_does_not_say_its_length_is_as_good_as_any() -> anyhow::Result<()> {
    let (world, truth) = (world().await?, truth()?);
    let when = When::NextGets(String::new(), usize::MAX);
    let failure = Failure::Chunked;
    world.s3.inject(Fault { when, failure });
    let gateway = world.gateway().await?;
    ensure!(is_whole(&gateway, &truth).await?);
    ensure!(world.s3.heal() > SAMPLE.len());
    gateway.stop().await
}

#[tokio::test]
async fn a_compactor_leaves_the_group_of_a_block_that_it_could_not_read() -> anyhow::Result<()> {
    for file in [
        format!("{}/meta.json", SAMPLE[1]),
        format!("{}/no-compact-mark.json", SAMPLE[0]),
    ] {
        // A compactor that has read none of it before.
        let world = world().await?;
        let before = world.s3.keys();
        let when = When::NextGets(file.clone(), usize::MAX);
        let failure = Failure::Refused;
        world.s3.inject(Fault { when, failure });
        let summary = world.compact().await?;
        ensure!(
            summary.merged.is_empty() && summary.covered.is_empty(),
            "{summary:?}"
        );
        let [(_, error)] = summary.failed.as_slice() else {
            anyhow::bail!("{:?}", summary.failed);
        };
        ensure!(error.to_string().contains(&file), "{error}");
        let mut after = world.s3.keys();
        after.retain(|key| !key.starts_with("parquet/"));
        ensure!(before == after, "{file}: {after:?}");
        world.s3.heal();
        let summary = world.compact().await?;
        ensure!(
            !summary.merged.is_empty() && summary.failed.is_empty(),
            "{summary:?}"
        );
    }
    Ok(())
}
