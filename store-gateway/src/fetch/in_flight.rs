//! The pages being fetched. Each is fetched once; all others who want it wait.

use std::{collections::HashMap, ops::Range, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::pages::PageKey;

/// The pages being fetched.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<HashMap<PageKey, watch::Receiver<Option<Bytes>>>>);

/// A page that another request fetches.
#[derive(Debug)]
pub(super) struct Awaited(watch::Receiver<Option<Bytes>>);

/// Pages that the owner of this value must fetch. When it is dropped, others may fetch those that have not arrived.
#[derive(Debug)]
pub(super) struct ClaimedPages {
    in_flight: Arc<InFlight>,
    pages: Vec<(PageKey, watch::Sender<Option<Bytes>>)>,
}

/// Who fetches a page.
pub(super) enum Claim {
    /// The caller.
    Own,
    /// Another request.
    Other(Awaited),
}

impl InFlight {
    /// Claims those of the pages that nobody else fetches.
    pub(super) fn claim(
        self: &Arc<Self>,
        key: &Arc<str>,
        ranges: &[Range<u64>],
    ) -> (Vec<Claim>, ClaimedPages) {
        let mut claimed = ClaimedPages {
            in_flight: Arc::clone(self),
            pages: Vec::new(),
        };
        let mut in_flight = self.0.lock();
        let mut claim = |range: &Range<u64>| {
            let page = PageKey::new(key, range);
            if let Some(arriving) = in_flight.get(&page) {
                return Claim::Other(Awaited(arriving.clone()));
            }
            let (sender, receiver) = watch::channel(None);
            in_flight.insert(page.clone(), receiver);
            claimed.pages.push((page, sender));
            Claim::Own
        };
        let claims = ranges.iter().map(&mut claim).collect();
        (claims, claimed)
    }
}

impl ClaimedPages {
    /// Gives the pages to those who wait. `bytes` are in the order in which the pages were claimed.
    pub(super) fn arrived(self, bytes: &[Bytes]) {
        for ((_, sender), bytes) in self.pages.iter().zip(bytes) {
            sender.send_replace(Some(bytes.clone()));
        }
    }
}

impl Drop for ClaimedPages {
    fn drop(&mut self) {
        let mut in_flight = self.in_flight.0.lock();
        for (page, _) in &self.pages {
            in_flight.remove(page);
        }
    }
}

impl Awaited {
    /// The page, once it is there; `None` if the request that fetched it has failed or was dropped.
    pub(super) async fn page(mut self) -> Option<Bytes> {
        let arrived = self.0.wait_for(Option::is_some).await;
        arrived.ok().and_then(|bytes| bytes.clone())
    }
}
