//! An S3 server in this process: signed requests over HTTP, objects in memory.
//!
//! Everything between the client and the objects is real; only the disk is not. Conditional writes are atomic, as S3's
//! are and those of some servers for tests are not.

mod api;
mod faults;
mod script;
mod store;

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use bytes::Bytes;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use parking_lot::Mutex;
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use service::Clock;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::faults::{Access, Failure, Fault, Operation, Request, When};
pub use self::script::FaultScript;
use self::{api::Api, faults::Faults, store::Store};

/// The one bucket that there is.
const BUCKET: &str = "varve-test";
const ACCESS_KEY: &str = "access";
const SECRET_KEY: &str = "secret";
const REGION: &str = "eu-central-1";

/// A running server with one bucket. It ends with this value.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    state: Arc<State>,
    _running: DropGuard,
}

/// What requests act on.
#[derive(Debug)]
struct State {
    /// Tells when objects were modified.
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    store: Store,
    faults: Faults,
    log: Vec<Request>,
}

impl S3Server {
    /// Starts a server on a port that the system chooses. `clock` tells when objects were modified.
    ///
    /// # Errors
    /// When the system gives no port.
    pub async fn start(clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let state = Arc::new(State {
            clock,
            inner: Mutex::default(),
        });
        let mut builder = S3ServiceBuilder::new(Api::new(Arc::clone(&state)));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("binding the S3 server")?;
        let address = listener.local_addr().context("address of the S3 server")?;
        let shutdown = CancellationToken::new();
        tokio::spawn(
            shutdown
                .clone()
                .run_until_cancelled_owned(accept(listener, builder.build())),
        );
        Ok(Self {
            address,
            state,
            _running: shutdown.drop_guard(),
        })
    }

    /// Thanos's objstore YAML for the bucket.
    #[must_use]
    pub fn objstore_yaml(&self) -> String {
        self.objstore_yaml_with_secret(SECRET_KEY)
    }

    /// The same with a secret key of the caller's choice.
    #[must_use]
    pub fn objstore_yaml_with_secret(&self, secret: &str) -> String {
        let address = self.address;
        format!(
            "type: S3\nconfig:\n  bucket: {BUCKET}\n  endpoint: {address}\n  region: {REGION}\n  insecure: true\n  \
             access_key: {ACCESS_KEY}\n  secret_key: {secret}\n  bucket_lookup_type: path\n"
        )
    }

    /// The keys of all objects, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.state
            .inner
            .lock()
            .store
            .keys()
            .map(str::to_owned)
            .collect()
    }

    /// The bytes of an object.
    #[must_use]
    pub fn object(&self, key: &str) -> Option<Bytes> {
        self.state
            .inner
            .lock()
            .store
            .get(key)
            .map(|o| o.bytes.clone())
    }

    /// Puts an object behind the clients' backs: neither logged nor subject to faults.
    pub fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        let now = self.state.clock.now_ms();
        self.state.inner.lock().store.put(key, bytes.into(), now);
    }

    /// Removes an object behind the clients' backs, and returns its bytes.
    pub fn remove(&self, key: &str) -> Option<Bytes> {
        self.state.inner.lock().store.remove(key)
    }

    /// How many multipart uploads are neither completed nor aborted.
    #[must_use]
    pub fn unfinished_uploads(&self) -> usize {
        self.state.inner.lock().store.unfinished_uploads()
    }

    /// From now on it takes conditional writes and does them whatever is there, as some servers do.
    pub fn ignore_preconditions(&self) {
        self.state.inner.lock().store.ignores_preconditions = true;
    }

    /// Adds a fault. What it counts, it counts from now on.
    pub fn inject(&self, fault: Fault) {
        self.state.inner.lock().faults.add(fault);
    }

    /// Removes all faults, and says how many requests they hit.
    pub fn heal(&self) -> usize {
        self.state.inner.lock().faults.clear()
    }

    /// The requests since the last call, oldest first.
    pub fn take_log(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.inner.lock().log)
    }
}

/// Serves connections; they end with this future.
async fn accept(listener: TcpListener, service: S3Service) {
    let mut connections = JoinSet::new();
    // A client that cannot be accepted tries again, or its test says so.
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        // Else the end of an answer waits until the client has confirmed its beginning, which takes it 40 ms.
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        connections.spawn(async move {
            let http = auto::Builder::new(TokioExecutor::new());
            // A client that goes away, or a body that is cut off as a fault asks.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
