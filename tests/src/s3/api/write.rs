//! Operations that write and delete objects.

use s3s::{
    S3Result,
    dto::{
        CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, DeleteObjectInput,
        DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, Error,
        PutObjectInput, PutObjectOutput,
    },
    s3_error,
};

use super::{
    Api,
    wire::{collect, precondition, timestamp},
};
use crate::s3::{
    BUCKET, Operation,
    store::{Store, StoreError},
};

impl Api {
    pub(super) async fn put(&self, input: PutObjectInput) -> S3Result<PutObjectOutput> {
        let bytes = collect(input.body).await?;
        let condition = precondition(input.if_match, input.if_none_match);
        let key = &input.key;
        let put = |store: &mut Store, now| store.put_if(key, bytes, &condition, now);
        let etag = self.write(&input.bucket, Operation::Put, key, put)?;
        Ok(PutObjectOutput {
            e_tag: Some(ETag::Strong(etag)),
            ..PutObjectOutput::default()
        })
    }

    pub(super) fn copy(&self, input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "expected a source in a bucket"));
        };
        if &**bucket != BUCKET {
            return Err(s3_error!(
                NoSuchBucket,
                "expected bucket {BUCKET}, found {bucket}"
            ));
        }
        let copy = |store: &mut Store, now| {
            let bytes = store.get(key).map(|o| o.bytes.clone());
            let bytes = bytes.ok_or(StoreError::NoSuchKey)?;
            Ok((store.put(&input.key, bytes, now), now))
        };
        let (etag, now) = self.write(&input.bucket, Operation::Copy, &input.key, copy)?;
        Ok(CopyObjectOutput {
            copy_object_result: Some(CopyObjectResult {
                e_tag: Some(ETag::Strong(etag)),
                last_modified: Some(timestamp(now)),
                ..CopyObjectResult::default()
            }),
            ..CopyObjectOutput::default()
        })
    }

    pub(super) fn delete(&self, input: DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
        let key = &input.key;
        // Deleting what is not there is no error in S3.
        let delete = |store: &mut Store, _| Ok(store.remove(key));
        self.write(&input.bucket, Operation::Delete, key, delete)?;
        Ok(DeleteObjectOutput::default())
    }

    pub(super) fn delete_several(
        &self,
        input: DeleteObjectsInput,
    ) -> S3Result<DeleteObjectsOutput> {
        let mut output = DeleteObjectsOutput::default();
        for object in input.delete.objects {
            let key = object.key;
            let delete = |store: &mut Store, _| Ok(store.remove(&key));
            match self.write(&input.bucket, Operation::Delete, &key, delete) {
                Ok(_) => output.deleted.get_or_insert_default().push(DeletedObject {
                    key: Some(key),
                    ..DeletedObject::default()
                }),
                Err(error) => output.errors.get_or_insert_default().push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(key),
                    message: error.message().map(str::to_owned),
                    ..Error::default()
                }),
            }
        }
        Ok(output)
    }
}
