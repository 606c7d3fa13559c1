//! Relabel rules that are replaced while a daemon runs.

use std::fs;

use anyhow::ensure;

use crate::daemon::{Daemon, http, uploaded};

/// Asks for the metrics until they have this line.
fn await_line(address: &str, line: &str) -> anyhow::Result<()> {
    // Each look is a request; a synchronization comes every second.
    for _ in 0..100_000 {
        if http(address, "/metrics")?.lines().any(|one| one == line) {
            return Ok(());
        }
    }
    anyhow::bail!("{line} in {}", http(address, "/metrics")?)
}

#[test]
fn rules_are_read_again_on_sighup_and_wrong_ones_change_nothing() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let bucket = uploaded(dir.path(), &[])?;
    let rules = dir.path().join("rules.yaml");
    fs::write(&rules, "[{action: keep, source_labels: [a], regex: b}]")?;
    let (port, grpc) = ("--http-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0");
    let data = format!("--data-dir={}", dir.path().join("store").display());
    let file = format!("--selector.relabel-config-file={}", rules.display());
    let every = "--sync-block-duration=1s";
    let mut store = Daemon::start(&["store", &data, &bucket, port, grpc, &file, every])?;
    let address = store.address("listening for service metrics")?;
    store.says("changing probe status: ready")?;
    await_line(&address, "thanos_blocks_meta_synced{state=\"loaded\"} 6")?;
    fs::write(&rules, "[{action: drop, source_labels: [a], regex: b}]")?;
    store.signal("-HUP")?;
    store.says("the rules of --selector.relabel-config-file were read again")?;
    await_line(
        &address,
        "thanos_blocks_meta_synced{state=\"label-excluded\"} 6",
    )?;
    await_line(&address, "varve_selector_last_reload_successful 1")?;
    fs::write(&rules, "[{action: replace}]")?;
    store.signal("-HUP")?;
    store.says("cannot be used; those from before stay in use")?;
    await_line(&address, "varve_selector_last_reload_successful 0")?;
    await_line(
        &address,
        "thanos_blocks_meta_synced{state=\"label-excluded\"} 6",
    )?;
    let said = store.end()?;
    ensure!(
        said.contains("expected keep, drop or hashmod, found replace"),
        "{said}"
    );
    Ok(())
}

#[test]
fn each_plan_of_a_compactor_selects_by_the_newest_rules() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let bucket = uploaded(dir.path(), &[])?;
    let rules = dir.path().join("rules.yaml");
    // Nothing has such a label, so all blocks are left, and later none.
    fs::write(&rules, "[{action: keep, source_labels: [none], regex: b}]")?;
    let data = format!("--data-dir={}", dir.path().join("compact").display());
    let file = format!("--selector.relabel-config-file={}", rules.display());
    let mut compactor = Daemon::start(&[
        "compact",
        "--wait",
        "--wait-interval=100ms",
        "--consistency-delay=0s",
        &data,
        &bucket,
        &file,
        "--http-address=127.0.0.1:0",
    ])?;
    let address = compactor.address("listening for service metrics")?;
    let left = |number| format!("varve_compact_blocks_skipped{{reason=\"not-selected\"}} {number}");
    await_line(&address, &left(6))?;
    fs::write(&rules, "[{action: replace}]")?;
    compactor.signal("-HUP")?;
    compactor.says("cannot be used; those from before stay in use")?;
    fs::write(&rules, "[{action: drop, source_labels: [none], regex: b}]")?;
    compactor.signal("-HUP")?;
    compactor.says("the rules of --selector.relabel-config-file were read again")?;
    await_line(&address, &left(0))?;
    // The plan is known before its tasks begin.
    compactor.says("msg=begun")?;
    compactor.end()?;
    Ok(())
}
