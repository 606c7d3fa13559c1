//! The TCP connection of a client, which is counted, may take no data only for a time, and may be cut.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::FutureExt as _;
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{Peer, late};

/// The TCP connection of a client.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    /// The longest time for which it may take no data.
    limit: Duration,
    /// The deadline while nothing can be written.
    writing: Option<Pin<Box<Sleep>>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    peer: Peer,
    open: Gauge,
    _place: OwnedSemaphorePermit,
}

impl Socket {
    pub(super) fn new(
        tcp: TcpStream,
        limit: Duration,
        peer: Peer,
        open: Gauge,
        place: OwnedSemaphorePermit,
    ) -> Self {
        open.inc();
        Self {
            tcp,
            limit,
            writing: None,
            cut: Box::pin(peer.is_cut()),
            peer,
            open,
            _place: place,
        }
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
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
        let limit = self.limit;
        let waited = self.writing.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waited.poll_unpin(cx));
        Poll::Ready(Err(late("took no data", limit)))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.poll_unpin(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
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

impl Drop for Socket {
    fn drop(&mut self) {
        self.open.dec();
    }
}
