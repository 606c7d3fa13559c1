//! A lease that is held, step by step.

use bytes::Bytes;
use futures::future::BoxFuture;
use model::Timestamp;

use super::{
    Leases, Renewal,
    record::{self, Record},
};
use crate::BucketError;

/// Objects before the last one that are kept for concurrent readers.
const KEPT: u64 = 1;

/// A lease that is held until its deadline. After it is dropped, another may acquire it after the deadline; after it
/// is released, at once.
#[derive(Debug)]
pub struct Lease {
    pub(super) leases: Leases,
    pub(super) name: String,
    /// Identifies this lease among all others, also those of the same holder.
    pub(super) token: String,
    pub(super) since: Timestamp,
    pub(super) previous: Option<Timestamp>,
    /// The number of our last object.
    pub(super) generation: u64,
    pub(super) deadline: Timestamp,
}

/// The outcome of creating the next object of a chain.
#[derive(Debug)]
pub(super) enum Created {
    /// It exists and is ours.
    Ours,
    /// An object of that number exists, or existed at our attempt.
    Taken(Option<Record>),
}

impl Lease {
    /// The name of what is leased.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The deadline.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Whether a former holder may have had it after the time `then`, if clocks differ by [`Leases::MARGIN`] at most.
    #[must_use]
    pub fn was_held_after(&self, then: Timestamp) -> bool {
        let margin = |end| record::after(end, Leases::MARGIN);
        self.previous.is_some_and(|end| margin(end) >= then)
    }

    /// Whether it is held at the time `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        now < self.deadline
    }

    /// Renews it for the whole duration from `now`. Call it well before the deadline; afterwards it succeeds only if
    /// nobody else took the lease.
    ///
    /// # Errors
    /// When the bucket fails. The lease is held until its deadline as before, and renewing can be tried again.
    pub fn renew(&mut self, now: Timestamp) -> BoxFuture<'_, Result<Renewal, BucketError>> {
        Box::pin(async move {
            let record = self.record(now);
            if !self.advance(&record).await? {
                self.deadline = Timestamp::MIN;
                return Ok(Renewal::Lost);
            }
            self.deadline = record.deadline;
            Ok(Renewal::Renewed)
        })
    }

    /// Releases the lease. A lease that another took over is not touched.
    ///
    /// # Errors
    /// When the bucket fails: then others may acquire it only after its deadline.
    pub fn release(mut self, now: Timestamp) -> BoxFuture<'static, Result<(), BucketError>> {
        Box::pin(async move {
            let record = Record {
                deadline: now,
                released: true,
                ..self.record(now)
            };
            self.advance(&record).await.map(drop)
        })
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

    /// Takes the next step; returns whether the chain is still ours.
    async fn advance(&mut self, record: &Record) -> Result<bool, BucketError> {
        loop {
            match self.create(record).await? {
                Created::Ours => return self.is_last().await,
                // An earlier step that was reported as failed.
                Created::Taken(Some(found)) if found.token == self.token && !found.released => {
                    self.generation = self.generation.saturating_add(1);
                }
                Created::Taken(_) => return Ok(false),
            }
        }
    }

    /// Creates the object after our last one, and finds out whose it is if the answer does not say.
    pub(super) async fn create(&mut self, record: &Record) -> Result<Created, BucketError> {
        let generation = self.generation.saturating_add(1);
        let key = record::key(&self.name, generation);
        let bytes = record.encode();
        let bucket = &self.leases.0.bucket;
        let tried = bucket.put_if_absent(&key, bytes.clone().into()).await;
        if !matches!(tried, Ok(true)) {
            let found = match self.find(&key).await {
                Ok(found) => found,
                // The first error says more.
                Err(error) => return Err(tried.err().unwrap_or(error)),
            };
            // Otherwise our attempt succeeded, and its answer was lost.
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

    /// Whether the object that we created is the last of its chain. If so, old ones are deleted; if not, that one.
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
        // The name alone proves nothing: another that had slept may have created the same number after ours was
        // deleted.
        let found = self.find(&own).await?;
        let found = found.and_then(|found| Record::decode(&found).ok());
        if found.is_none_or(|found| found.token != self.token) {
            return Ok(false);
        }
        let oldest_kept = self.generation.saturating_sub(KEPT);
        for (_, object) in chain.iter().take_while(|(n, _)| *n < oldest_kept) {
            // In order, and none after one that stays: see the top.
            if let Err(error) = bucket.delete(&object.key).await {
                tracing::warn!(%error, "old objects of a lease stay, the next step tries again");
                break;
            }
        }
        Ok(true)
    }
}
