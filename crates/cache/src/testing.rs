//! A server of memcached for tests.

#![expect(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::panic,
    clippy::unwrap_used,
    missing_debug_implementations,
    reason = "a test may fail by panicking"
)]

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_util::codec::Decoder as _;

use crate::memcached::protocol::{Protocol, Response};

/// What a client reads of `stream`, which comes in pieces of `step` bytes, if it takes values of up to `most` bytes: the
/// values with their keys, nothing for other responses, and the error that ends it.
pub fn responses(
    stream: &[u8],
    most: usize,
    step: usize,
) -> (Vec<Option<(String, Bytes)>>, Option<String>) {
    let mut protocol = Protocol::new();
    protocol.most = most;
    let (mut found, mut buffer) = (Vec::new(), BytesMut::new());
    for piece in stream.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            match protocol.decode(&mut buffer) {
                Ok(Some(Response::Value(key, value))) => found.push(Some((key, value))),
                Ok(Some(_)) => found.push(None),
                Ok(None) => break,
                Err(error) => return (found, Some(error.to_string())),
            }
        }
    }
    (found, None)
}

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As memcached.
    Good,
    /// Takes connections and says nothing.
    Silent,
    /// Answers what no server says.
    Garbled,
}

/// A server of memcached. Its connections end with it.
pub struct Server {
    /// `HOST:PORT`.
    pub address: String,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    values: Mutex<HashMap<String, Vec<u8>>>,
    connections: AtomicUsize,
    /// The number of values.
    kept: watch::Sender<usize>,
}

impl Server {
    /// Starts on a free port.
    pub async fn start(manner: Manner) -> Self {
        Self::start_at("127.0.0.1:0", manner).await
    }

    /// Starts at an address.
    pub async fn start_at(address: &str, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            values: Mutex::default(),
            connections: AtomicUsize::new(0),
            kept: watch::Sender::new(0),
        });
        let (mut tasks, served) = (JoinSet::new(), Arc::clone(&shared));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                served.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, manner, Arc::clone(&served)));
            }
        });
        Self {
            address,
            shared,
            _tasks: tasks,
        }
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many values were kept.
    pub fn kept(&self) -> usize {
        *self.shared.kept.borrow()
    }

    /// The values by their keys.
    pub fn values(&self) -> MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.shared.values.lock()
    }

    /// Waits until so many values were kept.
    pub async fn keeps(&self, values: usize) {
        let mut kept = self.shared.kept.subscribe();
        kept.wait_for(|kept| *kept >= values).await.unwrap();
    }
}

async fn serve(stream: TcpStream, manner: Manner, shared: Arc<Shared>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        let words: Vec<_> = line.split_whitespace().collect();
        let mut answer = Vec::new();
        match words[..] {
            ["get", ref keys @ ..] => {
                let values = shared.values.lock();
                for key in keys {
                    if let Some(value) = values.get(*key) {
                        answer.extend(format!("VALUE {key} 0 {}\r\n", value.len()).bytes());
                        answer.extend(value);
                        answer.extend(b"\r\n");
                    }
                }
                answer.extend(b"END\r\n");
            }
            ["set", key, "0", _ttl, length] => {
                let mut value = vec![0; length.parse::<usize>().unwrap() + 2];
                stream.read_exact(&mut value).await.unwrap();
                value.truncate(value.len() - 2);
                shared.values.lock().insert(key.to_owned(), value);
                shared.kept.send_modify(|kept| *kept += 1);
                answer.extend(b"STORED\r\n");
            }
            _ => panic!("{line}"),
        }
        match manner {
            Manner::Good => stream.write_all(&answer).await.unwrap(),
            Manner::Silent => {}
            Manner::Garbled => stream.write_all(b"VALUE x 0 123456789\r\n").await.unwrap(),
        }
        line.clear();
    }
}
