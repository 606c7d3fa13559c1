mod interleaved;
mod store;

use super::*;
use crate::testing::{FailingBucket, WriteFault};

const MINUTE: i64 = 60_000;
const NAME: &str = "0@17241709254077376921";

fn leases(bucket: &Bucket, holder: &str) -> Leases {
    Leases::new(bucket.clone(), holder.to_owned(), Duration::from_mins(5))
}

async fn acquire(leases: &Leases, minute: i64) -> Result<Lease, String> {
    match leases.acquire(NAME, at(minute)).await.unwrap() {
        Acquired::Lease(lease) => Ok(lease),
        Acquired::HeldBy(holder) => Err(holder.to_string()),
    }
}

fn at(minute: i64) -> Timestamp {
    Timestamp(minute * MINUTE)
}

/// The numbers of the objects of the lease.
async fn chain(bucket: &Bucket) -> Vec<u64> {
    let objects = bucket.list("", None).await.unwrap();
    let numbers = objects.iter().map(|object| {
        let number = object.key.strip_prefix(&format!("parquet/leases/{NAME}/"));
        number.unwrap().parse().unwrap()
    });
    numbers.collect()
}

#[tokio::test]
async fn one_holds_a_lease_until_it_is_released() {
    let bucket = Bucket::in_memory();
    let (a, b) = (leases(&bucket, "a"), leases(&bucket, "b"));
    let lease = acquire(&a, 0).await.unwrap();
    assert_eq!((lease.name(), lease.deadline()), (NAME, at(5)));
    assert!(lease.is_valid(at(4)) && !lease.is_valid(at(5)));
    // Nobody else's, and not the holder's a second time.
    for other in [&a, &b] {
        assert_eq!(
            acquire(other, 1).await.unwrap_err(),
            "a until 1970-01-01T00:05:00Z"
        );
    }
    let Acquired::Lease(_) = b.acquire("another", at(1)).await.unwrap() else {
        panic!("another lease is another's");
    };
    bucket
        .delete("parquet/leases/another/00000000000000000001")
        .await
        .unwrap();
    lease.release(at(2)).await.unwrap();
    acquire(&b, 2).await.unwrap();
    assert_eq!(chain(&bucket).await, [2, 3]);
}

#[tokio::test]
async fn a_lease_that_is_renewed_stays_and_its_chain_stays_short() {
    let bucket = Bucket::in_memory();
    let (a, b) = (leases(&bucket, "a"), leases(&bucket, "b"));
    let mut lease = acquire(&a, 0).await.unwrap();
    for minute in (3..60).step_by(3) {
        assert_eq!(lease.renew(at(minute)).await.unwrap(), Renewal::Renewed);
        assert_eq!(lease.deadline(), at(minute + 5));
        acquire(&b, minute + 4).await.unwrap_err();
    }
    assert_eq!(chain(&bucket).await, [19, 20]);
}

#[tokio::test]
async fn the_lease_of_one_that_is_gone_is_taken_over_after_its_deadline() {
    let bucket = Bucket::in_memory();
    let (a, b) = (leases(&bucket, "a"), leases(&bucket, "b"));
    let mut lease = acquire(&a, 0).await.unwrap();
    // The clock of the holder may be behind by half a minute.
    acquire(&b, 5).await.unwrap_err();
    let taken = acquire(&b, 6).await.unwrap();
    assert!(taken.is_valid(at(10)));
    // It was not gone after all.
    assert_eq!(lease.renew(at(7)).await.unwrap(), Renewal::Lost);
    assert!(!lease.is_valid(at(0)));
    lease.release(at(7)).await.unwrap();
    assert_eq!(
        acquire(&a, 8).await.unwrap_err(),
        "b until 1970-01-01T00:11:00Z"
    );
}

