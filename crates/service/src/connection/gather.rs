//! Writes several frames of HTTP/2 at once.
//!
//! h2 writes each frame by itself, which has 16 KiB at most, and flushes it. A call into the kernel for each is a sixth
//! of the CPU time of a large answer.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The smallest write after which another is expected. A small answer does not wait.
const LARGE: usize = 4 << 10;
/// The most bytes that are gathered: four frames as large as they may be where the client has not said otherwise, with
/// their heads.
const MOST: usize = 4 * ((16 << 10) + 9);

/// A connection whose large writes are gathered.
#[derive(Debug)]
pub(super) struct Gather<T> {
    inner: T,
    gathered: Vec<u8>,
    /// How many of these are written.
    written: usize,
    /// Whether the last write was a large one that has not been flushed.
    more: bool,
}

impl<T: AsyncWrite + Unpin> Gather<T> {
    pub(super) const fn new(inner: T) -> Self {
        Self {
            inner,
            gathered: Vec::new(),
            written: 0,
            more: false,
        }
    }

    pub(super) const fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Writes what is gathered.
    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.gathered.get(self.written..).filter(|r| !r.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        self.gathered.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gather<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gather<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = &mut *self;
        let len: usize = bufs.iter().map(|buf| buf.len()).sum();
        if me.gathered.len() + len > MOST {
            ready!(me.poll_gathered(cx))?;
        }
        let is_large = len >= LARGE;
        if me.gathered.is_empty() && (!is_large || len > MOST) {
            return Pin::new(&mut me.inner).poll_write_vectored(cx, bufs);
        }
        if me.gathered.capacity() < MOST {
            me.gathered.reserve_exact(MOST - me.gathered.len());
        }
        for buf in bufs {
            me.gathered.extend_from_slice(buf);
        }
        me.more = is_large;
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Waits after a large write for the next one. h2 flushes once more when it has no other frame, in the same poll;
    /// for whoever does not, the task is woken and flushes when it is polled again.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.more) {
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_gathered(cx))?;
        // An idle connection takes no memory.
        self.gathered = Vec::new();
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_gathered(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
    };

    use futures::FutureExt as _;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// The largest frame.
    const FULL: usize = 16 << 10;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// What has arrived.
    fn arrived(client: &mut DuplexStream) -> Vec<u8> {
        let mut bytes = vec![0; 4 << 20];
        let mut buf = ReadBuf::new(&mut bytes);
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(read) = {
            let before = buf.filled().len();
            let read = Pin::new(&mut *client).poll_read(&mut cx, &mut buf);
            read.map(|read| read.map(|()| buf.filled().len() > before))
        } {
            if !read.unwrap() {
                break;
            }
        }
        buf.filled().to_vec()
    }

    fn pair() -> (Gather<DuplexStream>, DuplexStream) {
        let (server, client) = duplex(4 << 20);
        (Gather::new(server), client)
    }

    async fn write(gather: &mut Gather<DuplexStream>, head: &[u8], body: &[u8]) -> usize {
        let bufs = [IoSlice::new(head), IoSlice::new(body)];
        let written = poll_fn(|cx| Pin::new(&mut *gather).poll_write_vectored(cx, &bufs));
        let written = written.await.unwrap();
        gather.flush().await.unwrap();
        written
    }

    #[tokio::test]
    async fn small_writes_are_written_at_once() {
        let (mut gather, mut client) = pair();
        assert_eq!(write(&mut gather, &[1; 9], &[2; 100]).await, 109);
        assert_eq!(arrived(&mut client).len(), 109);
    }

    #[tokio::test]
    async fn full_frames_are_written_together_and_a_smaller_one_ends_them() {
        let (mut gather, mut client) = pair();
        for _ in 0..4 {
            write(&mut gather, &[1; 9], &[2; FULL]).await;
            assert_eq!(arrived(&mut client).len(), 0);
        }
        write(&mut gather, &[1; 9], &[2; FULL]).await;
        assert_eq!(arrived(&mut client).len(), MOST);
        write(&mut gather, &[1; 9], &[2; 100]).await;
        assert_eq!(arrived(&mut client).len(), FULL + 9 + 109);
        assert_eq!(gather.gathered.capacity(), 0);
    }

    #[tokio::test]
    async fn a_full_frame_that_none_follows_is_written_when_the_task_is_polled_again() {
        let (mut gather, mut client) = pair();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let wakes = || wakes.0.load(Ordering::SeqCst);
        let written = Pin::new(&mut gather).poll_write(&mut cx, &[1; FULL]);
        assert!(matches!(written, Poll::Ready(Ok(FULL))));
        assert!(Pin::new(&mut gather).poll_flush(&mut cx).is_ready());
        assert_eq!((arrived(&mut client).len(), wakes()), (0, 1));
        assert!(Pin::new(&mut gather).poll_flush(&mut cx).is_ready());
        assert_eq!((arrived(&mut client).len(), wakes()), (FULL, 1));
    }

    proptest! {
        #[test]
        fn all_bytes_arrive_in_their_order(
            sizes in prop::collection::vec(prop_oneof![0..40_usize, 16_000..17_000_usize, 60_000..70_000_usize], 0..20),
        ) {
            let (mut gather, mut client) = pair();
            let mut expected = Vec::new();
            for (i, size) in sizes.iter().enumerate() {
                let start = i * 7;
                let body: Vec<u8> = (start..start + size).map(|at| (at % 251).to_le_bytes()[0]).collect();
                let wrote = async {
                    let mut rest = &body[..];
                    while !rest.is_empty() {
                        let written = write(&mut gather, &[], rest).await;
                        rest = &rest[written..];
                    }
                };
                prop_assert!(wrote.now_or_never().is_some());
                expected.extend(body);
            }
            prop_assert!(gather.shutdown().now_or_never().is_some());
            prop_assert!(arrived(&mut client) == expected);
        }
    }

    #[tokio::test]
    async fn a_client_that_takes_little_at_a_time_gets_all_bytes_in_their_order() {
        // Room for less than a frame: what is gathered is written in parts.
        let (server, mut client) = duplex(5000);
        let mut gather = Gather::new(server);
        let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        let writes = async {
            for part in bytes.chunks(FULL + 9) {
                gather.write_all(part).await.unwrap();
                gather.flush().await.unwrap();
            }
            gather.shutdown().await.unwrap();
        };
        let mut read = Vec::new();
        let (_, taken) = tokio::join!(writes, client.read_to_end(&mut read));
        assert!(taken.unwrap() == bytes.len() && read == bytes);
    }
}
