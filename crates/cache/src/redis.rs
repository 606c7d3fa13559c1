//! A server of Redis, or the one that sentinels name.

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use redis::{
    AsyncConnectionConfig, RedisConnectionInfo, RedisError, aio::MultiplexedConnection, cmd, pipe,
};
use service::ServiceError;
use tokio::sync::{Mutex, Semaphore};

use crate::{
    config::RedisConfig,
    connect::{Address, Connector, Server, resolved, within},
    metrics::{ClientMetrics, Operation},
    remote::{Guard, Item, Wanted},
};

pub(crate) struct Redis {
    config: RedisConfig,
    addresses: Vec<Address>,
    connector: Connector,
    ttl: Duration,
    guard: Guard,
    lookups: Semaphore,
    /// Requests share it.
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Redis {
    /// Connects when it is used.
    ///
    /// # Errors
    /// When a file of TLS cannot be used.
    pub(crate) fn open(
        config: RedisConfig,
        ttl: Duration,
        metrics: ClientMetrics,
    ) -> Result<Self, ServiceError> {
        let addresses = config.addresses.iter().filter_map(|a| Address::parse(a));
        Ok(Self {
            addresses: addresses.collect(),
            connector: Connector::new(config.tls.as_ref())?,
            ttl,
            guard: Guard::new(&config.addresses.join(","), config.limits.breaker, metrics),
            lookups: Semaphore::new(config.limits.lookups),
            connection: Mutex::default(),
            config,
        })
    }

    /// The values that are there.
    pub(crate) async fn get(&self, wanted: &[Wanted<'_>]) -> Vec<Option<Bytes>> {
        let most = match self.config.limits.lookup_keys {
            0 => usize::MAX,
            most => most,
        };
        let lookups = wanted.chunks(most).map(|wanted| async move {
            let mut command = cmd("MGET");
            for one in wanted {
                command.arg(self.key(one.key));
            }
            let work = async {
                let permit = self.lookups.acquire().await;
                debug_assert!(permit.is_ok(), "the semaphore is never closed");
                let mut connection = self.connected().await?;
                let found = command.query_async(&mut connection).await;
                let found: Vec<Option<Bytes>> = found.map_err(failed)?;
                let bytes = found.iter().flatten().map(Bytes::len).sum();
                Ok((found, bytes))
            };
            let found = self
                .run(Operation::Get, self.config.read_timeout, work)
                .await;
            let mut found = found.unwrap_or_default();
            found.resize(wanted.len(), None);
            found
        });
        join_all(lookups).await.concat()
    }

    /// Keeps the items, as far as that works.
    pub(crate) async fn set(&self, items: &[Item]) {
        for items in items.chunks(self.config.write_keys) {
            let mut pipeline = pipe();
            for item in items {
                let mut set = cmd("SET");
                set.arg(self.key(&item.key)).arg(&item.value[..]);
                set.arg("EX").arg(self.ttl.as_secs().max(1));
                pipeline.add_command(set).ignore();
            }
            let work = async {
                let mut connection = self.connected().await?;
                let done: Result<(), _> = pipeline.query_async(&mut connection).await;
                done.map_err(failed)?;
                Ok(((), items.iter().map(|item| item.value.len()).sum()))
            };
            self.run(Operation::Set, self.config.write_timeout, work)
                .await;
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.config.prefix)
    }

    /// After a failure, which may be that there was no answer in time, the next request connects anew.
    async fn run<T>(
        &self,
        operation: Operation,
        limit: Duration,
        work: impl Future<Output = io::Result<(T, usize)>>,
    ) -> Option<T> {
        let done = self.guard.run(operation, limit, work).await;
        // Whoever holds it connects anew already.
        if done.is_none()
            && let Ok(mut connection) = self.connection.try_lock()
        {
            *connection = None;
        }
        done
    }

    async fn connected(&self) -> io::Result<MultiplexedConnection> {
        let mut connection = self.connection.lock().await;
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        let new = within(self.config.dial_timeout, self.connect()).await?;
        *connection = Some(new.clone());
        Ok(new)
    }

    /// A connection to the first server that can be reached, or to that which a sentinel names.
    async fn connect(&self) -> io::Result<MultiplexedConnection> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for server in resolved(&self.addresses).await? {
            let found = match &self.config.master_name {
                None => self.connect_to(&server, self.settings()).await,
                Some(name) => match self.master(&server, name).await {
                    Ok(master) => self.connect_to(&master, self.settings()).await,
                    Err(error) => Err(error),
                },
            };
            match found {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Asks a sentinel.
    async fn master(&self, sentinel: &Server, name: &str) -> io::Result<Server> {
        let mut connection = self
            .connect_to(sentinel, RedisConnectionInfo::default())
            .await?;
        let mut ask = cmd("SENTINEL");
        ask.arg("get-master-addr-by-name").arg(name);
        let answer = ask.query_async(&mut connection).await;
        let answer: Option<(String, u16)> = answer.map_err(failed)?;
        let (host, port) = answer.ok_or_else(|| {
            let text = format!("the sentinel {} knows no master {name:?}", sentinel.name());
            io::Error::new(io::ErrorKind::NotFound, text)
        })?;
        Ok(Server { host, port })
    }

    fn settings(&self) -> RedisConnectionInfo {
        let RedisConfig {
            username,
            password,
            db,
            ..
        } = &self.config;
        let mut settings = RedisConnectionInfo::default().set_db(*db);
        if let Some(username) = username {
            settings = settings.set_username(username);
        }
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        settings
    }

    async fn connect_to(
        &self,
        server: &Server,
        settings: RedisConnectionInfo,
    ) -> io::Result<MultiplexedConnection> {
        let stream = self.connector.connect(server).await?;
        let settings = settings.set_skip_set_lib_name();
        // The time of each request is bounded by its caller.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let made = MultiplexedConnection::new_with_config(&settings, stream, config).await;
        let (connection, driver) = made.map_err(failed)?;
        // It ends with the last clone of the connection.
        tokio::spawn(driver);
        Ok(connection)
    }
}

fn failed(error: RedisError) -> io::Error {
    io::Error::other(error)
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
