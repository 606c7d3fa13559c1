//! The routes: the page and its API.

mod status;

use std::{collections::BTreeMap, io, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get, post},
};
use model::Timestamp;
use serde::Serialize;
use service::{Clock, CpuPool, HttpRoutes};

use crate::{
    Board, Marker, Prefixes,
    answer::{self, Activity, BlockDetails, Refusal, Success, Timeline, View},
    board,
    encoded::{Encoded, Kept},
    html::Html,
    mark::{MarkRequest, is_foreign},
};

const JSON: &str = "application/json";

/// The most bytes of a form.
const FORM: usize = 16 << 10;

/// How the page is served.
#[derive(Clone, Debug)]
pub struct PageOptions {
    /// The component, as in `varve <component>`.
    pub component: &'static str,
    /// The label whose value titles a group; empty for all labels.
    pub label: String,
    /// Where it is served.
    pub prefixes: Prefixes,
    /// Whether scripts of other sites may read the API.
    pub cors: Cors,
    /// Whether blocks can be marked.
    pub admin: Admin,
    /// The component's flags and their values, without secrets.
    pub flags: BTreeMap<String, String>,
}

/// Whether scripts of other sites may read the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cors {
    /// They may, as with Thanos by default. They cannot mark blocks.
    On,
    /// They may not.
    Off,
}

/// Whether blocks can be marked.
#[derive(Clone, Debug)]
pub enum Admin {
    /// They cannot.
    Off,
    /// By this.
    On(Marker),
}

/// What the routes share.
#[derive(Debug)]
struct Page {
    board: Board,
    options: PageOptions,
    clock: Arc<dyn Clock>,
    /// Its own, as that of merges is busy for minutes.
    pool: CpuPool,
    html: Html,
    /// Tells the versions of this process from those of others.
    started: Timestamp,
    global: Kept,
    loaded: Kept,
    timeline: Kept,
    plan: Kept,
}

type Shared = State<Arc<Page>>;

/// The routes of the page of `board`, for [`service::serve_http`].
///
/// # Errors
/// When the page cannot be compressed, which takes memory alone.
pub fn routes(board: Board, options: PageOptions, clock: Arc<dyn Clock>) -> io::Result<HttpRoutes> {
    let prefixes = options.prefixes.clone();
    let cors = options.cors;
    let page = Arc::new(Page {
        board,
        options,
        started: Timestamp(clock.now_ms()),
        clock,
        pool: CpuPool::for_requests(1),
        html: Html::new()?,
        global: Kept::default(),
        loaded: Kept::default(),
        timeline: Kept::default(),
        plan: Kept::default(),
    });
    let mut handlers = Vec::new();
    let mut router: Router<Arc<Page>> = Router::new();
    let below = |path: &str| format!("{}{path}", prefixes.route());
    let mark = post(mark).layer(DefaultBodyLimit::max(FORM));
    let api: [(&str, &'static str, MethodRouter<Arc<Page>>); 9] = [
        ("/api/v1/blocks", "blocks", get(blocks)),
        ("/api/v1/blocks/mark", "blocks_mark", mark),
        ("/api/v1/served", "served", get(served)),
        ("/api/v1/block", "block", get(block)),
        ("/api/v1/timeline", "timeline", get(timeline)),
        ("/api/v1/activity", "activity", get(activity)),
        ("/api/v1/plan", "plan", get(plan)),
        ("/api/v1/status/flags", "status_flags", get(flags)),
        (
            "/api/v1/status/buildinfo",
            "status_build",
            get(status::build),
        ),
    ];
    for (path, handler, route) in api {
        router = router.route(&below(path), route.options(preflight));
        handlers.push((below(path), handler));
    }
    let path = below("/api/v1/status/runtimeinfo");
    router = router.route(&path, get(runtime).options(preflight));
    handlers.push((path, "status_runtime"));
    if cors == Cors::On {
        router = router.layer(middleware::from_fn(with_cors));
    }
    // The paths of Thanos's pages.
    for path in ["/", "/blocks", "/global", "/loaded"] {
        router = router.route(&below(path), get(html));
        handlers.push((below(path), "page"));
    }
    if !prefixes.route().is_empty() {
        for path in ["/", prefixes.route()] {
            router = router.route(path, get(redirect));
            handlers.push((path.to_owned(), "redirect"));
        }
    }
    Ok(HttpRoutes {
        router: router.with_state(page),
        handlers,
    })
}

impl Page {
    /// The ETag of what changes with the contents and the plan, and with `more`.
    fn etag(&self, state: &board::State, more: &str) -> String {
        let (started, version) = (self.started.0, state.version);
        format!("W/\"{started:x}-{version:x}{more}\"")
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }
}

async fn html(State(page): Shared, headers: HeaderMap) -> Response {
    let mut answer = page
        .html
        .encoded
        .answer(&headers, "text/html; charset=utf-8");
    let all = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, page.html.policy.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            all.insert(name, value);
        }
    }
    answer
}

