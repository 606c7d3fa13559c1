//! What is read damaged may have been damaged on the way.

use std::time::Duration;

use super::*;

/// A bucket with two blocks, the second with a mark.
async fn world() -> (World, [String; 2]) {
    let world = World::new(None);
    world.put_block(A).await;
    world.put_block(B).await;
    let mark = format!("{B}/deletion-mark.json");
    let json = format!(r#"{{"id":"{B}","version":1,"deletion_time":5}}"#);
    world.put(&mark, &json).await;
    (world, [format!("{A}/meta.json"), mark])
}

/// Whether both blocks are there, and the second with its mark.
fn is_whole(snapshot: &Snapshot) -> bool {
    roots(snapshot) == [A, B]
        && snapshot.blocks[1].deletion_mark.is_some()
        && snapshot.unread.is_empty()
}

#[tokio::test]
async fn an_object_damaged_in_transit_is_read_again_at_once() {
    let (mut world, keys) = world().await;
    for key in &keys {
        world.failing.fail_next_reads(key, &[ReadFault::Flipped]);
    }
    let (snapshot, reads) = world.look().await;
    assert!(is_whole(&snapshot), "{snapshot:?}");
    assert_eq!(
        reads.len(),
        5,
        "three objects, two of them twice: {reads:?}"
    );
    let (_, reads) = world.look().await;
    assert_eq!(reads, [""; 0]);
}

#[tokio::test]
async fn an_object_read_with_two_different_contents_is_unread_not_damaged() {
    let (mut world, keys) = world().await;
    for key in &keys {
        let two = [ReadFault::FlippedAt(0), ReadFault::FlippedAt(1)];
        world.failing.fail_next_reads(key, &two);
    }
    let (snapshot, _) = world.look().await;
    assert_eq!(reasons(&snapshot), [""; 0]);
    let expected: Vec<_> = keys.iter().map(String::as_str).zip([false, true]).collect();
    assert_eq!(unread(&snapshot), expected);
    let reason = &snapshot.unread[0].reason;
    assert!(
        reason.ends_with("expected the same bytes twice, found others"),
        "{reason}"
    );
    let snapshot = world.fetcher.retry(1).await.unwrap();
    assert!(is_whole(&snapshot), "{snapshot:?}");
}

#[tokio::test]
async fn a_damaged_object_is_read_at_each_synchronization_and_used_once_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (world, keys) = world().await;
    let mut world = world.restarted(Some(dir.path()));
    for key in &keys {
        world.failing.fail_reads(key, ReadFault::Flipped);
    }
    for _ in 0..2 {
        let (snapshot, reads) = world.look().await;
        assert_eq!((roots(&snapshot), snapshot.unread.len()), (vec![B], 0));
        assert_eq!(snapshot.blocks[0].unusable_marks.len(), 1);
        assert_eq!(reads.iter().filter(|key| keys.contains(key)).count(), 4);
    }
    // A look that does not see it leaves it as it was.
    for key in &keys {
        world.failing.fail_reads(key, ReadFault::Refused);
    }
    let (snapshot, _) = world.look().await;
    assert_eq!((roots(&snapshot), snapshot.unread.len()), (vec![B], 0));
    world.failing.heal();
    let (snapshot, reads) = world.look().await;
    assert!(is_whole(&snapshot), "{snapshot:?}");
    assert_eq!(reads, keys);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_never_comes_holds_up_the_others_for_a_minute_at_most() {
    let (mut world, [meta, _]) = world().await;
    let held = world.failing.hold_reads(&meta);
    let start = tokio::time::Instant::now();
    let (snapshot, _) = world.look().await;
    assert!(
        start.elapsed() <= Duration::from_secs(61),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(
        (roots(&snapshot), unread(&snapshot)),
        (vec![B], vec![(&*meta, false)])
    );
    let reason = &snapshot.unread[0].reason;
    assert_eq!(*reason, format!("get {meta}: no answer within 60 s"));
    held.release(usize::MAX >> 4);
    let snapshot = world.fetcher.retry(1).await.unwrap();
    assert!(is_whole(&snapshot), "{snapshot:?}");
}
