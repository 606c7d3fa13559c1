//! S3's operations on the objects in memory.

mod multipart;
mod read;
mod wire;
mod write;

use std::sync::Arc;

use http::StatusCode;
use parking_lot::MutexGuard;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, dto, s3_error};

use super::{
    BUCKET, Failure, Inner, Operation, Request, State,
    store::{Object, Store, StoreError},
};

/// The operations.
#[derive(Clone, Debug)]
pub(super) struct Api(Arc<State>);

impl Api {
    pub(super) const fn new(state: Arc<State>) -> Self {
        Self(state)
    }

    /// Logs a request and lets it fail, if that is its lot; returns the failure if the request is done all the same.
    fn enter(
        &self,
        bucket: &str,
        operation: Operation,
        key: &str,
    ) -> S3Result<(MutexGuard<'_, Inner>, Option<Failure>)> {
        if bucket != BUCKET {
            return Err(s3_error!(
                NoSuchBucket,
                "expected bucket {BUCKET}, found {bucket}"
            ));
        }
        let request = Request {
            operation,
            key: key.to_owned(),
        };
        let mut inner = self.0.inner.lock();
        let failure = inner.faults.failure(&request);
        inner.log.push(request);
        match failure {
            Some(Failure::Refused) => Err(s3_error!(AccessDenied, "an injected fault")),
            Some(Failure::Unavailable) => Err(s3_error!(SlowDown, "an injected fault")),
            Some(Failure::TooMany) => {
                let mut error = s3_error!(SlowDown, "an injected fault");
                error.set_status_code(StatusCode::TOO_MANY_REQUESTS);
                Err(error)
            }
            failure => Ok((inner, failure)),
        }
    }

    /// Changes the bucket; nothing else happens to it meanwhile.
    fn write<T>(
        &self,
        bucket: &str,
        operation: Operation,
        key: &str,
        change: impl FnOnce(&mut Store, i64) -> Result<T, StoreError>,
    ) -> S3Result<T> {
        let (mut inner, failure) = self.enter(bucket, operation, key)?;
        let changed = change(&mut inner.store, self.0.clock.now_ms())?;
        if failure == Some(Failure::AnswerLost) {
            return Err(s3_error!(
                AccessDenied,
                "an injected fault, behind the change"
            ));
        }
        Ok(changed)
    }

    /// Answers, unless the client is to wait for good.
    async fn answer<T>((output, failure): (T, Option<Failure>)) -> S3Result<S3Response<T>> {
        if failure == Some(Failure::Hang) {
            std::future::pending::<()>().await;
        }
        Ok(S3Response::new(output))
    }

    fn read(
        &self,
        bucket: &str,
        operation: Operation,
        key: &str,
    ) -> S3Result<(Object, Option<Failure>)> {
        let (inner, failure) = self.enter(bucket, operation, key)?;
        let object = inner.store.get(key).cloned().ok_or(StoreError::NoSuchKey)?;
        Ok((object, failure))
    }
}

impl From<StoreError> for S3Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchKey => s3_error!(NoSuchKey),
            StoreError::NoSuchUpload => s3_error!(NoSuchUpload),
            StoreError::InvalidPart => s3_error!(InvalidPart),
            StoreError::PreconditionFailed => s3_error!(PreconditionFailed),
        }
    }
}

#[async_trait::async_trait]
impl S3 for Api {
    async fn get_object(
        &self,
        req: S3Request<dto::GetObjectInput>,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        Self::answer(self.get(req.input)?).await
    }

    async fn head_object(
        &self,
        req: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        Self::answer(self.head(req.input)?).await
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        Self::answer(self.list(req.input)?).await
    }

    async fn put_object(
        &self,
        req: S3Request<dto::PutObjectInput>,
    ) -> S3Result<S3Response<dto::PutObjectOutput>> {
        self.put(req.input).await.map(S3Response::new)
    }

    async fn copy_object(
        &self,
        req: S3Request<dto::CopyObjectInput>,
    ) -> S3Result<S3Response<dto::CopyObjectOutput>> {
        self.copy(req.input).map(S3Response::new)
    }

    async fn delete_object(
        &self,
        req: S3Request<dto::DeleteObjectInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        self.delete(req.input).map(S3Response::new)
    }

    async fn delete_objects(
        &self,
        req: S3Request<dto::DeleteObjectsInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
        self.delete_several(req.input).map(S3Response::new)
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<dto::CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
        self.create_upload(req.input).map(S3Response::new)
    }

    async fn upload_part(
        &self,
        req: S3Request<dto::UploadPartInput>,
    ) -> S3Result<S3Response<dto::UploadPartOutput>> {
        self.upload_part(req.input).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<dto::CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
        self.complete_upload(req.input).map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<dto::AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
        self.abort_upload(req.input).map(S3Response::new)
    }
}

#[cfg(test)]
mod tests;
