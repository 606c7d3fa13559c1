//! Leases: of all who share a bucket, one at a time works at a thing, until a deadline.
//!
//! All that is asked of the store is to create an object if there is none of that name, so that files in a folder do
//! as well as S3. A lease is a chain of objects, of which the last one counts:
//! ```text
//! parquet/leases/<name>/00000000000000000041     a: until 10:05       older ones are deleted
//! parquet/leases/<name>/00000000000000000042     a: until 10:10       renewed: the next one is created
//! parquet/leases/<name>/00000000000000000043     b: until 10:25       taken over at 10:15
//! parquet/leases/<name>/00000000000000000044     b: released
//! ```
//! Each step, be it to acquire, renew, take over or release, creates the object whose number follows the last; of those
//! who try, one succeeds. A lease is free if there is no object, or the last one is released, or its deadline is past
//! by more than [`Leases::MARGIN`]: so much may the clocks of two holders differ.
//!
//! Two rules keep two from holding it at once, however slow their steps are:
//! - The last object is never deleted. A chain that was gone would start at 1 again, beside one who goes on with what
//!   it had seen of the old chain, and both would create numbers that the other does not look at.
//! - Whoever has created an object lists the chain again, and holds the lease only if there is no later one. It may
//!   have slept between looking and creating, while others went on and deleted the number that it then created.
//!
//! A listing of files in a folder is no snapshot: the object that was last at its beginning may be deleted, as others
//! went on, before the listing comes to it. But old objects are deleted in their order, so then the one that was just
//! created went before it. Therefore a third rule: after the listing its own object must still be there, and be its own:
//! another who has slept may have created the number anew.

mod held;
mod record;
mod self_test;

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use model::{Rfc3339, Timestamp};

pub use self::held::Lease;
use self::{
    held::Created,
    record::{Newest, Record, State},
};
use crate::{Bucket, BucketError, Object};

/// How often a chain is read whose last object vanishes before it is read, or whose next object cannot be created
/// although nobody has it.
const LOOKS: usize = 5;

/// The leases in a bucket, for one holder. Clones are the same holder.
#[derive(Clone, Debug)]
pub struct Leases(Arc<Wish>);

/// The holder and the bucket.
#[derive(Debug)]
struct Wish {
    bucket: Bucket,
    holder: String,
    duration: Duration,
}

/// The outcome of asking for a lease.
#[derive(Debug)]
pub enum Acquired {
    /// It was acquired.
    Lease(Lease),
    /// Another has it.
    HeldBy(Holder),
}

/// The holder of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// The deadline by its clock, unless it renews or releases the lease.
    pub until: Timestamp,
}

/// The outcome of renewing a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Renewal {
    /// It was renewed for the whole duration from now.
    Renewed,
    /// Another took it over, as it was not renewed in time. Its work must stop.
    Lost,
}

impl Leases {
    /// The greatest difference between the clocks of two holders.
    pub const MARGIN: Duration = Duration::from_secs(30);

    /// Leases for `holder`, a name for people, each for `duration` unless it is renewed.
    #[must_use]
    pub fn new(bucket: Bucket, holder: String, duration: Duration) -> Self {
        Self(Arc::new(Wish {
            bucket,
            holder,
            duration,
        }))
    }

    /// The duration of a lease unless it is renewed.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.0.duration
    }

    /// Acquires the lease on `name`, if it is free; `now` is the time.
    ///
    /// # Errors
    /// When the bucket fails. If the lease was acquired nonetheless, it is free again after its deadline.
    pub fn acquire<'a>(
        &'a self,
        name: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Acquired, BucketError>> {
        Box::pin(async move {
            let mut looks = 0;
            loop {
                looks += 1;
                let newest = self.newest(name).await?;
                let generation =
                    match record::state(newest.as_ref(), now, self.0.duration, Self::MARGIN) {
                        State::Free { next } => next,
                        State::Held(holder) => return Ok(Acquired::HeldBy(holder)),
                    };
                let mut lease = Lease {
                    leases: self.clone(),
                    name: name.to_owned(),
                    token: record::token(name)?,
                    since: now,
                    previous: newest.as_ref().map(Newest::end),
                    generation: generation.saturating_sub(1),
                    deadline: Timestamp::MIN,
                };
                let record = lease.record(now);
                match lease.create(&record).await? {
                    Created::Ours if lease.is_last().await? => {
                        lease.deadline = record.deadline;
                        return Ok(Acquired::Lease(lease));
                    }
                    Created::Taken(Some(other)) => {
                        return Ok(Acquired::HeldBy(other.into_holder()));
                    }
                    // Others went on meanwhile; or nothing exists, as when two concurrent attempts are both refused.
                    Created::Ours | Created::Taken(None) if looks < LOOKS => {}
                    // Without a trace of the winner, the best guess is that it acquired the lease just now.
                    Created::Ours | Created::Taken(None) => {
                        return Ok(Acquired::HeldBy(Holder {
                            name: "another".to_owned(),
                            until: record.deadline,
                        }));
                    }
                }
            }
        })
    }

    /// The last object of a chain.
    async fn newest(&self, name: &str) -> Result<Option<Newest>, BucketError> {
        let mut looks = 0;
        loop {
            looks += 1;
            let chain = self.chain(name).await?;
            let Some((generation, object)) = chain.last() else {
                return Ok(None);
            };
            // A bit flipped in transit could end a lease that is held.
            let is_usable = |bytes: &[u8]| Record::decode(bytes).is_ok();
            match self.0.bucket.get_listed(object, &is_usable).await {
                Ok(bytes) => return Ok(Some(Newest::read(*generation, object, &bytes))),
                // Others went on meanwhile.
                Err(BucketError::NotFound { .. }) if looks < LOOKS => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The objects of a chain by their numbers.
    async fn chain(&self, name: &str) -> Result<Vec<(u64, Object)>, BucketError> {
        let objects = self.0.bucket.list(&record::folder(name), None).await?;
        let numbered = objects
            .into_iter()
            .filter_map(|object| Some((record::generation(&object.key)?, object)));
        Ok(numbered.collect())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} until {:.0}", self.name, Rfc3339(self.until))
    }
}

#[cfg(test)]
mod tests;
