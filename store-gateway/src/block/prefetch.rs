//! A stream whose items a task makes ahead of the reader, up to a bounded number.

use std::{
    panic,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use futures::Stream;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::JoinSet,
};
use tracing::Instrument as _;

use super::BlockError;

/// Items that wait for the reader, besides the one being made.
const ITEMS_AHEAD: usize = 1;

/// Items with fewer bytes may wait for the reader while the next one is made.
const SMALL: u64 = 256 << 10;

/// The items that a task makes, then its error if it fails. Dropping the stream stops the task.
#[derive(Debug)]
pub(crate) struct Prefetch<T> {
    items: Receiver<T>,
    /// The one task; none if all was made before it was needed.
    task: JoinSet<Result<(), BlockError>>,
    /// The outcome, if there is no task.
    made: Option<Result<(), BlockError>>,
}

impl<T> Prefetch<T> {
    /// Starts the task. `make` gets the sender of the items, and ends when the receiver is gone. In a beginning
    /// ([`service::runs_at_once`]) it is begun at once, and becomes a task if it waits for something.
    pub(super) fn start<F>(make: impl FnOnce(Sender<T>) -> F) -> Self
    where
        F: Future<Output = Result<(), BlockError>> + Send + 'static,
    {
        Self::start_with(ITEMS_AHEAD, make)
    }

    /// As [`Self::start`], with up to `ahead` waiting items, at least one.
    pub(super) fn start_with<F>(ahead: usize, make: impl FnOnce(Sender<T>) -> F) -> Self
    where
        F: Future<Output = Result<(), BlockError>> + Send + 'static,
    {
        let (sender, items) = mpsc::channel(ahead);
        let mut made = None;
        let mut task = JoinSet::new();
        let make = make(sender).in_current_span();
        if service::runs_at_once() {
            let mut make = Box::pin(make);
            match make.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => made = Some(outcome),
                Poll::Pending => drop(task.spawn(make)),
            }
        } else {
            task.spawn(make);
        }
        Self { items, task, made }
    }
}

/// Sends an item of so many bytes. If that is much, waits until the reader has taken it: the next one is made while the
/// reader works on this one, and no more than two large ones are there at once. Tells whether the reader is still there.
pub(super) async fn send_and_wait<T>(out: &Sender<T>, item: T, bytes: u64) -> bool {
    if out.send(item).await.is_err() {
        return false;
    }
    bytes < SMALL || out.reserve().await.is_ok()
}

impl<T> Stream for Prefetch<T> {
    type Item = Result<T, BlockError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(item) = ready!(self.items.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(item)));
        }
        if let Some(Err(error)) = self.made.take() {
            return Poll::Ready(Some(Err(error)));
        }
        Poll::Ready(match ready!(self.task.poll_join_next(cx)) {
            None | Some(Ok(Ok(()))) => None,
            Some(Ok(Err(error))) => Some(Err(error)),
            Some(Err(error)) => match error.try_into_panic() {
                Ok(payload) => panic::resume_unwind(payload),
                // An end would look like a complete answer.
                Err(_) => Some(Err(BlockError::Stopped)),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures::{FutureExt as _, StreamExt as _};

    use super::*;

    #[tokio::test]
    async fn an_error_comes_after_the_items_and_ends_the_stream() {
        let mut stream = Prefetch::start(|out| async move {
            let _ = out.send(1).await;
            Err(BlockError::Stopped)
        });
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
        assert!(stream.next().await.unwrap().is_err());
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn the_maker_waits_for_the_reader() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let mut stream = Prefetch::start(|out| async move {
            while out.send(()).await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        });
        // Whoever yields lets the task go on until it waits itself.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(made.load(Ordering::SeqCst), ITEMS_AHEAD);
        assert!(stream.next().await.is_some());
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(made.load(Ordering::SeqCst), ITEMS_AHEAD + 1);
    }

    #[tokio::test]
    async fn no_large_item_is_made_while_another_waits() {
        for (bytes, ahead) in [(SMALL - 1, 2), (SMALL, 1)] {
            let made = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&made);
            let mut stream = Prefetch::start(async move |out| {
                for _ in 0..5 {
                    count.fetch_add(1, Ordering::SeqCst);
                    if !send_and_wait(&out, (), bytes).await {
                        break;
                    }
                }
                Ok(())
            });
            for taken in 0..3 {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(made.load(Ordering::SeqCst), taken + ahead);
                assert!(stream.next().await.is_some());
            }
        }
    }

    #[tokio::test]
    async fn a_panic_reaches_the_reader() {
        let stream = Prefetch::<()>::start(|_| async { panic!("broken") });
        let read = panic::AssertUnwindSafe(stream.collect::<Vec<_>>()).catch_unwind();
        assert_eq!(read.await.unwrap_err().downcast_ref(), Some(&"broken"));
    }
}
