//! Reads and puts that wait until a test lets them go on.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

/// The held reads of one object, or all held puts. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct Held(Arc<Hold>);

#[derive(Debug)]
struct Hold {
    passes: Semaphore,
    counts: watch::Sender<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    begun: usize,
    held: usize,
    most_held: usize,
}

/// One that waits.
struct Waiting<'a>(&'a Hold);

impl Held {
    pub(super) fn new() -> Self {
        Self(Arc::new(Hold {
            passes: Semaphore::new(0),
            counts: watch::Sender::default(),
        }))
    }

    /// Waits until so many have begun, with those that went on.
    pub async fn begun(&self, count: usize) {
        let mut counts = self.0.counts.subscribe();
        // The sender is as long there as this is.
        let _ = counts.wait_for(|counts| counts.begun >= count).await;
    }

    /// Lets the next `count` reads go on, in the order in which they began.
    pub fn release(&self, count: usize) {
        self.0.passes.add_permits(count);
    }

    /// The most reads that were held at once.
    #[must_use]
    pub fn most_held(&self) -> usize {
        self.0.counts.borrow().most_held
    }

    /// Holds one.
    pub(super) async fn hold(&self) {
        self.0.counts.send_modify(|counts| {
            counts.begun += 1;
            counts.held += 1;
            counts.most_held = counts.most_held.max(counts.held);
        });
        let _waiting = Waiting(&self.0);
        if let Ok(pass) = self.0.passes.acquire().await {
            pass.forget();
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.counts.send_modify(|counts| counts.held -= 1);
    }
}
