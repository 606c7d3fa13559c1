//! The store below a failing bucket.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    FutureExt as _, StreamExt as _, TryStreamExt as _, future::ready, stream, stream::BoxStream,
};
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UploadPart, path::Path,
};

use super::faults::{Faults, ListingOrder, ReadFault, WriteFault, injected};

/// Passes operations to `inner`, unless they are to fail.
#[derive(Clone, Debug)]
pub(super) struct FailingStore {
    inner: Arc<dyn ObjectStore>,
    faults: Arc<Faults>,
}

/// An upload in parts that is to fail.
#[derive(Debug)]
struct FailingUpload {
    inner: Box<dyn MultipartUpload>,
    fault: WriteFault,
}

impl FailingStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }

    async fn delete(&self, path: Path) -> Result<Path> {
        match self.faults.write("delete", path.as_ref()) {
            None => self.inner.delete(&path).await.map(|()| path),
            Some(WriteFault::AnswerLost) => {
                self.inner.delete(&path).await?;
                Err(injected())
            }
            Some(WriteFault::Refused | WriteFault::Cut) => Err(injected()),
        }
    }
}

#[async_trait]
impl ObjectStore for FailingStore {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if let Some(held) = self.faults.put() {
            held.hold().await;
        }
        match self.faults.write("put", path.as_ref()) {
            None => self.inner.put_opts(path, payload, options).await,
            Some(WriteFault::Refused) => Err(injected()),
            Some(WriteFault::AnswerLost) => {
                self.inner.put_opts(path, payload, options).await?;
                Err(injected())
            }
            Some(WriteFault::Cut) => {
                let cut = half(&payload.into());
                self.inner.put_opts(path, cut.into(), options).await?;
                Err(injected())
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        match self.faults.write("upload", path.as_ref()) {
            None => self.inner.put_multipart_opts(path, options).await,
            Some(WriteFault::Refused) => Err(injected()),
            Some(fault) => {
                let inner = self.inner.put_multipart_opts(path, options).await?;
                Ok(Box::new(FailingUpload { inner, fault }))
            }
        }
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let what = if options.head { "head" } else { "get" };
        let head = options.head;
        let fault = self.faults.read(what, path.as_ref());
        let range = match &options.range {
            Some(GetRange::Bounded(range)) => Some(range.clone()),
            _ => None,
        };
        if let Some(held) = self.faults.part(path.as_ref(), range) {
            held.hold().await;
        }
        if fault == Some(ReadFault::Refused) {
            return Err(injected());
        }
        let found = self.inner.get_opts(path, options).await?;
        let Some(fault) = fault.filter(|_| !head) else {
            return Ok(found);
        };
        let (meta, range) = (found.meta.clone(), found.range.clone());
        let (attributes, extensions) = (found.attributes.clone(), found.extensions.clone());
        let bytes = found.bytes().await?;
        let bytes = match fault {
            ReadFault::Flipped => flipped(&bytes, bytes.len() / 2),
            ReadFault::FlippedAt(at) => flipped(&bytes, at),
            ReadFault::Truncated | ReadFault::Refused => half(&bytes),
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed()),
            meta,
            range,
            attributes,
            extensions,
        })
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let deleted = paths.then(move |path| {
            let this = this.clone();
            async move { this.delete(path?).await }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.faults.read("list", prefix.map_or("", Path::as_ref)) {
            Some(_) => stream::iter([Err(injected())]).boxed(),
            None => match self.faults.state().order {
                ListingOrder::ByKey | ListingOrder::FromStart => self.inner.list(prefix),
                ListingOrder::Backwards => {
                    let listed = self.inner.list(prefix).collect::<Vec<_>>();
                    let turned = listed.map(|l| stream::iter(l.into_iter().rev()));
                    turned.flatten_stream().boxed()
                }
            },
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.list(prefix);
        if self.faults.state().order == ListingOrder::FromStart {
            return listed;
        }
        let offset = offset.clone();
        let after = listed.try_filter(move |found| ready(found.location > offset));
        after.boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        match self.faults.read("list", prefix.map_or("", Path::as_ref)) {
            Some(_) => Err(injected()),
            None => self.inner.list_with_delimiter(prefix).await,
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[async_trait]
impl MultipartUpload for FailingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.fault == WriteFault::AnswerLost {
            self.inner.complete().await?;
        }
        Err(injected())
    }

    async fn abort(&mut self) -> Result<()> {
        match self.fault {
            // It is complete, so there is nothing to abort.
            WriteFault::AnswerLost => Ok(()),
            WriteFault::Cut | WriteFault::Refused => self.inner.abort().await,
        }
    }
}

impl fmt::Display for FailingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failing {}", self.inner)
    }
}

fn half(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len() / 2)
}

fn flipped(bytes: &Bytes, at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    bytes.into()
}
