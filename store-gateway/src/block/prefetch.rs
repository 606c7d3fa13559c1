//! A stream that is made by a task of its own, which is ahead of the reader by a bounded number of items.

use std::{
    panic,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::Stream;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::JoinSet,
};
use tracing::Instrument as _;

use super::BlockError;

/// Items that are made and not yet read, besides the one being made.
const ITEMS_AHEAD: usize = 1;

/// Items as a task makes them, and in the end its error if it has one. Dropped, it stops the task.
#[derive(Debug)]
pub(crate) struct Prefetch<T> {
    items: Receiver<T>,
    /// The one task.
    task: JoinSet<Result<(), BlockError>>,
}

impl<T> Prefetch<T> {
    /// Starts to make items. `make` is given where to send them, and ends when nobody takes them any more.
    pub(super) fn start<F>(make: impl FnOnce(Sender<T>) -> F) -> Self
    where
        F: Future<Output = Result<(), BlockError>> + Send + 'static,
    {
        Self::start_with(ITEMS_AHEAD, make)
    }

    /// The same where `ahead` items may be made and not yet read, which is more than none.
    pub(super) fn start_with<F>(ahead: usize, make: impl FnOnce(Sender<T>) -> F) -> Self
    where
        F: Future<Output = Result<(), BlockError>> + Send + 'static,
    {
        let (sender, items) = mpsc::channel(ahead);
        let mut task = JoinSet::new();
        task.spawn(make(sender).in_current_span());
        Self { items, task }
    }
}

impl<T> Stream for Prefetch<T> {
    type Item = Result<T, BlockError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(item) = ready!(self.items.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(item)));
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
    async fn a_panic_reaches_the_reader() {
        let stream = Prefetch::<()>::start(|_| async { panic!("broken") });
        let read = panic::AssertUnwindSafe(stream.collect::<Vec<_>>()).catch_unwind();
        assert_eq!(read.await.unwrap_err().downcast_ref(), Some(&"broken"));
    }
}
