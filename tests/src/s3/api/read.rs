//! Operations that change nothing.

use s3s::{
    S3Result,
    dto::{
        CommonPrefix, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
        ListObjectsV2Input, ListObjectsV2Output,
    },
};

use super::{
    Api,
    wire::{body, check, length, position, timestamp},
};
use crate::s3::{Failure, Operation, store::Query};

/// Most keys of a page, as S3 has it.
const PAGE: usize = 1000;

impl Api {
    pub(super) fn get(
        &self,
        input: GetObjectInput,
    ) -> S3Result<(GetObjectOutput, Option<Failure>)> {
        let (object, failure) = self.read(&input.bucket, Operation::Get, &input.key)?;
        check(
            &object,
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
        )?;
        let size = object.bytes.len();
        let range = match &input.range {
            Some(range) => {
                let range = range.check(size as u64)?;
                position(range.start)?..position(range.end)?
            }
            None => 0..size,
        };
        let content_range = input.range.map(|_| {
            let last = range.end.saturating_sub(1);
            format!("bytes {}-{last}/{size}", range.start)
        });
        let bytes = object.bytes.slice(range);
        let length = length(&bytes)?;
        let output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: (failure != Some(Failure::Chunked)).then_some(length),
            content_range,
            e_tag: Some(ETag::Strong(object.etag)),
            last_modified: Some(timestamp(object.modified)),
            body: Some(body(bytes, failure)),
            ..GetObjectOutput::default()
        };
        Ok((output, failure))
    }

    pub(super) fn head(
        &self,
        input: HeadObjectInput,
    ) -> S3Result<(HeadObjectOutput, Option<Failure>)> {
        let (object, failure) = self.read(&input.bucket, Operation::Head, &input.key)?;
        check(
            &object,
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
        )?;
        let output = HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(length(&object.bytes)?),
            e_tag: Some(ETag::Strong(object.etag)),
            last_modified: Some(timestamp(object.modified)),
            ..HeadObjectOutput::default()
        };
        Ok((output, failure))
    }

    pub(super) fn list(
        &self,
        input: ListObjectsV2Input,
    ) -> S3Result<(ListObjectsV2Output, Option<Failure>)> {
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            after: input
                .continuation_token
                .clone()
                .or_else(|| input.start_after.clone()),
            delimiter: input.delimiter.clone(),
            limit: input
                .max_keys
                .map_or(PAGE, |n| usize::try_from(n).unwrap_or(0).min(PAGE)),
        };
        let (inner, failure) = self.enter(&input.bucket, Operation::List, &query.prefix)?;
        let page = inner.store.list(&query);
        drop(inner);
        let contents = page.objects.into_iter().map(|(key, object)| {
            Ok(s3s::dto::Object {
                key: Some(key),
                size: Some(length(&object.bytes)?),
                e_tag: Some(ETag::Strong(object.etag)),
                last_modified: Some(timestamp(object.modified)),
                ..s3s::dto::Object::default()
            })
        });
        let contents: Vec<_> = contents.collect::<S3Result<_>>()?;
        let prefixes = page.prefixes.into_iter();
        let prefixes: Vec<_> = prefixes.map(|p| CommonPrefix { prefix: Some(p) }).collect();
        let output = ListObjectsV2Output {
            name: Some(input.bucket),
            key_count: i32::try_from(contents.len() + prefixes.len()).ok(),
            max_keys: i32::try_from(query.limit).ok(),
            is_truncated: Some(page.next.is_some()),
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            next_continuation_token: page.next,
            continuation_token: input.continuation_token,
            prefix: input.prefix,
            delimiter: input.delimiter,
            start_after: input.start_after,
            ..ListObjectsV2Output::default()
        };
        Ok((output, failure))
    }
}
