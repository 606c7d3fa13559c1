use futures::FutureExt as _;
use service::{Exposition, Metrics};

use super::*;

const MIB: u64 = 1 << 20;

fn memory(most: u64, metrics: &Metrics) -> Memory {
    Memory::new(most, Duration::from_secs(90), MemoryMetrics::new(metrics))
}

fn line(metrics: &Metrics, name: &str, value: u64) {
    let line = format!("varve_store_memory_{name} {value}\n");
    let text = metrics.encode(Exposition::Prometheus);
    assert!(text.contains(&line), "{line}{text}");
}

#[tokio::test]
async fn a_request_counts_what_it_reserved_or_holds_whichever_is_more() {
    let metrics = Metrics::new();
    let memory = memory(100 * MIB, &metrics);
    line(&metrics, "budget_bytes", 100 * MIB);
    let request = memory.enter(16).await.unwrap();
    line(&metrics, "used_bytes", 5 * MIB);
    let mut a = request.hold(HeldFor::Batches);
    let mut b = request.hold(HeldFor::Order);
    a.set(2 * MIB);
    line(&metrics, "used_bytes", 5 * MIB);
    b.set(7 * MIB);
    line(&metrics, "used_bytes", 9 * MIB);
    a.set(0);
    line(&metrics, "used_bytes", 7 * MIB);
    drop(b);
    line(&metrics, "used_bytes", 5 * MIB);
    drop(request);
    // A part of it is still there.
    line(&metrics, "used_bytes", 5 * MIB);
    drop(a);
    line(&metrics, "used_bytes", 0);
}

#[tokio::test]
async fn requests_enter_in_their_order_once_there_is_room() {
    let metrics = Metrics::new();
    let memory = memory(20 * MIB, &metrics);
    let first = memory.enter(0).await.unwrap();
    let mut held = first.hold(HeldFor::Batches);
    held.set(16 * MIB + 1);
    let mut second = Box::pin(memory.enter(16));
    let mut third = Box::pin(memory.enter(0));
    assert!(second.as_mut().now_or_never().is_none());
    assert!(third.as_mut().now_or_never().is_none());
    line(&metrics, "requests_waiting", 2);
    // Enough for the third, but it is not its turn.
    held.set(16 * MIB);
    assert!(second.as_mut().now_or_never().is_none());
    assert!(third.as_mut().now_or_never().is_none());
    held.set(11 * MIB);
    let second = second.await.unwrap();
    let third = third.await.unwrap();
    line(&metrics, "used_bytes", 20 * MIB);
    line(&metrics, "requests_waiting", 0);
    drop((second, third));
}

#[tokio::test]
async fn a_request_alone_has_room_however_large_it_is() {
    let metrics = Metrics::new();
    let memory = memory(MIB, &metrics);
    let large = memory.enter(1000).await.unwrap();
    assert!(memory.enter(0).now_or_never().is_none());
    drop(large);
    memory.enter(0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_too_long_is_refused_with_the_name_of_the_limit() {
    let metrics = Metrics::new();
    let memory = memory(8 * MIB, &metrics);
    let first = memory.enter(0).await.unwrap();
    let mut held = first.hold(HeldFor::Batches);
    held.set(8 * MIB);
    let error = memory.enter(0).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "limit store.memory-budget: requests held 8388608 of 8388608 bytes for the 90s that this one waited"
    );
    line(&metrics, "requests_refused_total", 1);
    line(&metrics, "requests_waiting", 0);
    // It takes nothing from those behind it.
    drop(held);
    memory.enter(0).await.unwrap();
}

#[tokio::test]
async fn there_is_room_to_read_ahead_until_the_memory_or_a_share_of_it_is_used() {
    let metrics = Metrics::new();
    let memory = memory(100 * MIB, &metrics);
    let first = memory.enter(0).await.unwrap();
    let second = memory.enter(0).await.unwrap();
    let (mut a, mut b) = (first.hold(HeldFor::Batches), second.hold(HeldFor::Batches));
    a.set(25 * MIB - 1);
    assert!(first.has_room() && second.has_room());
    a.set(25 * MIB);
    assert!(!first.has_room() && second.has_room());
    // A share each, but all of it together.
    a.set(24 * MIB);
    b.set(24 * MIB);
    let mut others = Vec::new();
    for _ in 0..4 {
        let other = memory.enter(0).await.unwrap();
        let mut held = other.hold(HeldFor::Batches);
        held.set(13 * MIB);
        others.push(held);
    }
    assert!(!first.has_room() && !second.has_room());
    others.pop();
    assert!(first.has_room() && second.has_room());
}

#[tokio::test]
async fn no_request_beside_many_others_reads_ahead() {
    let memory = memory(100_000 * MIB, &Metrics::new());
    let mut requests = Vec::new();
    for _ in 0..memory.0.read_ahead {
        requests.push(memory.enter(0).await.unwrap());
    }
    assert!(requests.iter().all(|request| request.reads_ahead()));
    let one_more = memory.enter(0).await.unwrap();
    assert!(!one_more.reads_ahead() && one_more.has_room());
    assert!(!requests.iter().any(|request| request.reads_ahead()));
    drop(requests.pop());
    assert!(one_more.reads_ahead());
    requests.clear();
    let held = one_more.hold(HeldFor::Batches);
    drop(one_more);
    assert!(memory.enter(0).await.unwrap().reads_ahead());
    drop(held);
    assert_eq!(memory.0.requests.load(Ordering::Relaxed), 0);
}
