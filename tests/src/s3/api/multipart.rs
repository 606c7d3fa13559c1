//! Uploads in parts.

use s3s::{
    S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
        CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
        ETag, UploadPartInput, UploadPartOutput,
    },
};

use super::{
    Api,
    wire::{collect, precondition},
};
use crate::s3::{
    Operation,
    store::{Store, StoreError},
};

impl Api {
    pub(super) fn create_upload(
        &self,
        input: CreateMultipartUploadInput,
    ) -> S3Result<CreateMultipartUploadOutput> {
        let create = |store: &mut Store, _| Ok(store.create_upload(&input.key));
        let id = self.write(
            &input.bucket,
            Operation::CreateMultipart,
            &input.key,
            create,
        )?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        })
    }

    pub(super) async fn upload_part(&self, input: UploadPartInput) -> S3Result<UploadPartOutput> {
        let bytes = collect(input.body).await?;
        let upload =
            |store: &mut Store, _| store.upload_part(&input.upload_id, input.part_number, bytes);
        let etag = self.write(&input.bucket, Operation::UploadPart, &input.key, upload)?;
        Ok(UploadPartOutput {
            e_tag: Some(ETag::Strong(etag)),
            ..UploadPartOutput::default()
        })
    }

    pub(super) fn complete_upload(
        &self,
        input: CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let condition = precondition(input.if_match, input.if_none_match);
        let parts = input
            .multipart_upload
            .and_then(|u| u.parts)
            .unwrap_or_default();
        let parts = parts.into_iter().map(|part| {
            let etag = part.e_tag.map(ETag::into_value);
            Ok((
                part.part_number.ok_or(StoreError::InvalidPart)?,
                etag.unwrap_or_default(),
            ))
        });
        let parts: Vec<_> = parts.collect::<Result<_, StoreError>>()?;
        let complete = |store: &mut Store, now| {
            store.complete_upload(&input.upload_id, &parts, &condition, now)
        };
        let etag = self.write(
            &input.bucket,
            Operation::CompleteMultipart,
            &input.key,
            complete,
        )?;
        Ok(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(etag)),
            ..CompleteMultipartUploadOutput::default()
        })
    }

    pub(super) fn abort_upload(
        &self,
        input: AbortMultipartUploadInput,
    ) -> S3Result<AbortMultipartUploadOutput> {
        let abort = |store: &mut Store, _| store.abort_upload(&input.upload_id);
        self.write(&input.bucket, Operation::AbortMultipart, &input.key, abort)?;
        Ok(AbortMultipartUploadOutput::default())
    }
}
