//! A lease that one holds, step by step.

use bytes::Bytes;
use model::Timestamp;

use super::{
    Leases, Renewal,
    record::{self, Record},
};
use crate::BucketError;

/// How many objects before the last one are kept, for those who are about to read them.
const KEPT: u64 = 1;

/// A lease that is ours until its deadline. Dropped, it is another's after the deadline; released, at once.
#[derive(Debug)]
pub struct Lease {
    pub(super) leases: Leases,
    pub(super) name: String,
    /// Tells this lease from all others, of the same holder too.
    pub(super) token: String,
    pub(super) since: Timestamp,
    pub(super) previous: Option<Timestamp>,
    /// The number of our last object.
    pub(super) generation: u64,
    pub(super) deadline: Timestamp,
}

/// What comes of creating the next object of a chain.
#[derive(Debug)]
pub(super) enum Created {
    /// It is there, and is ours.
    Ours,
    /// There is one of that number, or was when we tried.
    Taken(Option<Record>),
}

impl Lease {
    /// What it is on.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Until when it is ours.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Whether one before us may have held it after the time `then`, our clocks differing by [`Leases::MARGIN`] at most.
    #[must_use]
    pub fn was_held_after(&self, then: Timestamp) -> bool {
        let margin = |end| record::after(end, Leases::MARGIN);
        self.previous.is_some_and(|end| margin(end) >= then)
    }

    /// Whether it is ours at the time `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        now < self.deadline
    }

    /// Keeps it for the whole duration from `now` on. To be called well before the deadline; later it helps only if
    /// nobody else wanted the lease.
    ///
    /// # Errors
    /// When the bucket cannot be asked. The lease is ours until its deadline as before, and renewing can be tried again.
    pub async fn renew(&mut self, now: Timestamp) -> Result<Renewal, BucketError> {
        let record = self.record(now);
        if !self.advance(&record).await? {
            self.deadline = Timestamp::MIN;
            return Ok(Renewal::Lost);
        }
        self.deadline = record.deadline;
        Ok(Renewal::Renewed)
    }

    /// Lets others have it. Nothing happens to a lease that another took over.
    ///
    /// # Errors
    /// When the bucket cannot be asked: then it may be another's only after its deadline.
    pub async fn release(mut self, now: Timestamp) -> Result<(), BucketError> {
        let record = Record {
            deadline: now,
            released: true,
            ..self.record(now)
        };
        self.advance(&record).await.map(drop)
    }

    pub(super) fn record(&self, now: Timestamp) -> Record {
        Record {
            version: record::VERSION,
            holder: self.leases.0.holder.clone(),
            token: self.token.clone(),
            since: self.since,
            deadline: record::after(now, self.leases.0.duration),
            released: false,
        }
    }

    /// Goes one step on; tells whether the chain still is ours.
    async fn advance(&mut self, record: &Record) -> Result<bool, BucketError> {
        loop {
            match self.create(record).await? {
                Created::Ours => return self.is_last().await,
                // An earlier step that we were told had failed.
                Created::Taken(Some(found)) if found.token == self.token && !found.released => {
                    self.generation = self.generation.saturating_add(1);
                }
                Created::Taken(_) => return Ok(false),
            }
        }
    }

    /// Creates the object after our last one, and looks whose it is where that is not told.
    pub(super) async fn create(&mut self, record: &Record) -> Result<Created, BucketError> {
        let generation = self.generation.saturating_add(1);
        let key = record::key(&self.name, generation);
        let bytes = record.encode();
        let bucket = &self.leases.0.bucket;
        let tried = bucket.put_if_absent(&key, bytes.clone().into()).await;
        if !matches!(tried, Ok(true)) {
            let found = match self.find(&key).await {
                Ok(found) => found,
                // What went wrong first tells more.
                Err(error) => return Err(tried.err().unwrap_or(error)),
            };
            // Else our attempt got through, and its answer did not.
            if found.as_deref() != Some(bytes.as_slice()) {
                tried?;
                let other = found.and_then(|found| Record::decode(&found).ok());
                return Ok(Created::Taken(other));
            }
        }
        self.generation = generation;
        Ok(Created::Ours)
    }

    async fn find(&self, key: &str) -> Result<Option<Bytes>, BucketError> {
        match self.leases.0.bucket.get(key).await {
            Ok(found) => Ok(Some(found)),
            Err(BucketError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the object that we created is the last of its chain; then old ones are deleted, or else that one.
    pub(super) async fn is_last(&self) -> Result<bool, BucketError> {
        let bucket = &self.leases.0.bucket;
        let own = record::key(&self.name, self.generation);
        let chain = self.leases.chain(&self.name).await?;
        let last = chain.last().map(|(generation, _)| *generation);
        if last > Some(self.generation) {
            if let Err(error) = bucket.delete(&own).await {
                tracing::warn!(%error, "a stray object of a lease stays, the next step tries again");
            }
            return Ok(false);
        }
        // Not only one of its name: another that had slept may have created the same number after ours was deleted.
        let found = self.find(&own).await?;
        let found = found.and_then(|found| Record::decode(&found).ok());
        if found.is_none_or(|found| found.token != self.token) {
            return Ok(false);
        }
        let oldest_kept = self.generation.saturating_sub(KEPT);
        for (_, object) in chain.iter().take_while(|(n, _)| *n < oldest_kept) {
            // In their order, and none after one that stays: see the top.
            if let Err(error) = bucket.delete(&object.key).await {
                tracing::warn!(%error, "old objects of a lease stay, the next step tries again");
                break;
            }
        }
        Ok(true)
    }
}
