//! The thread that reads the answers to remote reads.
//!
//! Prometheus sends each series by itself, and whoever waits for its connection is woken for each: for a long answer
//! that is more work than all the rest. This thread has a runtime and connections of its own, and while a long answer
//! comes, it sleeps for a moment before it waits for more. Other answers wait as long; nothing else in the process
//! does.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use reqwest::{Response, header::CONTENT_TYPE};
use service::HttpClientError;
use tokio::{
    runtime::{Builder, Handle},
    sync::{mpsc, oneshot},
    task,
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, Span};

use crate::SidecarError;

/// How long the thread sleeps before it waits while a long answer comes.
const PAUSE: Duration = Duration::from_millis(3);
/// How long an answer takes to be long.
const LONG: Duration = Duration::from_millis(5);
/// The most bytes that are given at once, but for the last piece.
const PART: usize = 512 << 10;

/// Clones share the thread, which ends with the last of them.
#[derive(Clone, Debug)]
pub(super) struct ReadThread {
    runtime: Handle,
    /// How many long answers come at the moment.
    long: Arc<AtomicUsize>,
    _end: Arc<oneshot::Sender<()>>,
}

/// An answer to a remote read, which is read ahead by one part. Dropping it ends the reading.
#[derive(Debug)]
pub(crate) struct ReadAnswer {
    url: String,
    content_type: String,
    parts: mpsc::Receiver<Result<Part, SidecarError>>,
    _reading: AbortOnDropHandle<()>,
}

/// A part of an answer.
#[derive(Debug)]
pub(crate) struct Part {
    /// The next bytes, in pieces.
    pub(crate) bytes: Vec<Bytes>,
    /// Whether nothing follows.
    pub(crate) is_last: bool,
}

/// A long answer that comes.
struct Long(Arc<AtomicUsize>);

impl ReadThread {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Self> {
        let long = Arc::new(AtomicUsize::new(0));
        let comes = Arc::clone(&long);
        let pause = move || {
            if comes.load(Ordering::Relaxed) > 0 {
                thread::sleep(PAUSE);
            }
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_park(pause)
            .build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("remote-read".to_owned());
        // An error is what is waited for: that the sender is gone.
        thread.spawn(move || runtime.block_on(ended).is_err())?;
        Ok(Self {
            runtime: handle,
            long,
            _end: Arc::new(end),
        })
    }

    /// The answer whose head `ask` waits for. The span lasts until all of it has come.
    ///
    /// # Errors
    /// As `ask`.
    pub(super) async fn read(
        &self,
        url: String,
        ask: impl Future<Output = Result<Response, SidecarError>> + Send + 'static,
        span: Span,
    ) -> Result<ReadAnswer, SidecarError> {
        let gone = || SidecarError::Answer {
            url: url.clone(),
            reason: "the thread that asks has ended".to_owned(),
        };
        let begun = Instant::now();
        let ask = AbortOnDropHandle::new(self.runtime.spawn(ask.instrument(span.clone())));
        let response = ask.await.map_err(|_| gone())??;
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|t| t.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let (sender, parts) = mpsc::channel(1);
        let reading = forward(url.clone(), response, begun, Arc::clone(&self.long), sender);
        Ok(ReadAnswer {
            url,
            content_type,
            parts,
            _reading: AbortOnDropHandle::new(self.runtime.spawn(reading.instrument(span))),
        })
    }
}

impl ReadAnswer {
    /// What kind of answer its head says that it is; empty if it does not.
    pub(crate) fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The next part; at least one byte, or the last.
    ///
    /// # Errors
    /// When the connection breaks, and after the last part.
    pub(crate) async fn next(&mut self) -> Result<Part, SidecarError> {
        let part = self.parts.recv().await;
        part.unwrap_or_else(|| {
            Err(SidecarError::Answer {
                url: self.url.clone(),
                reason: "the thread that reads it has ended".to_owned(),
            })
        })
    }
}

impl Long {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Long {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hands the parts of an answer on as they come.
async fn forward(
    url: String,
    mut response: Response,
    begun: Instant,
    count: Arc<AtomicUsize>,
    parts: mpsc::Sender<Result<Part, SidecarError>>,
) {
    let mut long = None;
    loop {
        if long.is_none() && begun.elapsed() >= LONG {
            long = Some(Long::new(Arc::clone(&count)));
        }
        let part = next(&mut response).await;
        let part = part.map_err(|source| HttpClientError::request(&url, source).into());
        let is_last = part.as_ref().map_or(true, |part| part.is_last);
        if parts.send(part).await.is_err() || is_last {
            return;
        }
    }
}

/// What has come, or comes next.
async fn next(response: &mut Response) -> Result<Part, reqwest::Error> {
    let mut part = Part {
        bytes: Vec::new(),
        is_last: false,
    };
    let mut size = 0;
    let mut next = response.chunk().await?;
    while let Some(bytes) = next {
        size += bytes.len();
        part.bytes.push(bytes);
        if size >= PART {
            return Ok(part);
        }
        next = tokio::select! {
            biased;
            next = response.chunk() => next?,
            () = turns() => return Ok(part),
        };
    }
    part.is_last = true;
    Ok(part)
}

/// Gives the connection, which is a task of its own, its turns. After those, what was received is there.
async fn turns() {
    task::yield_now().await;
    task::yield_now().await;
}
