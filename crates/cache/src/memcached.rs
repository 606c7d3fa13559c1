//! Servers of memcached. Each key is on the server that has the highest hash with it, so that a server that comes or
//! goes moves no key between the others.

pub(crate) mod protocol;

use std::{
    collections::HashMap,
    fmt, io,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _, future::join_all};
use parking_lot::Mutex;
use service::ServiceError;
use tokio::{sync::Semaphore, time};
use tokio_util::codec::Framed;
use tracing::{debug, warn};
use xxhash_rust::xxh64::xxh64;

use self::protocol::{Protocol, Request, Response};
use crate::{
    config::MemcachedConfig,
    connect::{self, Address, Connector, Server, Stream},
    metrics::{ClientMetrics, Operation},
    remote::{Guard, Item, Wanted},
};

type Connection = Framed<Box<dyn Stream>, Protocol>;

/// All servers.
#[derive(Debug)]
pub(crate) struct Memcached(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: MemcachedConfig,
    addresses: Vec<Address>,
    connector: Connector,
    metrics: ClientMetrics,
    ttl: Duration,
    /// Replaced when the addresses resolve to others.
    nodes: Mutex<Arc<[Arc<Node>]>>,
    lookups: Semaphore,
}

/// One server.
struct Node {
    server: Server,
    name: String,
    /// Of its name.
    hash: u64,
    guard: Guard,
    idle: Mutex<Vec<Connection>>,
}

/// What is asked of one server.
#[derive(Clone, Copy)]
enum Exchange<'a> {
    /// The values of keys, none longer than so many bytes.
    Get(&'a [&'a str], usize),
    /// Items, and for how many seconds to keep them.
    Set(&'a [&'a Item], u64),
}

impl Memcached {
    /// Its servers are found in the background.
    ///
    /// # Errors
    /// When a file of TLS cannot be used.
    pub(crate) fn open(
        config: MemcachedConfig,
        ttl: Duration,
        metrics: ClientMetrics,
    ) -> Result<Self, ServiceError> {
        let connector = Connector::new(config.tls.as_ref())?;
        let addresses = config.addresses.iter().filter_map(|a| Address::parse(a));
        let shared = Arc::new(Shared {
            addresses: addresses.collect(),
            connector,
            metrics,
            ttl,
            nodes: Mutex::new(Arc::new([])),
            lookups: Semaphore::new(config.limits.lookups),
            config,
        });
        tokio::spawn(resolve(Arc::downgrade(&shared), shared.config.dns_interval));
        Ok(Self(shared))
    }

    /// The values that are there.
    pub(crate) async fn get(&self, wanted: &[Wanted<'_>]) -> Vec<Option<Bytes>> {
        let shared = &*self.0;
        let mut found = vec![None; wanted.len()];
        let by_node = shared.by_node(wanted.iter().map(|one| one.key));
        let most = match shared.config.limits.lookup_keys {
            0 => usize::MAX,
            most => most,
        };
        let lookups = by_node.iter().flat_map(|(node, places)| {
            places.chunks(most).map(move |places| async move {
                let wanted = places.iter().filter_map(|i| wanted.get(*i));
                let values = shared.lookup(node, &wanted.collect::<Vec<_>>()).await;
                (places, values)
            })
        });
        for (places, mut values) in join_all(lookups).await {
            for i in places {
                let value = wanted.get(*i).and_then(|one| values.remove(one.key));
                if let Some(slot) = found.get_mut(*i) {
                    *slot = value;
                }
            }
        }
        found
    }

    /// Keeps the items, as far as that works.
    pub(crate) async fn set(&self, items: &[Item]) {
        let shared = &*self.0;
        let by_node = shared.by_node(items.iter().map(|item| item.key.as_str()));
        let writes = by_node.iter().map(|(node, places)| async move {
            let items: Vec<_> = places.iter().filter_map(|i| items.get(*i)).collect();
            let bytes = items.iter().map(|item| item.value.len()).sum();
            let exchange = Exchange::Set(&items, shared.ttl.as_secs());
            let work = async {
                node.exchange(shared, exchange).await?;
                Ok(((), bytes))
            };
            let limit = shared.config.timeout;
            node.guard.run(Operation::Set, limit, work).await;
        });
        join_all(writes).await;
    }
}

impl Shared {
    /// The places of keys, by server.
    fn by_node<'k>(&self, keys: impl Iterator<Item = &'k str>) -> Vec<(Arc<Node>, Vec<usize>)> {
        let nodes = Arc::clone(&self.nodes.lock());
        let mut places = vec![Vec::new(); nodes.len()];
        for (i, key) in keys.enumerate() {
            let best = (0..)
                .zip(nodes.iter())
                .max_by_key(|(_, node)| xxh64(key.as_bytes(), node.hash));
            if let Some(places) = best.and_then(|(best, _): (usize, _)| places.get_mut(best)) {
                places.push(i);
            }
        }
        let by_node = nodes.iter().cloned().zip(places);
        by_node.filter(|(_, places)| !places.is_empty()).collect()
    }

