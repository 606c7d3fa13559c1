//! Pages that are being fetched: whoever wants one of them meanwhile waits for it, and does not fetch it too.

use std::{collections::HashMap, ops::Range, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

/// An object, and where in it a page starts and ends.
type Place = (Arc<str>, u64, u64);

/// What others are fetching.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Place, watch::Receiver<Option<Bytes>>>>);

/// A page that someone else is fetching.
#[derive(Debug)]
pub(super) struct Joined(watch::Receiver<Option<Bytes>>);

/// Pages to be fetched by whom this is given. Dropped, it lets others fetch those that have not arrived.
#[derive(Debug)]
pub(super) struct Departed {
    flights: Arc<Flights>,
    pages: Vec<(Place, watch::Sender<Option<Bytes>>)>,
}

/// Whose a page is.
pub(super) enum Flight {
    /// To be fetched by whoever has asked.
    Own,
    /// Being fetched.
    Joined(Joined),
}

impl Flights {
    /// Says of each page whether it is to be fetched.
    pub(super) fn board(
        self: &Arc<Self>,
        key: &Arc<str>,
        ranges: &[Range<u64>],
    ) -> (Vec<Flight>, Departed) {
        let mut departed = Departed {
            flights: Arc::clone(self),
            pages: Vec::new(),
        };
        let mut flights = self.0.lock();
        let mut board = |range: &Range<u64>| {
            let place = (Arc::clone(key), range.start, range.end);
            if let Some(arriving) = flights.get(&place) {
                return Flight::Joined(Joined(arriving.clone()));
            }
            let (sender, receiver) = watch::channel(None);
            flights.insert(place.clone(), receiver);
            departed.pages.push((place, sender));
            Flight::Own
        };
        let boarded = ranges.iter().map(&mut board).collect();
        (boarded, departed)
    }
}

impl Departed {
    /// Gives the pages to those who wait, in the order in which they are to be fetched.
    pub(super) fn arrived(self, bytes: &[Bytes]) {
        for ((_, sender), bytes) in self.pages.iter().zip(bytes) {
            sender.send_replace(Some(bytes.clone()));
        }
    }
}

impl Drop for Departed {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock();
        for (place, _) in &self.pages {
            flights.remove(place);
        }
    }
}

impl Joined {
    /// The page, once it is there; none if whoever fetched it has given up.
    pub(super) async fn page(mut self) -> Option<Bytes> {
        let arrived = self.0.wait_for(Option::is_some).await;
        arrived.ok().and_then(|bytes| bytes.clone())
    }
}
