//! The connections of a server: how many it accepts, and how long a client may send nothing or take nothing.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{FutureExt as _, Stream, stream};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use crate::Metrics;

/// The first bytes of an HTTP/2 client.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Pause after an error that the next attempt would meet too, such as too few file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// Limits of a server's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once; one more is closed. Default: 1000.
    pub most: usize,
    /// The longest time until the first byte of HTTP/1 or the whole preface of HTTP/2. Default: 30 s.
    pub opening: Duration,
    /// The longest time for which a client's TCP may take no data. Default: 1 m.
    pub write: Duration,
    /// The silence after which an HTTP/2 client gets a ping. Default: 1 m.
    pub keepalive_interval: Duration,
    /// The longest time until it answers the ping. Default: 20 s.
    pub keepalive_timeout: Duration,
    /// Calls that an HTTP/2 client may make at once. Default: 250.
    pub streams: u32,
}

/// A client's connection with its time limits.
#[derive(Debug)]
pub(crate) struct Connection {
    tcp: TcpStream,
    limits: ConnectionLimits,
    /// While the client is opening it: the bytes of the preface so far, and its deadline.
    opening: Option<(usize, Pin<Box<Sleep>>)>,
    /// The deadline while nothing can be written.
    writing: Option<Pin<Box<Sleep>>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    peer: Peer,
    open: Gauge,
    _place: OwnedSemaphorePermit,
}

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

/// The connections of clients to `server` (`grpc` or `http`).
pub(crate) fn accept(
    listener: TcpListener,
    server: &'static str,
    limits: ConnectionLimits,
    metrics: &Metrics,
) -> impl Stream<Item = io::Result<Connection>> + Send + use<> {
    let places = Arc::new(Semaphore::new(limits.most.min(Semaphore::MAX_PERMITS)));
    let open: Gauge = metrics.register(
        &format!("varve_{server}_connections"),
        "Number of connections that are open",
        Gauge::default(),
    );
    let refused: Counter = metrics.register(
        &format!("varve_{server}_connections_refused_total"),
        "Total number of connections that were refused because too many were open",
        Counter::default(),
    );
    stream::unfold(listener, move |listener| {
        let (places, open, refused) = (Arc::clone(&places), open.clone(), refused.clone());
        async move {
            loop {
                let (tcp, address) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) if concerns_one(&error) => continue,
                    Err(error) => {
                        tracing::warn!(%error, server, "accepting a connection failed");
                        sleep(ACCEPT_AGAIN).await;
                        continue;
                    }
                };
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    let most = limits.most;
                    tracing::warn!(server, %address, most, "too many connections; closing a new one");
                    refused.inc();
                    continue;
                };
                let connection = tcp.set_nodelay(true).map(|()| {
                    Connection::new(tcp, limits, Peer::new(address), open.clone(), place)
                });
                return Some((connection, listener));
            }
        }
    })
}

/// Whether accepting the next connection may succeed.
fn concerns_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

impl Connection {
    fn new(
        tcp: TcpStream,
        limits: ConnectionLimits,
        peer: Peer,
        open: Gauge,
        place: OwnedSemaphorePermit,
    ) -> Self {
        open.inc();
        Self {
            tcp,
            limits,
            opening: Some((0, Box::pin(sleep(limits.opening)))),
            writing: None,
            cut: Box::pin(peer.0.cut.clone().cancelled_owned()),
            peer,
            open,
            _place: place,
        }
    }

    /// Counts the bytes that a client sends while it is opening the connection.
    fn came(&mut self, bytes: &[u8]) {
        if let Some((known, _)) = &mut self.opening {
            let expected = PREFACE.get(*known..).unwrap_or_default();
            let same = bytes.iter().zip(expected).take_while(|(a, b)| a == b);
            let same = same.count();
            *known += same;
            // The preface is complete, or it is not HTTP/2: the server has its own limits.
            if *known == PREFACE.len() || same < bytes.len() {
                self.opening = None;
            }
        }
    }

    fn written(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if polled.is_ready() {
            self.writing = None;
            return polled;
        }
        let limit = self.limits.write;
        let waited = self.writing.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waited.poll_unpin(cx));
        Poll::Ready(Err(late("took no data", limit)))
    }
}

fn late(what: &str, limit: Duration) -> io::Error {
    let text = format!("the client {what} for {limit:?}");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if me.cut.poll_unpin(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut me.tcp).poll_read(cx, buf) {
            Poll::Pending => match &mut me.opening {
                Some((_, deadline)) => {
                    ready!(deadline.poll_unpin(cx));
                    Poll::Ready(Err(late("did not open the connection", me.limits.opening)))
                }
                None => Poll::Pending,
            },
            read => {
                me.came(buf.filled().get(before..).unwrap_or_default());
                read
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.written(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl Peer {
    fn new(address: SocketAddr) -> Self {
        Self(Arc::new(PeerState {
            address,
            calls: AtomicUsize::new(0),
            stalled: AtomicUsize::new(0),
            cut: CancellationToken::new(),
        }))
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

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            most: 1000,
            opening: Duration::from_secs(30),
            write: Duration::from_mins(1),
            keepalive_interval: Duration::from_mins(1),
            keepalive_timeout: Duration::from_secs(20),
            streams: 250,
        }
    }
}

#[cfg(test)]
mod tests;
