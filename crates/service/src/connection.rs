//! The connections of a server: how many it accepts, and how long a client may send nothing or take nothing.

mod accept;
mod gather;
mod peer;
mod socket;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::FutureExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

pub(crate) use self::{
    accept::accept,
    peer::{Peer, PeerCall},
};
use self::{gather::Gather, socket::Socket};

/// The first bytes of an HTTP/2 client.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Pause after an error that the next attempt would meet too, such as too few file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// Limits of a server's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once; one more is closed. Default: 1000.
    pub most: usize,
    /// Running TLS handshakes at once; one more ends the oldest. Default: 128.
    pub handshakes: usize,
    /// The longest time of a TLS handshake. Default: 10 s.
    pub handshake: Duration,
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

/// A client's connection, after TLS if there is any, that has to be opened in time.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    /// While the client is opening it: the bytes of the preface so far, and its deadline.
    opening: Option<(usize, Pin<Box<Sleep>>)>,
    /// The longest time of that.
    limit: Duration,
}

/// What carries the bytes of HTTP.
#[derive(Debug)]
enum Transport {
    Plain(Gather<Socket>),
    Tls(Box<Gather<TlsStream<Socket>>>),
}

impl Connection {
    fn new(transport: Transport, limit: Duration) -> Self {
        Self {
            transport,
            opening: Some((0, Box::pin(sleep(limit)))),
            limit,
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
        let before = buf.filled().len();
        let read = match &mut me.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        match read {
            Poll::Pending => match &mut me.opening {
                Some((_, deadline)) => {
                    ready!(deadline.poll_unpin(cx));
                    Poll::Ready(Err(late("did not open the connection", me.limit)))
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
        match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(socket) => socket.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        match &self.transport {
            Transport::Plain(socket) => socket.get_ref().peer().clone(),
            Transport::Tls(stream) => stream.get_ref().get_ref().0.peer().clone(),
        }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            most: 1000,
            handshakes: 128,
            handshake: Duration::from_secs(10),
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
