//! A store gateway behind an S3 server that fails at random: at each moment an answer is whole, or says what is missing.

use anyhow::{Context as _, ensure};
use model::TimeRange;
use proto::thanos::{LabelNamesRequest, PartialResponseStrategy, SeriesRequest};
use tests::{
    Answer, Failure, Fault, FaultScript, RunningGateway, SAMPLE, When, World, matcher, sample_dir,
    series_request,
};
use tokio::time::{Duration, timeout};

/// How many scripts are played.
const SCRIPTS: u64 = 6;
/// How often the faults change in each.
const STEPS: usize = 5;
/// How long what has to come by itself may take.
const DEADLINE: Duration = Duration::from_secs(60);

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
    let strict = everything(PartialResponseStrategy::Abort)?;
    let answer = match gateway.client.series(strict).await {
        Ok(answer) => answer.checked()?,
        Err(status) => {
            let says = status.message();
            let named = ["not ready", "get ", "get range of ", "expected", "missing"];
            ensure!(named.iter().any(|what| says.contains(what)), "{status:?}");
            return Ok(false);
        }
    };
    let difference = answer.difference(truth);
    ensure!(difference.is_none(), "a strict answer lacks {difference:?}");
    Ok(true)
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
    timeout(DEADLINE, whole)
        .await
        .context("not whole by itself")?
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
