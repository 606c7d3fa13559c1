//! Tokens that a server gives for something else: a refresh token, the token of another issuer, or for being asked on
//! one of its machines.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method};
use object_store::{
    CredentialProvider,
    client::{HttpClient, HttpRequest, HttpRequestBody},
    gcp::GcpCredential,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use url::form_urlencoded;

use super::super::{Retry, values::Secret};

/// What the tokens allow.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.full_control";
/// What a token may be exchanged for that of a service account with.
const PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
/// A token is not used in the last part of its life.
const RESERVE: Duration = Duration::from_secs(240);
/// A local server that does not answer is not awaited for long.
const ATTEMPTS: usize = 3;

/// What is exchanged for tokens.
#[derive(Clone, Debug)]
pub(super) enum Grant {
    /// The identity of the machine or of the pod.
    Metadata { host: String },
    /// A user's login.
    Refresh {
        url: String,
        client_id: String,
        client_secret: Secret,
        refresh_token: Secret,
    },
    /// A token of another issuer.
    Exchange {
        url: String,
        audience: String,
        kind: String,
        subject: Subject,
        /// Where the token is exchanged once more, for that of a service account.
        act_as: Option<String>,
    },
}

/// Where the token of another issuer is: a file, or a URL asked with headers; as text, or in a field of JSON.
#[derive(Clone)]
pub(super) enum Subject {
    File(PathBuf, Option<String>),
    Url(String, BTreeMap<String, String>, Option<String>),
}

/// Tokens, each used until shortly before its end.
#[derive(Debug)]
pub(super) struct Tokens {
    grant: Grant,
    client: HttpClient,
    retry: Retry,
    last: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    credential: Arc<GcpCredential>,
    until: Instant,
}

/// The answer of a token server.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: Option<u64>,
}

/// The answer of the server of service accounts. Its tokens live an hour.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: String,
}

impl Tokens {
    pub(super) fn new(grant: Grant, client: HttpClient, retry: Retry) -> Self {
        Self {
            grant,
            client,
            retry,
            last: Mutex::default(),
        }
    }

    /// A new token, and its life.
    async fn fetch(&self) -> Result<(String, Duration), String> {
        let given: Given = match &self.grant {
            Grant::Metadata { host } => {
                let path = "computeMetadata/v1/instance/service-accounts/default/token";
                let mut request = request(
                    Method::GET,
                    &format!("http://{host}/{path}?scopes={SCOPE}"),
                    String::new(),
                )?;
                let flavor = HeaderValue::from_static("Google");
                request.headers_mut().insert("metadata-flavor", flavor);
                self.answer(request).await?
            }
            Grant::Refresh {
                url,
                client_id,
                client_secret,
                refresh_token,
            } => {
                let form = form(&[
                    ("grant_type", "refresh_token"),
                    ("client_id", client_id),
                    ("client_secret", &client_secret.0),
                    ("refresh_token", &refresh_token.0),
                ]);
                self.answer(posted(url, form)?).await?
            }
            Grant::Exchange {
                url,
                audience,
                kind,
                subject,
                act_as,
            } => {
                let subject = self.subject(subject).await?;
                let scope = if act_as.is_some() { PLATFORM } else { SCOPE };
                let form = form(&[
                    (
                        "grant_type",
                        "urn:ietf:params:oauth:grant-type:token-exchange",
                    ),
                    ("audience", audience),
                    ("scope", scope),
                    (
                        "requested_token_type",
                        "urn:ietf:params:oauth:token-type:access_token",
                    ),
                    ("subject_token_type", kind),
                    ("subject_token", &subject),
                ]);
                let given: Given = self.answer(posted(url, form)?).await?;
                match act_as {
                    Some(url) => self.impersonated(url, &given.access_token).await?,
                    None => given,
                }
            }
        };
        let life = Duration::from_secs(given.expires_in.unwrap_or(3600));
        Ok((given.access_token, life))
    }