/// From elsewhere to the page.
async fn redirect(State(page): Shared, headers: HeaderMap) -> Response {
    let to = page.options.prefixes.of(&headers);
    (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
}

async fn blocks(
    State(page): Shared,
    Query(asked): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let (view, kept) = match asked.get("view").map(String::as_str) {
        Some("loaded") => (View::Loaded, &page.loaded),
        _ => (View::Global, &page.global),
    };
    let state = page.board.state();
    let looked = state.looked_at.map_or(0, |at| at.0);
    let etag = page.etag(&state, &format!("-{looked:x}-{view:?}"));
    let label = page.options.label.clone();
    let encoded = kept.get(&page.pool, etag, move |out| {
        answer::blocks(&state, view, &label, out)
    });
    encoded_answer(encoded.await, &headers)
}

/// The Parquet blocks that a gateway serves whole, for compactors that wait for that.
async fn served(State(page): Shared) -> Response {
    let component = page.options.component;
    if component != "store" {
        let error = format!("varve {component} serves no blocks, varve store does");
        return refuse(StatusCode::NOT_FOUND, "not_found", &error);
    }
    match page.board.state().served {
        Some(served) => page.pool.run(move || success(&*served)).await,
        None => {
            let error = "nothing is served yet, as the bucket was not listed yet";
            refuse(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error)
        }
    }
}

async fn timeline(State(page): Shared, headers: HeaderMap) -> Response {
    let state = page.board.state();
    let etag = page.etag(&state, "");
    let version = etag.clone();
    let encoded = page.timeline.get(&page.pool, etag, move |out| {
        let timeline = Success::new(Timeline::new(&state, &version));
        Ok(serde_json::to_writer(out, &timeline)?)
    });
    encoded_answer(encoded.await, &headers)
}

async fn activity(State(page): Shared) -> Response {
    let state = page.board.state();
    let version = page.etag(&state, "");
    success(&Activity {
        component: page.options.component,
        label: &page.options.label,
        plans: plans(&page),
        version: &version,
        ..Activity::new(&state, page.now())
    })
}

async fn block(State(page): Shared, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    let root = asked.get("root").map(String::as_str).unwrap_or_default();
    let state = page.board.state();
    match state.contents.get(root) {
        Some(block) => success(&BlockDetails::new(block, &state)),
        None => {
            let error = format!("no block {root} was listed");
            refuse(StatusCode::NOT_FOUND, "not_found", &error)
        }
    }
}

async fn plan(State(page): Shared, headers: HeaderMap) -> Response {
    let state = page.board.state();
    let Some(plan) = state.plan.clone() else {
        return match plans(&page) {
            true => {
                let error = "nothing is planned yet, as the bucket was not listed yet";
                refuse(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error)
            }
            false => {
                let component = page.options.component;
                let error = format!("varve {component} plans nothing, varve compact does");
                refuse(StatusCode::NOT_FOUND, "not_found", &error)
            }
        };
    };
    // What runs is as of this second.
    let second = page.now().0 / 1000;
    let etag = page.etag(&state, &format!("-{second:x}"));
    let encoded = page.plan.get(&page.pool, etag, move |out| {
        answer::plan(&state, &plan, out)
    });
    encoded_answer(encoded.await, &headers)
}

async fn flags(State(page): Shared) -> Response {
    success(&page.options.flags)
}

async fn runtime(State(page): Shared) -> Response {
    success(&status::runtime(page.started, page.now()))
}

async fn mark(State(page): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let bad = |error: &str| refuse(StatusCode::BAD_REQUEST, "bad_data", error);
    let Admin::On(marker) = &page.options.admin else {
        return bad("Admin operations are disabled");
    };
    if is_foreign(&headers) {
        let error = "the request comes from a page of another site";
        return refuse(StatusCode::FORBIDDEN, "bad_data", error);
    }
    let mut fields = form(uri.query().unwrap_or_default().as_bytes());
    fields.extend(form(&body));
    let request = match MarkRequest::read(&fields) {
        Ok(request) => request,
        Err(error) => return bad(&error),
    };
    let MarkRequest { block, action, .. } = &request;
    tracing::info!(%block, ?action, "mark asked for through the API");
    match (marker.0)(request).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => bad(&error),
    }
}

/// The fields of a form.
fn form(text: &[u8]) -> BTreeMap<String, String> {
    let text = str::from_utf8(text).unwrap_or_default();
    let uri = format!("/?{text}").parse::<Uri>();
    let fields = uri.map(|uri| Query::<Vec<(String, String)>>::try_from_uri(&uri));
    let fields = fields.ok().and_then(Result::ok);
    fields
        .map(|Query(fields)| fields)
        .into_iter()
        .flatten()
        .collect()
}

/// Asked by browsers before a script of another site sends something.
async fn preflight() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Thanos's headers.
async fn with_cors(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    for (name, value) in [
        (
            "access-control-allow-headers",
            "Accept, Accept-Encoding, Authorization, Content-Type, Origin",
        ),
        ("access-control-allow-methods", "GET, POST, OPTIONS"),
        ("access-control-allow-origin", "*"),
        ("access-control-expose-headers", "Date"),
    ] {
        let name = HeaderName::from_static(name);
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Whether the component plans.
fn plans(page: &Page) -> bool {
    page.options.component == "compact"
}

fn encoded_answer(encoded: io::Result<Encoded>, headers: &HeaderMap) -> Response {
    match encoded {
        Ok(encoded) => encoded.answer(headers, JSON),
        Err(error) => {
            tracing::error!(%error, "answer not encoded");
            let error = error.to_string();
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal", &error)
        }
    }
}

fn success(data: &impl Serialize) -> Response {
    json(StatusCode::OK, &Success::new(data))
}

fn refuse(code: StatusCode, error_type: &'static str, error: &str) -> Response {
    let refusal = Refusal {
        status: "error",
        error_type,
        error,
    };
    json(code, &refusal)
}

fn json(code: StatusCode, answer: &impl Serialize) -> Response {
    let headers = [
        (header::CONTENT_TYPE, JSON),
        (header::CACHE_CONTROL, "no-store"),
    ];
    match serde_json::to_vec(answer) {
        Ok(text) => (code, headers, text).into_response(),
        Err(error) => {
            let text = error.to_string();
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

#[cfg(test)]
mod tests;
