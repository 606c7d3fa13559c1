//! The client of a connection, for those who answer its calls.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::Extensions;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::TlsConnectInfo;

/// The client of a connection, for those who answer its calls.
#[derive(Clone, Debug)]
pub(crate) struct Peer(Arc<PeerState>);

#[derive(Debug)]
struct PeerState {
    address: SocketAddr,
    /// Running calls.
    calls: AtomicUsize,
    /// Those of them that were given up because the client takes no data.
    stalled: AtomicUsize,
    cut: CancellationToken,
}

/// A running call.
#[derive(Debug)]
pub(crate) struct PeerCall {
    peer: Peer,
    stalled: bool,
}

impl Peer {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self(Arc::new(PeerState {
            address,
            calls: AtomicUsize::new(0),
            stalled: AtomicUsize::new(0),
            cut: CancellationToken::new(),
        }))
    }

    /// Ends when the connection is to be closed.
    pub(super) fn is_cut(&self) -> WaitForCancellationFutureOwned {
        self.0.cut.clone().cancelled_owned()
    }

    /// The client of a request, with TLS or without.
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        let tls = || extensions.get::<TlsConnectInfo<Self>>();
        let peer = extensions.get::<Self>();
        peer.or_else(|| tls().map(TlsConnectInfo::get_ref))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Counts a call until the returned value is dropped.
    pub(crate) fn call(&self) -> PeerCall {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        PeerCall {
            peer: self.clone(),
            stalled: false,
        }
    }
}

impl PeerCall {
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The call was given up, as the client takes no data.
    pub(crate) fn stalled(&mut self) {
        if !self.stalled {
            self.stalled = true;
            self.peer.0.stalled.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Closes the connection if all its calls were given up; returns whether it did.
    pub(crate) fn cut(&self) -> bool {
        let PeerState {
            calls,
            stalled,
            cut,
            ..
        } = &*self.peer.0;
        let all = stalled.load(Ordering::Relaxed) >= calls.load(Ordering::Relaxed);
        if all {
            cut.cancel();
        }
        all
    }
}

impl Drop for PeerCall {
    fn drop(&mut self) {
        if self.stalled {
            self.peer.0.stalled.fetch_sub(1, Ordering::Relaxed);
        }
        self.peer.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}