    /// The token of a service account.
    async fn impersonated(&self, url: &str, token: &str) -> Result<Given, String> {
        let body = json!({"scope": [SCOPE], "lifetime": "3600s"});
        let mut request = request(Method::POST, url, body.to_string())?;
        let headers = request.headers_mut();
        let bearer = HeaderValue::try_from(format!("Bearer {token}"));
        let bearer = bearer.map_err(|_| "the token is no header".to_owned())?;
        headers.insert("authorization", bearer);
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let Impersonated { access_token } = self.answer(request).await?;
        Ok(Given {
            access_token,
            expires_in: None,
        })
    }

    /// The token of the other issuer.
    async fn subject(&self, subject: &Subject) -> Result<String, String> {
        let (text, field) = match subject {
            Subject::File(path, field) => {
                let text = tokio::fs::read_to_string(path).await;
                let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
                (text, field)
            }
            Subject::Url(url, headers, field) => {
                let mut request = request(Method::GET, url, String::new())?;
                for (name, value) in headers {
                    if let (Ok(name), Ok(value)) =
                        (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
                    {
                        request.headers_mut().insert(name, value);
                    }
                }
                (self.text(request).await?, field)
            }
        };
        let Some(field) = field else {
            return Ok(text.trim().to_owned());
        };
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        let token = json.get(field).and_then(Value::as_str);
        let token = token.ok_or_else(|| format!("expected JSON with a token in {field}"))?;
        Ok(token.to_owned())
    }

    async fn answer<T: for<'de> Deserialize<'de>>(
        &self,
        request: HttpRequest,
    ) -> Result<T, String> {
        let server = request.uri().authority().map(ToString::to_string);
        let text = self.text(request).await?;
        // The error's text could have the token.
        serde_json::from_str(&text).map_err(|_| {
            let server = server.unwrap_or_default();
            format!("{server} answers without a token")
        })
    }

    /// The text that a server answers, after retries.
    async fn text(&self, request: HttpRequest) -> Result<String, String> {
        let server = request.uri().authority().map(ToString::to_string);
        let server = server.unwrap_or_default();
        let mut left = self.retry.attempts.min(ATTEMPTS);
        loop {
            let failed = match self.client.execute(request.clone()).await {
                Ok(response) => {
                    let status = response.status();
                    let body = response.into_body().bytes().await;
                    let body = body.map_err(|error| format!("{server}: {error}"))?;
                    let text = String::from_utf8_lossy(&body).into_owned();
                    if status.is_success() {
                        return Ok(text);
                    }
                    let failed = format!("{server} answers {status}: {}", text.trim());
                    if !status.is_server_error() {
                        return Err(failed);
                    }
                    failed
                }
                Err(error) => format!("{server}: {error}"),
            };
            if left == 0 {
                return Err(failed);
            }
            left -= 1;
            sleep(self.retry.pause).await;
        }
    }
}

#[async_trait]
impl CredentialProvider for Tokens {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let mut last = self.last.lock().await;
        let now = Instant::now();
        if let Some(token) = last.as_ref().filter(|token| now < token.until) {
            return Ok(Arc::clone(&token.credential));
        }
        let (bearer, life) = self
            .fetch()
            .await
            .map_err(|reason| object_store::Error::Generic {
                store: "GCS",
                source: format!("found no credentials: {reason}").into(),
            })?;
        let credential = Arc::new(GcpCredential { bearer });
        *last = Some(Token {
            credential: Arc::clone(&credential),
            until: now + life.saturating_sub(RESERVE.min(life / 2)),
        });
        Ok(credential)
    }
}

fn form(pairs: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs);
    form.finish()
}

fn posted(url: &str, form: String) -> Result<HttpRequest, String> {
    let mut request = request(Method::POST, url, form)?;
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert("content-type", kind);
    Ok(request)
}

fn request(method: Method, url: &str, body: String) -> Result<HttpRequest, String> {
    let mut request = HttpRequest::new(HttpRequestBody::from(body));
    *request.method_mut() = method;
    let uri = url.parse();
    *request.uri_mut() = uri.map_err(|error| format!("{url}: {error}"))?;
    Ok(request)
}

impl std::fmt::Debug for Subject {
    /// Headers may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path, _) => f.debug_tuple("File").field(path).finish(),
            Self::Url(url, ..) => f.debug_tuple("Url").field(url).finish(),
        }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}