    async fn lookup(&self, node: &Node, wanted: &[&Wanted<'_>]) -> HashMap<String, Bytes> {
        let keys: Vec<_> = wanted.iter().map(|one| one.key).collect();
        let most = wanted
            .iter()
            .map(|one| one.length)
            .max()
            .unwrap_or_default();
        let work = async {
            let permit = self.lookups.acquire().await;
            debug_assert!(permit.is_ok(), "the semaphore is never closed");
            let values = node.exchange(self, Exchange::Get(&keys, most)).await?;
            let bytes = values.values().map(Bytes::len).sum();
            Ok((values, bytes))
        };
        let done = node
            .guard
            .run(Operation::Get, self.config.timeout, work)
            .await;
        done.unwrap_or_default()
    }

    /// Takes over the servers that were found. Those that stay keep their connections.
    fn found(&self, servers: &[Server]) {
        let mut nodes = self.nodes.lock();
        let same = |node: &Arc<Node>, server: &Server| node.server == *server;
        if nodes.len() == servers.len()
            && nodes
                .iter()
                .zip(servers)
                .all(|(node, server)| same(node, server))
        {
            return;
        }
        let new = servers.iter().map(|server| {
            let known = nodes.iter().find(|node| same(node, server));
            known
                .cloned()
                .unwrap_or_else(|| Arc::new(Node::new(server, self)))
        });
        let new: Arc<[_]> = new.collect();
        let names: Vec<_> = new.iter().map(|node| node.name.as_str()).collect();
        debug!(servers = names.join(","), "servers of memcached");
        *nodes = new;
    }
}

impl Node {
    fn new(server: &Server, shared: &Shared) -> Self {
        let name = server.name();
        Self {
            hash: xxh64(name.as_bytes(), 0),
            guard: Guard::new(&name, shared.config.limits.breaker, shared.metrics.clone()),
            server: server.clone(),
            name,
            idle: Mutex::default(),
        }
    }

    /// Asks on an idle connection or a new one. If an idle one has failed, its server may have been started again: so it
    /// is asked once more on a new one.
    async fn exchange(
        &self,
        shared: &Shared,
        exchange: Exchange<'_>,
    ) -> io::Result<HashMap<String, Bytes>> {
        let idle = self.idle.lock().pop();
        if let Some(mut connection) = idle {
            match exchange.on(&mut connection).await {
                Ok(values) => {
                    self.give_back(connection, shared);
                    return Ok(values);
                }
                Err(_) => self.idle.lock().clear(),
            }
        }
        let stream = shared.connector.connect(&self.server).await?;
        let mut connection = Framed::new(stream, Protocol::new());
        let values = exchange.on(&mut connection).await?;
        self.give_back(connection, shared);
        Ok(values)
    }

    fn give_back(&self, connection: Connection, shared: &Shared) {
        let mut idle = self.idle.lock();
        if connection.read_buffer().is_empty() && idle.len() < shared.config.idle_connections {
            idle.push(connection);
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Exchange<'_> {
    /// Asks, and reads the whole answer; of keys, their values.
    async fn on(self, connection: &mut Connection) -> io::Result<HashMap<String, Bytes>> {
        let mut values = HashMap::new();
        match self {
            Self::Get(keys, most) => {
                connection.codec_mut().most = most;
                connection.send(Request::Get(keys)).await?;
                loop {
                    match next(connection).await? {
                        Response::Value(key, value) => drop(values.insert(key, value)),
                        Response::End => return Ok(values),
                        other => return Err(unexpected(&other)),
                    }
                }
            }
            Self::Set(items, ttl_seconds) => {
                for item in items {
                    let request = Request::Set {
                        key: &item.key,
                        value: &item.value,
                        ttl_seconds,
                    };
                    connection.feed(request).await?;
                }
                connection.flush().await?;
                for _ in items {
                    match next(connection).await? {
                        Response::Stored | Response::NotStored => {}
                        other => return Err(unexpected(&other)),
                    }
                }
                Ok(values)
            }
        }
    }
}

/// Finds the servers again and again, as long as there is someone who wants them.
async fn resolve(shared: Weak<Shared>, interval: Duration) {
    loop {
        let Some(strong) = shared.upgrade() else {
            return;
        };
        match connect::resolved(&strong.addresses).await {
            Ok(servers) => strong.found(&servers),
            Err(error) => warn!(
                addresses = strong.config.addresses.join(","),
                %error,
                "resolving the addresses of memcached; those known before stay"
            ),
        }
        drop(strong);
        time::sleep(interval).await;
    }
}

async fn next(connection: &mut Connection) -> io::Result<Response> {
    let next = connection.next().await;
    next.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
}

fn unexpected(response: &Response) -> io::Error {
    let name = match response {
        Response::Value(..) => "VALUE",
        Response::End => "END",
        Response::Stored => "STORED",
        Response::NotStored => "NOT_STORED",
    };
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{name} was not expected here"),
    )
}
