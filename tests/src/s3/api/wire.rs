//! Between what requests say and what the store knows.

use std::time::{Duration, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3s::{
    S3Error, S3ErrorCode, S3Result,
    dto::{ETagCondition, StreamingBlob, Timestamp},
    s3_error,
};

use crate::s3::{
    Failure,
    store::{Object, Precondition, StoreError},
};

/// The conditions of a read: 412 where the object changed, 304 where it did not.
pub(super) fn check(
    object: &Object,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let is_met = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == object.etag,
    };
    if !if_match.is_none_or(is_met) {
        return Err(StoreError::PreconditionFailed.into());
    }
    if if_none_match.is_some_and(is_met) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

/// The condition of a write.
pub(super) fn precondition(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
) -> Precondition {
    match (if_match, if_none_match) {
        (_, Some(_)) => Precondition::Absent,
        (Some(ETagCondition::ETag(etag)), None) => Precondition::Unchanged(etag.into_value()),
        (Some(ETagCondition::Any), None) => Precondition::Present,
        (None, None) => Precondition::None,
    }
}

pub(super) async fn collect(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else {
        return Ok(Bytes::new());
    };
    let whole = body.try_fold(BytesMut::new(), |mut whole, part| {
        whole.extend_from_slice(&part);
        futures::future::ready(Ok(whole))
    });
    let whole = whole
        .await
        .map_err(|e| S3Error::with_source(S3ErrorCode::IncompleteBody, e))?;
    Ok(whole.freeze())
}

fn flipped(bytes: &[u8], at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    let at = at.checked_rem(bytes.len()).unwrap_or_default();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    bytes.into()
}

/// The bytes, up to where they are cut off.
pub(super) fn body(bytes: Bytes, failure: Option<Failure>) -> StreamingBlob {
    let parts = match failure {
        Some(Failure::CutOff(at)) if at < bytes.len() => {
            vec![
                Ok(bytes.slice(..at)),
                Err(std::io::Error::other("an injected fault")),
            ]
        }
        Some(Failure::Slow(piece)) => pieces(&bytes, piece),
        Some(Failure::Stalled(at)) => vec![Ok(bytes.slice(..at.min(bytes.len())))],
        Some(Failure::Flipped(at)) => vec![Ok(flipped(&bytes, at))],
        _ => vec![Ok(bytes)],
    };
    let parts = stream::iter(parts).then(async |part| {
        tokio::task::yield_now().await;
        part
    });
    if let Some(Failure::Stalled(_)) = failure {
        return StreamingBlob::wrap(Box::pin(parts.chain(stream::pending())));
    }
    StreamingBlob::wrap(Box::pin(parts).fuse())
}

fn pieces(bytes: &Bytes, size: usize) -> Vec<std::io::Result<Bytes>> {
    let starts = (0..bytes.len()).step_by(size.max(1));
    let piece = |start| Ok(bytes.slice(start..bytes.len().min(start + size.max(1))));
    starts.map(piece).collect()
}

pub(super) fn timestamp(millis: i64) -> Timestamp {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    Timestamp::from(UNIX_EPOCH + since)
}

pub(super) fn length(bytes: &Bytes) -> S3Result<i64> {
    i64::try_from(bytes.len()).map_err(S3Error::internal_error)
}

pub(super) fn position(at: u64) -> S3Result<usize> {
    usize::try_from(at).map_err(S3Error::internal_error)
}
