//! The same questions to every server of the StoreAPI, and equal answers: the sidecar by either form of remote read, and
//! both halves in one process. A store gateway on TSDB and on Parquet blocks is asked them along its whole path.

use std::path::PathBuf;

use compactor::Outcome;
use tests::{
    ALL_KINDS, Answer, PrometheusServer, RemoteRead, SAMPLE, Serves, Truth, World, all_kinds_dir,
    ask_everything, copy_blocks,
};

/// The sample and the block of all kinds of samples, long before it, in the folder of a Prometheus.
async fn world() -> anyhow::Result<(World, Truth)> {
    let world = World::with_sample(&SAMPLE).await?;
    copy_blocks(&all_kinds_dir(), &[ALL_KINDS], &world.tsdb_dir())?;
    let all: Vec<&str> = SAMPLE.iter().copied().chain([ALL_KINDS]).collect();
    let answer = Answer::of_blocks(&dirs(&world, &all), &World::external_labels())?;
    Ok((world, Truth::new(answer)))
}

fn dirs(world: &World, blocks: &[&str]) -> Vec<PathBuf> {
    blocks.iter().map(|b| world.tsdb_dir().join(b)).collect()
}

/// A Prometheus that has these blocks.
async fn prometheus(
    world: &World,
    blocks: &[&str],
    read: RemoteRead,
) -> anyhow::Result<PrometheusServer> {
    PrometheusServer::start(&dirs(world, blocks), World::external_labels(), read).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_answers_as_a_store_gateway_whether_prometheus_streams_or_not()
-> anyhow::Result<()> {
    let (world, truth) = world().await?;
    let all: Vec<&str> = SAMPLE.iter().copied().chain([ALL_KINDS]).collect();
    // A sample of remote read has no sign where it is zero: Protocol Buffers leave out a field that equals 0.
    let sample = Answer::of_blocks(&dirs(&world, &SAMPLE), &World::external_labels())?;
    for (read, blocks, truth) in [
        (RemoteRead::Streamed, all.as_slice(), truth),
        (RemoteRead::Samples, &SAMPLE, Truth::new(sample)),
    ] {
        let prometheus = prometheus(&world, blocks, read).await?;
        let sidecar = world.sidecar(&prometheus).await?;
        ask_everything(&sidecar.client, &truth, Serves::Prometheus).await?;
        sidecar.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_halves_through_one_port_answer_as_one_that_has_all() -> anyhow::Result<()> {
    let (world, truth) = world().await?;
    // The bucket has all but the newest block, merged where there is something to merge.
    let newest = world.tsdb_dir().join(SAMPLE[5]);
    let away = world.scratch().join(SAMPLE[5]);
    std::fs::create_dir_all(world.scratch())?;
    std::fs::rename(&newest, &away)?;
    world.upload().await?;
    let summary = world.compact().await?;
    let merged = |(_, outcome): &(_, Outcome)| matches!(outcome, Outcome::Merged(_));
    assert!(summary.merged.iter().any(merged), "{summary:?}");
    std::fs::rename(&away, &newest)?;
    // Prometheus has the newest one alone, and some that are in the bucket too: merged ones and one as uploaded.
    for blocks in [&SAMPLE[2..], &SAMPLE[5..]] {
        let prometheus = prometheus(&world, blocks, RemoteRead::Streamed).await?;
        let both = world.standalone(&prometheus).await?;
        ask_everything(&both.client, &truth, Serves::Both).await?;
        both.stop().await?;
    }
    Ok(())
}