#[tokio::test]
async fn a_lease_tells_whether_another_may_have_worked_since_one_looked() {
    let bucket = Bucket::in_memory();
    let (a, b) = (leases(&bucket, "a"), leases(&bucket, "b"));
    let first = acquire(&a, 0).await.unwrap();
    assert!(!first.was_held_after(at(0)), "there was none before");
    first.release(at(2)).await.unwrap();
    let second = acquire(&b, 10).await.unwrap();
    assert!(second.was_held_after(at(2)) && !second.was_held_after(at(3)));
    // Never released: it may have been held until the deadline, at 15.
    let third = acquire(&a, 20).await.unwrap();
    assert!(third.was_held_after(at(15)) && !third.was_held_after(at(16)));
}

#[tokio::test]
async fn a_late_renewal_counts_while_nobody_else_came() {
    let bucket = Bucket::in_memory();
    let mut lease = acquire(&leases(&bucket, "a"), 0).await.unwrap();
    assert_eq!(lease.renew(at(60)).await.unwrap(), Renewal::Renewed);
    assert!(lease.is_valid(at(64)));
}

#[tokio::test]
async fn an_answer_that_is_lost_does_not_lose_the_lease() {
    let failing = FailingBucket::new(&Bucket::in_memory());
    let (a, b) = (
        leases(&failing.bucket(), "a"),
        leases(&failing.bucket(), "b"),
    );
    failing.fail_write(0, WriteFault::AnswerLost);
    let mut lease = acquire(&a, 0).await.unwrap();
    failing.fail_write(0, WriteFault::AnswerLost);
    assert_eq!(lease.renew(at(1)).await.unwrap(), Renewal::Renewed);
    failing.fail_write(0, WriteFault::AnswerLost);
    lease.release(at(2)).await.unwrap();
    acquire(&b, 2).await.unwrap();
}

#[tokio::test]
async fn a_step_that_failed_is_done_again_at_every_write_and_read() {
    // A renewal that got through before the bucket went away is found by the next one, and so is a release.
    for fault in [WriteFault::Refused, WriteFault::Cut, WriteFault::AnswerLost] {
        let failing = FailingBucket::new(&Bucket::in_memory());
        let (a, b) = (
            leases(&failing.bucket(), "a"),
            leases(&failing.bucket(), "b"),
        );
        let mut lease = acquire(&a, 0).await.unwrap();
        failing.die_at_write(0, fault);
        lease.renew(at(1)).await.unwrap_err();
        assert!(lease.is_valid(at(4)), "{fault:?}");
        failing.heal();
        let renewal = lease.renew(at(2)).await.unwrap();
        if fault == WriteFault::Cut {
            // Half an object: nobody can tell whose, so nobody has it for an hour.
            assert_eq!(renewal, Renewal::Lost);
            let error = acquire(&b, 3).await.unwrap_err();
            assert!(
                error.starts_with("an unknown holder (parquet/leases/"),
                "{error}"
            );
            continue;
        }
        assert_eq!(renewal, Renewal::Renewed, "{fault:?}");
        lease.release(at(3)).await.unwrap();
        acquire(&b, 3).await.unwrap();
    }
}

#[tokio::test]
async fn a_holder_that_slept_between_reading_and_creating_does_not_get_it() {
    let bucket = Bucket::in_memory();
    let (a, b) = (leases(&bucket, "a"), leases(&bucket, "b"));
    // As if it had looked before there was anything: it goes for number 1.
    let mut slow = acquire(&a, 0).await.unwrap();
    slow.generation = 0;
    for minute in [10, 20, 30] {
        let lease = acquire(&b, minute).await.unwrap();
        lease.release(at(minute)).await.unwrap();
    }
    assert_eq!(chain(&bucket).await, [6, 7]);
    assert_eq!(slow.renew(at(30)).await.unwrap(), Renewal::Lost);
    assert_eq!(chain(&bucket).await, [6, 7]);
}

