//! Stores for tests of leases: some that are not exclusive, and one whose operations end when a test says so.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, future, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, path::Path,
};

/// A store that does what a test wants to see.
#[derive(Clone, Debug)]
pub(super) struct Scripted {
    inner: Arc<dyn ObjectStore>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Does a conditional put whatever is there.
    Ignoring,
    /// Looks, and writes a moment later.
    Racy,
    /// Refuses the first so many conditional puts, as S3 may when another operation is in the way.
    Refusing(Arc<AtomicUsize>),
    /// Each operation takes several polls, and a listing is none of one moment, as in a folder. If the flag is set, the
    /// answer of the next one is lost.
    Stepwise(Arc<AtomicBool>),
}

impl Scripted {
    pub(super) fn ignoring(inner: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        let kind = Kind::Ignoring;
        Arc::new(Self { inner, kind })
    }

    pub(super) fn racy(inner: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        let kind = Kind::Racy;
        Arc::new(Self { inner, kind })
    }

    pub(super) fn refusing(inner: Arc<dyn ObjectStore>, puts: usize) -> Arc<dyn ObjectStore> {
        let kind = Kind::Refusing(Arc::new(AtomicUsize::new(puts)));
        Arc::new(Self { inner, kind })
    }

    pub(super) fn stepwise(
        inner: Arc<dyn ObjectStore>,
        lose_answer: Arc<AtomicBool>,
    ) -> Arc<dyn ObjectStore> {
        let kind = Kind::Stepwise(lose_answer);
        Arc::new(Self { inner, kind })
    }

    /// Does an operation between two pauses.
    async fn step<T: Send>(&self, operation: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let Kind::Stepwise(lose_answer) = &self.kind else {
            return operation.await;
        };
        pause().await;
        let done = operation.await;
        pause().await;
        if lose_answer.swap(false, Ordering::SeqCst) {
            return Err(Error::Generic {
                store: "stepwise",
                source: "the answer is lost".into(),
            });
        }
        done
    }
}

/// Lets others go on.
pub(super) async fn pause() {
    let mut paused = false;
    future::poll_fn(|context| {
        if paused {
            return Poll::Ready(());
        }
        paused = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[async_trait]
impl ObjectStore for Scripted {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        match &self.kind {
            Kind::Refusing(left) => {
                let one_less = |n: usize| n.checked_sub(1);
                if left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                    .is_ok()
                {
                    return Err(Error::AlreadyExists {
                        path: path.to_string(),
                        source: "status 409".into(),
                    });
                }
            }
            Kind::Ignoring => options.mode = PutMode::Overwrite,
            Kind::Racy => {
                if self.inner.head(path).await.is_err() {
                    options.mode = PutMode::Overwrite;
                }
                pause().await;
            }
            Kind::Stepwise(_) => {}
        }
        self.step(self.inner.put_opts(path, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.step(self.inner.get_opts(path, options)).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let deleted = paths.then(move |path| {
            let this = this.clone();
            async move {
                let path = path?;
                let deleted = this.step(this.inner.delete(&path)).await;
                deleted.map(|()| path)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if !matches!(self.kind, Kind::Stepwise(_)) {
            return self.inner.list(prefix);
        }
        let (this, prefix) = (self.clone(), prefix.cloned());
        let listing = async move {
            let inner = Arc::clone(&this.inner);
            let names = this.step(inner.list(prefix.as_ref()).try_collect::<Vec<_>>());
            let names = names.await?;
            // As a walk through a folder does: of what has vanished since the names were read, nothing is told.
            let found = stream::iter(names).filter_map(move |meta| {
                let inner = Arc::clone(&inner);
                async move {
                    pause().await;
                    inner.head(&meta.location).await.ok().map(Ok)
                }
            });
            Ok::<_, Error>(found)
        };
        stream::once(listing).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Display for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.inner)
    }
}
