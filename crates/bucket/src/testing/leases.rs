//! What leases must do on every store: for real servers, on which the tests beside the leases cannot run.

use std::{error::Error, time::Duration};

use futures::future::join_all;
use model::Timestamp;

use crate::{Acquired, Bucket, BucketError, Lease, Leases, Renewal};

const MINUTE: i64 = 60_000;
/// Who try at once.
const RACERS: usize = 12;
const ROUNDS: usize = 8;

/// Tries leases on an empty `bucket`, and leaves it empty.
///
/// # Errors
/// When an operation fails that must not.
///
/// # Panics
/// When a lease does not do what it must.
pub async fn lease_conformance(bucket: &Bucket) -> Result<(), Box<dyn Error + Send + Sync>> {
    leases(bucket, "tester").self_test().await?;
    one_holds_it_until_it_is_released(bucket).await?;
    one_that_is_gone_is_followed(bucket).await?;
    of_many_one_acquires_it(bucket).await?;
    for object in bucket.list("parquet/leases", None).await? {
        bucket.delete(&object.key).await?;
    }
    assert_eq!(bucket.list("", None).await?, []);
    Ok(())
}

async fn one_holds_it_until_it_is_released(bucket: &Bucket) -> Result<(), BucketError> {
    let (a, b) = (leases(bucket, "a"), leases(bucket, "b"));
    let mut lease = held(a.acquire("one", at(0)).await?);
    for minute in [3, 6, 9] {
        assert_eq!(lease.renew(at(minute)).await?, Renewal::Renewed);
        let by = holder(b.acquire("one", at(minute + 4)).await?);
        assert_eq!(by, "a");
    }
    lease.release(at(10)).await?;
    let next = held(b.acquire("one", at(10)).await?);
    assert!(next.was_held_after(at(9)));
    let chain = bucket.list("parquet/leases/one", None).await?;
    assert!(chain.len() <= 2, "old numbers are deleted: {chain:?}");
    Ok(())
}

async fn one_that_is_gone_is_followed(bucket: &Bucket) -> Result<(), BucketError> {
    let (a, b) = (leases(bucket, "a"), leases(bucket, "b"));
    let mut lease = held(a.acquire("gone", at(0)).await?);
    assert_eq!(holder(b.acquire("gone", at(5)).await?), "a");
    assert!(held(b.acquire("gone", at(6)).await?).is_valid(at(10)));
    assert_eq!(lease.renew(at(7)).await?, Renewal::Lost);
    Ok(())
}

async fn of_many_one_acquires_it(bucket: &Bucket) -> Result<(), BucketError> {
    for round in 0..ROUNDS {
        let name = format!("race-{round}");
        let all: Vec<Leases> = (0..RACERS)
            .map(|racer| leases(bucket, &format!("racer {racer}")))
            .collect();
        let acquired = join_all(all.iter().map(|leases| leases.acquire(&name, at(0)))).await;
        let mut winners = 0;
        for acquired in acquired {
            winners += usize::from(matches!(acquired?, Acquired::Lease(_)));
        }
        assert_eq!(winners, 1, "of {RACERS} in round {round}");
    }
    Ok(())
}

fn leases(bucket: &Bucket, holder: &str) -> Leases {
    Leases::new(bucket.clone(), holder.to_owned(), Duration::from_mins(5))
}

fn at(minute: i64) -> Timestamp {
    Timestamp(minute * MINUTE)
}

fn held(acquired: Acquired) -> Lease {
    match acquired {
        Acquired::Lease(lease) => lease,
        Acquired::HeldBy(holder) => {
            let found = holder.to_string();
            assert_eq!(found, "", "expected a free lease");
            unreachable!("a name is never empty")
        }
    }
}

fn holder(acquired: Acquired) -> String {
    match acquired {
        Acquired::HeldBy(holder) => holder.name,
        Acquired::Lease(_) => "nobody".to_owned(),
    }
}
