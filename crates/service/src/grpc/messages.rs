//! Counts the messages of a body.
//!
//! ```text
//! ┌──────┬──────────┬─────────┐
//! │ flag │ length   │ message │  again and again
//! │ 1 B  │ 4 B, BE  │ length  │
//! └──────┴──────────┴─────────┘
//! ```

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use http_body::{Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tonic::{Status, body::Body};

/// Bytes before a message.
const HEAD: usize = 5;

/// Counts messages, as their bytes pass.
#[derive(Debug)]
pub(super) struct Messages {
    counter: Counter,
    head: [u8; HEAD],
    /// Bytes of the head that have passed.
    had: usize,
    /// Bytes of the message that have not.
    left: usize,
}

/// A body whose messages are counted.
#[derive(Debug)]
pub(super) struct CountedBody {
    inner: Body,
    messages: Messages,
}

impl Messages {
    pub(super) const fn new(counter: Counter) -> Self {
        Self {
            counter,
            head: [0; HEAD],
            had: 0,
            left: 0,
        }
    }

    /// These bytes pass. A message counts once its head has.
    pub(super) fn pass(&mut self, bytes: &Bytes) {
        let mut bytes = bytes.clone();
        while bytes.has_remaining() {
            if self.left > 0 {
                let passed = self.left.min(bytes.remaining());
                bytes.advance(passed);
                self.left -= passed;
                continue;
            }
            if let Some(slot) = self.head.get_mut(self.had) {
                *slot = bytes.get_u8();
                self.had += 1;
            }
            if self.had == HEAD {
                let [_, length @ ..] = self.head;
                self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                self.had = 0;
                self.counter.inc();
            }
        }
    }
}

impl CountedBody {
    pub(super) const fn new(inner: Body, counter: Counter) -> Self {
        let messages = Messages::new(counter);
        Self { inner, messages }
    }
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
        {
            self.messages.pass(bytes);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_their_bytes_are_cut() {
        let body = b"\0\0\0\0\x03abc\x01\0\0\0\0\0\0\0\x01\x00";
        let body = [body.as_slice(), &[b'x'; 256]].concat();
        for step in [1, 2, 3, 5, 7, body.len()] {
            let counter = Counter::default();
            let mut messages = Messages::new(counter.clone());
            for part in body.chunks(step) {
                messages.pass(&Bytes::copy_from_slice(part));
            }
            assert_eq!(counter.get(), 3, "{step}");
            assert_eq!((messages.left, messages.had), (0, 0), "{step}");
        }
    }
}
