//! Addresses of servers as Thanos writes them, and connections to them.

use std::{collections::BTreeSet, io, net::IpAddr, sync::Arc, time::Duration};

use futures::future::{BoxFuture, FutureExt as _, try_join_all};
use hickory_resolver::{TokioResolver, proto::rr::RData};
use service::{GrpcClientTls, ServiceError, TlsClient, blocking};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{self, TcpStream},
};

/// A connection, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where one or more servers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// The system finds the host when a connection is made.
    Server(Server),
    /// `dns+`: each address of the host is a server.
    Hosts(Server),
    /// `dnssrv+`, `dnssrvnoa+`: SRV records name the servers.
    Service(String),
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Server {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        // Those of an IPv6 address.
        let host = match host.strip_prefix('[') {
            Some(inner) => inner
                .strip_suffix(']')
                .filter(|inner| inner.contains(':'))?,
            None => Some(host).filter(|host| !host.contains(':'))?,
        };
        Some(Self {
            host: Some(host).filter(|host| !host.is_empty())?.to_owned(),
            port: port.parse().ok()?,
        })
    }

    /// For keys and logs.
    pub(crate) fn name(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(_)) => format!("[{}]:{}", self.host, self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}

impl Address {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("dns+") {
            return Server::parse(rest).map(Self::Hosts);
        }
        let service = text.strip_prefix("dnssrv+");
        if let Some(name) = service.or_else(|| text.strip_prefix("dnssrvnoa+")) {
            return (!name.is_empty()).then(|| Self::Service(name.to_owned()));
        }
        Server::parse(text).map(Self::Server)
    }
}

/// The servers of all addresses, in order and each once. The type of the future would be too large for those who wait
/// for it.
///
/// # Errors
/// When one of the addresses cannot be resolved.
pub(crate) fn resolved(addresses: &[Address]) -> BoxFuture<'_, io::Result<Vec<Server>>> {
    async {
        let servers = try_join_all(addresses.iter().map(servers)).await?;
        let servers: BTreeSet<_> = servers.into_iter().flatten().collect();
        Ok(servers.into_iter().collect())
    }
    .boxed()
}

async fn servers(address: &Address) -> io::Result<Vec<Server>> {
    match address {
        Address::Server(server) => Ok(vec![server.clone()]),
        Address::Hosts(Server { host, port }) => {
            let found = net::lookup_host((host.as_str(), *port)).await?;
            let servers = found.map(|address| Server {
                host: address.ip().to_string(),
                port: address.port(),
            });
            Ok(servers.collect())
        }
        Address::Service(name) => {
            let builder = TokioResolver::builder_tokio().map_err(io::Error::other)?;
            let resolver = builder.build().map_err(io::Error::other)?;
            let found = resolver
                .srv_lookup(name.as_str())
                .await
                .map_err(io::Error::other)?;
            let records = found
                .answers()
                .iter()
                .filter_map(|record| match &record.data {
                    RData::SRV(srv) => Some(Server {
                        host: srv.target.to_utf8().trim_end_matches('.').to_owned(),
                        port: srv.port,
                    }),
                    _ => None,
                });
            Ok(records.collect())
        }
    }
}

/// Makes connections. The files of TLS are read for each.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    tls: Option<Arc<GrpcClientTls>>,
}

impl Connector {
    /// # Errors
    /// When a file of TLS cannot be used.
    pub(crate) fn new(tls: Option<&GrpcClientTls>) -> Result<Self, ServiceError> {
        if let Some(tls) = tls {
            TlsClient::open(tls, &[])?;
        }
        Ok(Self {
            tls: tls.cloned().map(Arc::new),
        })
    }

    /// A connection to the server.
    pub(crate) async fn connect(&self, server: &Server) -> io::Result<Box<dyn Stream>> {
        let Server { host, port } = server;
        if let Some(tls) = &self.tls {
            let tls = Arc::clone(tls);
            let client = blocking(move || TlsClient::open(&tls, &[])).await;
            let client = client.map_err(io::Error::other)?;
            return Ok(Box::new(client.connect(host, *port).await?));
        }
        let tcp = TcpStream::connect((host.as_str(), *port)).await?;
        tcp.set_nodelay(true)?;
        Ok(Box::new(tcp))
    }
}

/// The outcome, or an error after so long.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let ended = tokio::time::timeout(limit, work).await;
    ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_thanos() {
        let server = |host: &str, port| Server {
            host: host.to_owned(),
            port,
        };
        for (text, expected) in [
            ("cache:11211", Some(Address::Server(server("cache", 11211)))),
            ("[::1]:11211", Some(Address::Server(server("::1", 11211)))),
            (
                "dns+cache:11211",
                Some(Address::Hosts(server("cache", 11211))),
            ),
            (
                "dnssrv+_client._tcp.cache.ns.svc",
                Some(Address::Service("_client._tcp.cache.ns.svc".to_owned())),
            ),
            (
                "dnssrvnoa+_client._tcp.cache",
                Some(Address::Service("_client._tcp.cache".to_owned())),
            ),
            ("cache", None),
            (":11211", None),
            ("cache:port", None),
            ("::1:11211", None),
            ("dnssrv+", None),
            ("", None),
        ] {
            assert_eq!(Address::parse(text), expected, "{text}");
        }
        assert_eq!(server("::1", 1).name(), "[::1]:1");
        assert_eq!(server("cache", 1).name(), "cache:1");
    }

    #[tokio::test]
    async fn each_server_is_there_once() {
        let addresses = ["127.0.0.1:2", "dns+127.0.0.1:1", "127.0.0.1:2"];
        let addresses: Vec<_> = addresses.iter().filter_map(|a| Address::parse(a)).collect();
        let names: Vec<_> = resolved(&addresses).await.unwrap();
        let names: Vec<_> = names.iter().map(Server::name).collect();
        assert_eq!(names, ["127.0.0.1:1", "127.0.0.1:2"]);
    }
}
