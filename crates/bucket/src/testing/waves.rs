//! A bucket whose reads are answered in waves, so that a test can count how often a query waits for the bucket.

use std::{fmt, ops::Range, pin::pin, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::Bucket;

/// After so many checks without a new read, everyone waits for the bucket.
const QUIET: usize = 32;
/// How often other tasks run between two checks.
const TURNS: usize = 8;

/// A bucket whose reads of objects wait until all tasks wait for one: reads that wait together are a wave. Only waves
/// cost a query time, not the requests in one, so latency is multiplied by their number.
///
/// It uses no clock. The test says how to wait for work outside of the runtime, as on a CPU pool. For a runtime of one
/// thread.
#[derive(Clone, Debug)]
pub struct WaveBucket {
    bucket: Bucket,
    waiting: Arc<Mutex<Vec<Waiting>>>,
}

/// Reads that were answered together, in the order in which they began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wave {
    /// The key of each object, and the range that was read.
    pub reads: Vec<(String, Range<u64>)>,
}

/// A read that waits.
#[derive(Debug)]
struct Waiting {
    key: String,
    range: Range<u64>,
    answer: oneshot::Sender<()>,
}

impl WaveBucket {
    /// The contents of `bucket`. Only reads within [`Self::waves`] are answered.
    #[must_use]
    pub fn new(bucket: &Bucket) -> Self {
        let waiting = Arc::default();
        let of_store = Arc::clone(&waiting);
        let bucket = bucket.wrapped(|inner| {
            Arc::new(WaveStore {
                inner,
                waiting: of_store,
            })
        });
        Self { bucket, waiting }
    }

    /// The bucket whose reads wait.
    #[must_use]
    pub fn bucket(&self) -> Bucket {
        self.bucket.clone()
    }

    /// Does `work`, and returns the waves in which it read. `settled` ends when the work begun outside of the runtime
    /// before is done.
    #[expect(clippy::future_not_send, reason = "it is for a runtime of one thread")]
    pub async fn waves<T>(
        &self,
        work: impl Future<Output = T>,
        settled: impl AsyncFn(),
    ) -> (T, Vec<Wave>) {
        let mut waves = Vec::new();
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return (done, waves),
                () = self.quiet(&settled) => {}
            }
            let mut wave = Wave::default();
            for read in std::mem::take(&mut *self.waiting.lock()) {
                // A read that was dropped counts as no read.
                if read.answer.send(()).is_ok() {
                    wave.reads.push((read.key, read.range));
                }
            }
            if !wave.reads.is_empty() {
                waves.push(wave);
            }
        }
    }

    /// Waits until nobody makes another read.
    #[expect(clippy::future_not_send, reason = "it is for a runtime of one thread")]
    async fn quiet(&self, settled: &impl AsyncFn()) {
        let (mut seen, mut quiet) = (0, 0);
        while quiet < QUIET {
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            settled().await;
            let now = self.waiting.lock().len();
            quiet = if now == seen { quiet + 1 } else { 0 };
            seen = now;
        }
    }
}

impl Wave {
    /// How many bytes were asked for.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let sizes = self.reads.iter().map(|(_, range)| range.end - range.start);
        sizes.sum()
    }
}

impl fmt::Display for Wave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reads = self.reads.iter().map(|(key, range)| {
            let size = range.end - range.start;
            format!("{key} {}..{} ({size})", range.start, range.end)
        });
        f.write_str(&reads.collect::<Vec<_>>().join(", "))
    }
}

/// Makes reads wait; passes everything else to `inner`.
#[derive(Debug)]
struct WaveStore {
    inner: Arc<dyn ObjectStore>,
    waiting: Arc<Mutex<Vec<Waiting>>>,
}

#[async_trait]
impl ObjectStore for WaveStore {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let range = match &options.range {
            Some(GetRange::Bounded(range)) => range.clone(),
            _ => 0..0,
        };
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().push(Waiting {
            key: path.to_string(),
            range,
            answer,
        });
        // When nobody counts waves any more, the read ends with its task.
        let _ = answered.await;
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Display for WaveStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waves of {}", self.inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_that_wait_together_are_a_wave_and_each_that_waits_for_another_is_one_more() {
        let memory = Bucket::in_memory();
        memory.put("a", "0123456789".into()).await.unwrap();
        let waves = WaveBucket::new(&memory);
        let bucket = waves.bucket();
        let work = async {
            futures::try_join!(bucket.get_range("a", 0..1), bucket.get_range("a", 2..4)).unwrap();
            bucket.get_range("a", 5..9).await.unwrap()
        };
        let (last, waves) = waves.waves(work, async || ()).await;
        assert_eq!(last, "5678");
        let read: Vec<_> = waves.iter().map(|w| (w.to_string(), w.bytes())).collect();
        let expected = [("a 0..1 (1), a 2..4 (2)", 3), ("a 5..9 (4)", 4)];
        assert_eq!(read, expected.map(|(text, bytes)| (text.to_owned(), bytes)));
    }
}