/// What the third rule is for, with two who slept: the later one's object has the name of the other's, which is gone.
#[tokio::test]
async fn an_object_of_the_same_number_that_another_created_is_not_ones_own() {
    let bucket = Bucket::in_memory();
    let lease = acquire(&leases(&bucket, "a"), 0).await.unwrap();
    assert!(lease.is_last().await.unwrap());
    bucket.delete(&record::key(NAME, 1)).await.unwrap();
    assert!(!lease.is_last().await.unwrap());
    acquire(&leases(&bucket, "b"), 0).await.unwrap();
    assert!(!lease.is_last().await.unwrap());
    assert_eq!(chain(&bucket).await, [1]);
}

#[tokio::test]
async fn foreign_objects_among_the_leases_do_not_disturb() {
    let bucket = Bucket::in_memory();
    let foreign = format!("parquet/leases/{NAME}/README");
    bucket.put(&foreign, "".into()).await.unwrap();
    acquire(&leases(&bucket, "a"), 0).await.unwrap();
    assert!(bucket.exists(&foreign).await.unwrap());
}

#[tokio::test]
async fn a_refusal_without_a_winner_is_tried_again() {
    let refusing =
        |puts| Bucket::in_memory().wrapped(|inner| store::Scripted::refusing(inner, puts));
    for puts in 1..LOOKS {
        let bucket = refusing(puts);
        acquire(&leases(&bucket, "a"), 0).await.unwrap();
        assert_eq!(chain(&bucket).await, [1]);
    }
    // But not for ever.
    let error = acquire(&leases(&refusing(LOOKS), "a"), 0).await;
    assert_eq!(error.unwrap_err(), "another until 1970-01-01T00:05:00Z");
}

#[tokio::test]
async fn the_self_test_removes_the_objects_of_one_killed_an_hour_before() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = crate::BucketConfig::filesystem(dir.path()).open().unwrap();
    let left = |test| format!("parquet/leases/self-test/{test}/one");
    for (test, minutes) in [("killed", 61), ("under-way", 59)] {
        bucket.put(&left(test), "first".into()).await.unwrap();
        let file = std::fs::File::open(dir.path().join(left(test))).unwrap();
        let written = file.metadata().unwrap().modified().unwrap();
        let before = written - Duration::from_mins(minutes);
        file.set_modified(before).unwrap();
    }
    leases(&bucket, "a").self_test().await.unwrap();
    let objects = bucket.list("", None).await.unwrap();
    let keys: Vec<_> = objects.into_iter().map(|o| o.key).collect();
    assert_eq!(keys, [left("under-way")]);
}

#[tokio::test]
async fn the_self_test_passes_where_objects_are_created_once() {
    let dir = tempfile::tempdir().unwrap();
    let folder = crate::BucketConfig::filesystem(dir.path()).open().unwrap();
    for bucket in [Bucket::in_memory(), folder] {
        leases(&bucket, "a").self_test().await.unwrap();
        assert_eq!(bucket.list("", None).await.unwrap(), []);
    }
}

#[tokio::test]
async fn the_self_test_tries_again_where_a_put_is_refused_though_nothing_is_there() {
    let refusing =
        |puts| Bucket::in_memory().wrapped(|inner| store::Scripted::refusing(inner, puts));
    let once = refusing(1);
    leases(&once, "a").self_test().await.unwrap();
    assert_eq!(once.list("", None).await.unwrap(), []);
    let always = refusing(usize::MAX);
    let error = leases(&always, "a").self_test().await.unwrap_err();
    assert!(matches!(error, BucketError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn the_self_test_says_that_the_bucket_ignores_conditions() {
    let lax = Bucket::in_memory().wrapped(|inner| store::Scripted::ignoring(inner));
    let error = leases(&lax, "a").self_test().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "bucket memory: it ignores the condition of conditional puts (If-None-Match), so compactors cannot share it"
    );
    let racy = Bucket::in_memory().wrapped(|inner| store::Scripted::racy(inner));
    let error = leases(&racy, "a").self_test().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "bucket memory: it accepts several conditional puts (If-None-Match) of one object, so compactors cannot \
         share it"
    );
    for bucket in [lax, racy] {
        assert_eq!(bucket.list("", None).await.unwrap(), []);
    }
}
