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

use model::{Rfc3339, Timestamp};

pub use self::held::Lease;
use self::{
    held::Created,
    record::{Newest, Record, State},
};
use crate::{Bucket, BucketError, Object};

/// How often one looks at a chain whose last object is gone before it could be read, or whose next one could not be
/// created although nobody has it.
const LOOKS: usize = 5;

/// The leases in a bucket, for one who wants some. Clones are of the same one.
#[derive(Clone, Debug)]
pub struct Leases(Arc<Wish>);

/// Who wants leases, and where.
#[derive(Debug)]
struct Wish {
    bucket: Bucket,
    holder: String,
    duration: Duration,
}

/// What comes of asking for a lease.
#[derive(Debug)]
pub enum Acquired {
    /// It is ours.
    Lease(Lease),
    /// It is another's.
    HeldBy(Holder),
}

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// As it calls itself.
    pub name: String,
    /// Until when it does, by its clock, if it neither renews nor releases it.
    pub until: Timestamp,
}

/// What comes of renewing a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Renewal {
    /// It is ours for the whole duration from now on.
    Renewed,
    /// Another took it over, as it was not renewed in time: the work that it was for is no longer ours.
    Lost,
}

impl Leases {
    /// How much the clocks of two holders may differ.
    pub const MARGIN: Duration = Duration::from_secs(30);

    /// Leases for `holder`, a name for people to read, each for `duration` unless it is renewed.
    #[must_use]
    pub fn new(bucket: Bucket, holder: String, duration: Duration) -> Self {
        Self(Arc::new(Wish {
            bucket,
            holder,
            duration,
        }))
    }

    /// How long a lease lasts unless it is renewed.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.0.duration
    }

    /// Takes the lease on `name`, if it is free; `now` is the time.
    ///
    /// # Errors
    /// When the bucket cannot be asked. Should the lease be ours by then, it is free again after its deadline.
    pub async fn acquire(&self, name: &str, now: Timestamp) -> Result<Acquired, BucketError> {
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
                Created::Taken(Some(other)) => return Ok(Acquired::HeldBy(other.into_holder())),
                // Others went on since; or there is nothing, as where two that come at once are both refused.
                Created::Ours | Created::Taken(None) if looks < LOOKS => {}
                // Without a trace of who was faster, there is no better guess than that it was just now.
                Created::Ours | Created::Taken(None) => {
                    return Ok(Acquired::HeldBy(Holder {
                        name: "another".to_owned(),
                        until: record.deadline,
                    }));
                }
            }
        }
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
            // A bit that changed on the way could end a lease that is held.
            let is_usable = |bytes: &[u8]| Record::decode(bytes).is_ok();
            match self.0.bucket.get_listed(object, is_usable).await {
                Ok(bytes) => return Ok(Some(Newest::read(*generation, object, &bytes))),
                // Others went on since.
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
