//! What stands before each request: the rate limit, the users, and the headers of the answer.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::time::Instant;

use super::{WebConfig, passwords::Passwords};

/// The state of [`gate`].
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    web: WebConfig,
    passwords: Arc<Passwords>,
}

impl Gate {
    /// Lets pass what the configuration of now allows.
    pub(crate) fn new(web: WebConfig) -> Self {
        Self {
            web,
            passwords: Arc::new(Passwords::new()),
        }
    }
}

/// Answers a request, or refuses it.
pub(crate) async fn gate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let web = gate.web.get();
    if let Some(limiter) = &web.limiter
        && !limiter.allows(Instant::now())
    {
        return (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n").into_response();
    }
    let users = &web.users;
    let allowed = users.is_empty() || gate.passwords.allow(users, request.headers()).await;
    let mut answer = match allowed {
        true => next.run(request).await,
        false => {
            let ask = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"))];
            (StatusCode::UNAUTHORIZED, ask, "Unauthorized\n").into_response()
        }
    };
    answer.headers_mut().extend(web.headers.clone());
    answer
}
