//! Accepts connections, and TLS on them.

use std::{collections::VecDeque, io, sync::Arc};

use futures::{Stream, stream};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use rustls::ServerConfig;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{ACCEPT_AGAIN, Connection, ConnectionLimits, Gather, Peer, Socket, Transport};
use crate::Metrics;

/// A listener and the handshakes of those that it has accepted.
#[derive(Debug)]
struct Acceptor<F> {
    listener: TcpListener,
    /// The configuration of TLS for the next connection; without one, there is no TLS.
    tls: F,
    server: &'static str,
    limits: ConnectionLimits,
    places: Arc<Semaphore>,
    handshakes: JoinSet<Option<Connection>>,
    /// The same, the oldest first; some may have ended.
    pending: VecDeque<AbortHandle>,
    open: Gauge,
    refused: Counter,
    failed: Counter,
}

/// The connections of clients to `server` (`grpc` or `http`). `tls` gives the configuration of TLS for the next one;
/// without one, it is served without TLS.
pub(crate) fn accept<F>(
    listener: TcpListener,
    server: &'static str,
    limits: ConnectionLimits,
    metrics: &Metrics,
    tls: F,
) -> impl Stream<Item = io::Result<Connection>> + Send + use<F>
where
    F: Fn() -> Option<Arc<ServerConfig>> + Send,
{
    let acceptor = Acceptor {
        listener,
        tls,
        server,
        limits,
        places: Arc::new(Semaphore::new(limits.most.min(Semaphore::MAX_PERMITS))),
        handshakes: JoinSet::new(),
        pending: VecDeque::new(),
        open: metrics.register(
            &format!("varve_{server}_connections"),
            "Number of connections that are open",
            Gauge::default(),
        ),
        refused: metrics.register(
            &format!("varve_{server}_connections_refused_total"),
            "Total number of connections that were refused because too many were open",
            Counter::default(),
        ),
        failed: metrics.register(
            &format!("varve_{server}_tls_handshakes_failed_total"),
            "Total number of connections that were closed because TLS could not be settled",
            Counter::default(),
        ),
    };
    stream::unfold(acceptor, async |mut acceptor| {
        let connection = acceptor.next().await;
        Some((Ok(connection), acceptor))
    })
}

impl<F: Fn() -> Option<Arc<ServerConfig>>> Acceptor<F> {
    async fn next(&mut self) -> Connection {
        loop {
            let accepted = tokio::select! {
                Some(settled) = self.handshakes.join_next() => match settled {
                    Ok(Some(connection)) => return connection,
                    _ => continue,
                },
                accepted = self.listener.accept() => accepted,
            };
            let (tcp, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if concerns_one(&error) => continue,
                Err(error) => {
                    tracing::warn!(%error, server = self.server, "accepting a connection failed");
                    sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                let most = self.limits.most;
                tracing::warn!(server = self.server, %address, most, "too many connections; closing a new one");
                self.refused.inc();
                continue;
            };
            if let Err(error) = tcp.set_nodelay(true) {
                tracing::debug!(%error, %address, "a connection ended before it was used");
                continue;
            }
            let peer = Peer::new(address);
            let socket = Socket::new(tcp, self.limits.write, peer, self.open.clone(), place);
            match (self.tls)() {
                None => {
                    return Connection::new(
                        Transport::Plain(Gather::new(socket)),
                        self.limits.opening,
                    );
                }
                Some(config) => self.settle(socket, config),
            }
        }
    }

    /// Begins a handshake. If there are too many, the oldest is given up: an honest client needs little time.
    fn settle(&mut self, socket: Socket, config: Arc<ServerConfig>) {
        let (server, limits, failed) = (self.server, self.limits, self.failed.clone());
        self.pending.retain(|handshake| !handshake.is_finished());
        while self.pending.len() >= limits.handshakes.max(1) {
            if let Some(oldest) = self.pending.pop_front() {
                tracing::warn!(
                    server,
                    most = limits.handshakes,
                    "too many TLS handshakes; closing the oldest"
                );
                self.refused.inc();
                oldest.abort();
            }
        }
        let handshake = self.handshakes.spawn(async move {
            let address = socket.peer().address();
            let settled = timeout(limits.handshake, TlsAcceptor::from(config).accept(socket));
            let settled = settled.await.unwrap_or_else(|_| {
                Err(super::late(
                    "did not complete the TLS handshake",
                    limits.handshake,
                ))
            });
            match settled {
                Ok(stream) => {
                    let transport = Transport::Tls(Box::new(Gather::new(stream)));
                    Some(Connection::new(transport, limits.opening))
                }
                Err(error) => {
                    failed.inc();
                    // What TLS refuses is told to who runs the server; clients that only leave are not.
                    match error
                        .get_ref()
                        .is_some_and(|cause| cause.is::<rustls::Error>())
                    {
                        true => tracing::warn!(%error, server, %address, "TLS handshake failed"),
                        false => tracing::debug!(%error, server, %address, "TLS handshake ended"),
                    }
                    None
                }
            }
        });
        self.pending.push_back(handshake);
    }
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
