use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Uri};
use parking_lot::Mutex;
use s3s::{
    S3ErrorCode,
    dto::{
        CopyObjectInput, CopySource, Delete, DeleteObjectsInput, ETag, ETagCondition,
        GetObjectInput, ObjectIdentifier, PutObjectInput, Range,
    },
};
use service::ManualClock;

use super::{
    wire::{body, collect},
    *,
};

fn api() -> Api {
    Api::new(Arc::new(State {
        clock: Arc::new(ManualClock::new(1_700_000_000_000)),
        inner: Mutex::default(),
    }))
}

fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: Method::GET,
        uri: Uri::from_static("/"),
        headers: HeaderMap::new(),
        extensions: Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

async fn put(
    api: &Api,
    key: &str,
    text: &'static str,
    none_match: bool,
) -> Result<ETag, S3ErrorCode> {
    let input = PutObjectInput {
        bucket: BUCKET.to_owned(),
        key: key.to_owned(),
        body: Some(body(text.into(), None)),
        if_none_match: none_match.then_some(ETagCondition::Any),
        ..PutObjectInput::default()
    };
    match api.put_object(request(input)).await {
        Ok(put) => Ok(put.output.e_tag.unwrap()),
        Err(error) => Err(error.code().clone()),
    }
}

fn get(key: &str) -> GetObjectInput {
    GetObjectInput {
        bucket: BUCKET.to_owned(),
        key: key.to_owned(),
        ..GetObjectInput::default()
    }
}

async fn read(api: &Api, input: GetObjectInput) -> Result<(String, Option<String>), S3ErrorCode> {
    match api.get_object(request(input)).await {
        Ok(got) => {
            let bytes = collect(got.output.body).await.unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            Ok((text, got.output.content_range))
        }
        Err(error) => Err(error.code().clone()),
    }
}

#[tokio::test]
async fn parts_of_an_object_are_read_from_either_end() {
    let api = api();
    put(&api, "k", "0123456789", false).await.unwrap();
    for (range, expected) in [
        (
            Range::Int {
                first: 2,
                last: Some(4),
            },
            ("234", "bytes 2-4/10"),
        ),
        (
            Range::Int {
                first: 8,
                last: Some(99),
            },
            ("89", "bytes 8-9/10"),
        ),
        (
            Range::Int {
                first: 7,
                last: None,
            },
            ("789", "bytes 7-9/10"),
        ),
        (Range::Suffix { length: 3 }, ("789", "bytes 7-9/10")),
    ] {
        let input = GetObjectInput {
            range: Some(range),
            ..get("k")
        };
        let (text, content_range) = read(&api, input).await.unwrap();
        assert_eq!(
            (text.as_str(), content_range.as_deref()),
            (expected.0, Some(expected.1))
        );
    }
    let behind = GetObjectInput {
        range: Some(Range::Int {
            first: 10,
            last: None,
        }),
        ..get("k")
    };
    assert_eq!(read(&api, behind).await, Err(S3ErrorCode::InvalidRange));
}

#[tokio::test]
async fn an_unchanged_object_is_not_sent_again() {
    let api = api();
    let first = put(&api, "k", "one", false).await.unwrap();
    let unless = |etag: &ETag| GetObjectInput {
        if_none_match: Some(ETagCondition::ETag(etag.clone())),
        ..get("k")
    };
    assert_eq!(
        read(&api, unless(&first)).await,
        Err(S3ErrorCode::NotModified)
    );
    put(&api, "k", "two", false).await.unwrap();
    assert_eq!(read(&api, unless(&first)).await.unwrap().0, "two");
    let only_if = GetObjectInput {
        if_match: Some(ETagCondition::ETag(first)),
        ..get("k")
    };
    assert_eq!(
        read(&api, only_if).await,
        Err(S3ErrorCode::PreconditionFailed)
    );
}

#[tokio::test]
async fn of_many_who_create_an_object_one_does() {
    let api = api();
    let all = futures::future::join_all((0..16).map(|_| put(&api, "lock", "mine", true))).await;
    let (won, lost): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(
        lost.iter()
            .all(|e| *e == Err(S3ErrorCode::PreconditionFailed)),
        "{lost:?}"
    );
}

#[tokio::test]
async fn copies_and_deletions_of_several_are_done() {
    let api = api();
    put(&api, "a", "text", false).await.unwrap();
    let copy = |from: &str, to: &str| {
        let source = CopySource::Bucket {
            bucket: BUCKET.into(),
            key: from.into(),
            version_id: None,
        };
        let mut input = CopyObjectInput::builder();
        input.set_bucket(BUCKET.to_owned());
        input.set_key(to.to_owned());
        input.set_copy_source(source);
        request(input.build().unwrap())
    };
    api.copy_object(copy("a", "b")).await.unwrap();
    assert_eq!(read(&api, get("b")).await.unwrap().0, "text");
    let missing = api.copy_object(copy("none", "c")).await.unwrap_err();
    assert_eq!(missing.code(), &S3ErrorCode::NoSuchKey);

    api.0.inner.lock().faults.add(super::super::Fault {
        when: super::super::When::Write(1),
        failure: Failure::Refused,
    });
    let object = |key: &str| ObjectIdentifier {
        key: key.to_owned(),
        ..ObjectIdentifier::default()
    };
    let mut delete = DeleteObjectsInput::builder();
    delete.set_bucket(BUCKET.to_owned());
    delete.set_delete(Delete {
        objects: vec![object("a"), object("b"), object("none")],
        quiet: None,
    });
    let delete = request(delete.build().unwrap());
    let done = api.delete_objects(delete).await.unwrap().output;
    let deleted: Vec<_> = done
        .deleted
        .unwrap()
        .into_iter()
        .filter_map(|d| d.key)
        .collect();
    let failed: Vec<_> = done
        .errors
        .unwrap()
        .into_iter()
        .filter_map(|e| e.key)
        .collect();
    assert_eq!(
        (deleted, failed),
        (
            vec!["a".to_owned(), "none".to_owned()],
            vec!["b".to_owned()]
        )
    );
    assert_eq!(read(&api, get("a")).await, Err(S3ErrorCode::NoSuchKey));
}

#[tokio::test]
async fn another_bucket_is_not_there() {
    let input = GetObjectInput {
        bucket: "other".to_owned(),
        ..get("k")
    };
    assert_eq!(read(&api(), input).await, Err(S3ErrorCode::NoSuchBucket));
}
