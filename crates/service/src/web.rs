//! Prometheus's web configuration (`--http.config`): TLS, users, headers and a rate limit of the HTTP server.

mod document;
mod gate;
mod headers;
mod limiter;
mod passwords;
mod tls_section;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::http::HeaderMap;
use rustls::ServerConfig;

pub(crate) use self::gate::{Gate, gate};
use self::limiter::Limiter;
use crate::{
    Metrics, Reload, ServiceError,
    reload::{Reader, Watched},
    secret::Secret,
};

/// The web configuration of an HTTP server. Its files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfig(Watched<Web>);

/// What the file says now.
pub(crate) struct Web {
    /// TLS, if it is served.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Whether HTTP/2 is served.
    pub(crate) http2: bool,
    /// Headers of each answer.
    headers: HeaderMap,
    /// The bcrypt hash of each user's password. Without users everyone may come.
    users: Arc<BTreeMap<String, Secret>>,
    limiter: Option<Arc<Limiter>>,
    /// Whether the file has no content.
    empty: bool,
}

impl WebConfig {
    /// Reads the file and those that it names, whose paths are relative to its folder. While the server runs it looks at
    /// them every second, and at each request of `reload`. Files that cannot be used change nothing. TLS cannot be
    /// switched on or off while the server runs.
    ///
    /// # Errors
    /// [`ServiceError::File`] names the file and the field that cannot be used.
    pub fn open(path: &Path, metrics: &Metrics, reload: &Reload) -> Result<Self, ServiceError> {
        let path = PathBuf::from(path);
        let what = "the files of the web configuration";
        let watched = Watched::open(what, "http_config", metrics, reload, move |reader, last| {
            Web::load(&path, reader, last)
        })?;
        Ok(Self(watched))
    }

    /// The configuration of now.
    pub(crate) fn get(&self) -> Arc<Web> {
        self.0.get()
    }

    pub(crate) fn watched(&self) -> &Watched<Web> {
        &self.0
    }
}

impl Web {
    fn load(path: &Path, reader: &mut Reader, last: Option<&Self>) -> Result<Self, ServiceError> {
        let unusable = |found: String| ServiceError::file(path.display(), found);
        let bytes = reader.read(path)?;
        let text = str::from_utf8(&bytes).map_err(|_| unusable("it is not UTF-8".to_owned()))?;
        let empty = text.trim().is_empty();
        if empty && last.is_some_and(|last| !last.empty) {
            // It may be about to be written.
            return Err(unusable("it is empty, and was not".to_owned()));
        }
        let place = path.display().to_string();
        let document = document::parse(text).map_err(unusable)?;
        let http = document.http_server_config.unwrap_or_default();
        let http2 = http.http2.unwrap_or(true);
        let headers = headers::parse(http.headers.unwrap_or_default()).map_err(unusable)?;
        let users = document.basic_auth_users.unwrap_or_default();
        passwords::check(&users).map_err(unusable)?;
        let limiter = limiter::parse(document.rate_limit.unwrap_or_default()).map_err(unusable)?;
        let section = document.tls_server_config.unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new(""));
        let settings = section.settings(&place, folder, http2).map_err(unusable)?;
        let tls = settings.map(|settings| settings.load(reader)).transpose()?;
        if last.is_some_and(|last| last.tls.is_some() != tls.is_some()) {
            let text = "tls_server_config: TLS is switched on or off by a restart only";
            return Err(unusable(text.to_owned()));
        }
        // One that has the same settings goes on.
        let limiter = limiter.map(Arc::new).map(|limiter| {
            let before = last.and_then(|last| last.limiter.as_ref());
            before
                .filter(|before| before.has_settings_of(&limiter))
                .map_or(limiter, Arc::clone)
        });
        Ok(Self {
            tls: tls.map(Arc::new),
            http2,
            headers,
            users: Arc::new(users),
            limiter,
            empty,
        })
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web")
            .field("tls", &self.tls.is_some())
            .field("http2", &self.http2)
            .field("headers", &self.headers)
            .field("users", &self.users)
            .field("limiter", &self.limiter)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
