use std::sync::Arc;

use axum::body::{Body, to_bytes};
use bucket::Snapshot;
use futures::FutureExt as _;
use parking_lot::Mutex;
use serde_json::Value;
use service::ManualClock;
use tower::ServiceExt as _;

use super::*;

fn options() -> PageOptions {
    PageOptions {
        component: "compact",
        label: String::new(),
        prefixes: Prefixes::default(),
        cors: Cors::On,
        admin: Admin::Off,
        flags: BTreeMap::from([("wait".to_owned(), "true".to_owned())]),
    }
}

fn router(board: &Board, options: PageOptions) -> Router {
    let clock = Arc::new(ManualClock::new(1_000));
    routes(board.clone(), options, clock).unwrap().router
}

async fn ask(router: &Router, request: Request) -> (StatusCode, HeaderMap, Vec<u8>) {
    let answer = router.clone().oneshot(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (head.status, head.headers, body.to_vec())
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

async fn json_of(router: &Router, path: &str) -> (StatusCode, Value) {
    let (code, _, body) = ask(router, request("GET", path, &[], "")).await;
    (code, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn the_page_may_run_its_own_script_and_ask_this_server_alone() {
    let router = router(&Board::new(), options());
    for path in ["/", "/blocks", "/loaded", "/global"] {
        let (code, headers, body) = ask(&router, request("GET", path, &[], "")).await;
        assert_eq!(code, StatusCode::OK, "{path}");
        assert!(body.starts_with(b"<!doctype html>"), "{path}");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}

#[tokio::test]
async fn an_answer_is_sent_again_only_if_something_has_changed() {
    let board = Board::new();
    let router = router(&board, options());
    let timeline = |tag: String| {
        let router = router.clone();
        async move {
            let request = request("GET", "/api/v1/timeline", &[("if-none-match", &tag)], "");
            let (code, headers, _) = ask(&router, request).await;
            (code, headers[header::ETAG].to_str().unwrap().to_owned())
        }
    };
    let (code, first) = timeline(String::new()).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(timeline(first.clone()).await.0, StatusCode::NOT_MODIFIED);
    // The same contents at another time.
    let empty = Arc::new(Snapshot::default());
    board.listed(&empty, Timestamp(5_000), |_| true).await;
    assert_eq!(timeline(first.clone()).await.0, StatusCode::NOT_MODIFIED);
    let (_, now) = json_of(&router, "/api/v1/activity").await;
    assert_eq!(now["data"]["listedAt"], 5_000);
    assert_eq!(now["data"]["version"], first.as_str());
    let mut other = Snapshot::default();
    other.partial.push(bucket::PartialBlock {
        objects: Arc::new(bucket::BlockObjects {
            id: model::BlockId::new(Timestamp(0), 0),
            root: "x".into(),
            files: bucket::Files::default(),
        }),
        reason: "no meta.json".to_owned(),
    });
    board
        .listed(&Arc::new(other), Timestamp(6_000), |_| true)
        .await;
    let (code, second) = timeline(first.clone()).await;
    assert_eq!(code, StatusCode::OK);
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_bucket_that_cannot_be_listed_is_an_error_beside_the_last_contents() {
    let board = Board::new();
    let router = router(&board, options());
    board.not_listed("list: access denied", Timestamp(7_000));
    let (_, now) = json_of(&router, "/api/v1/activity").await;
    assert_eq!(now["data"]["error"], "list: access denied");
    assert_eq!(now["data"]["lookedAt"], 7_000);
    assert_eq!(now["data"]["listedAt"], Value::Null);
    let (_, blocks) = json_of(&router, "/api/v1/blocks?view=global").await;
    assert_eq!(blocks["data"]["err"], "list: access denied");
}

#[tokio::test]
async fn a_gateway_tells_the_parquet_blocks_that_it_serves() {
    let store = || PageOptions {
        component: "store",
        ..options()
    };
    let board = Board::new();
    let gateway = router(&board, store());
    let (code, _) = json_of(&gateway, "/api/v1/served").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    let first = model::BlockId::new(Timestamp(1), 0);
    board.serves(vec![first]);
    // What was served before is, although the bucket fails now.
    board.not_listed("list: access denied", Timestamp(2));
    let (code, answer) = json_of(&gateway, "/api/v1/served").await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(answer["data"], serde_json::json!([first.to_string()]));
    let compactor = router(&board, options());
    let (code, answer) = json_of(&compactor, "/api/v1/served").await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert_eq!(
        answer["error"],
        "varve compact serves no blocks, varve store does"
    );
}

#[tokio::test]
async fn who_plans_nothing_says_so() {
    let waits = router(&Board::new(), options());
    let (code, answer) = json_of(&waits, "/api/v1/plan").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer["status"], "error");
    let store = PageOptions {
        component: "store",
        ..options()
    };
    let (code, answer) = json_of(&router(&Board::new(), store), "/api/v1/plan").await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert_eq!(
        answer["error"],
        "varve store plans nothing, varve compact does"
    );
}

#[tokio::test]
async fn blocks_are_marked_unless_that_is_disabled_or_another_site_asks() {
    const BODY: &str = "id=01M8730YYK53DX21EDQCEJACBY&action=DELETION&detail=too+old";
    let marked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&marked);
    let marker = Marker(Arc::new(move |request: MarkRequest| {
        seen.lock().push(request.details);
        async { Ok(()) }.boxed()
    }));
    let on = router(
        &Board::new(),
        PageOptions {
            admin: Admin::On(marker),
            ..options()
        },
    );
    let mark = |headers: &[(&str, &str)]| request("POST", "/api/v1/blocks/mark", headers, BODY);
    let (code, headers, body) = ask(&on, mark(&[])).await;
    assert_eq!((code, body.as_slice()), (StatusCode::NO_CONTENT, &b""[..]));
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert_eq!(*marked.lock(), ["too old"]);
    let foreign = [("host", "a"), ("origin", "http://b")];
    let (code, ..) = ask(&on, mark(&foreign)).await;
    assert_eq!(code, StatusCode::FORBIDDEN);
    let (code, ..) = ask(&on, request("POST", "/api/v1/blocks/mark", &[], "id=")).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    let (code, _, body) = ask(&router(&Board::new(), options()), mark(&[])).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"], "Admin operations are disabled");
    assert_eq!(marked.lock().len(), 1);
}

#[tokio::test]
async fn the_page_is_below_its_prefix_and_known_under_that_of_the_proxy() {
    let below = PageOptions {
        prefixes: Prefixes::new("/in", "", "x-forwarded-prefix").unwrap(),
        cors: Cors::Off,
        ..options()
    };
    let router = router(&Board::new(), below);
    for (path, headers, to) in [
        ("/", &[][..], "/in/"),
        ("/in", &[("x-forwarded-prefix", "/out")], "/out/"),
    ] {
        let (code, answer, _) = ask(&router, request("GET", path, headers, "")).await;
        assert_eq!(code, StatusCode::FOUND, "{path}");
        assert_eq!(answer[header::LOCATION], to, "{path}");
    }
    let (code, headers, _) = ask(&router, request("GET", "/in/api/v1/blocks", &[], "")).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(headers.get("access-control-allow-origin"), None);
    let (code, ..) = ask(&router, request("GET", "/api/v1/blocks", &[], "")).await;
    assert_eq!(code, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn flags_and_the_build_are_told_as_prometheus_does() {
    let router = router(&Board::new(), options());
    let (_, flags) = json_of(&router, "/api/v1/status/flags").await;
    assert_eq!(flags["data"]["wait"], "true");
    let (_, build) = json_of(&router, "/api/v1/status/buildinfo").await;
    assert_eq!(build["data"]["version"], env!("CARGO_PKG_VERSION"));
    let (_, runtime) = json_of(&router, "/api/v1/status/runtimeinfo").await;
    assert_eq!(runtime["data"]["startTime"], "1970-01-01T00:00:01Z");
}
