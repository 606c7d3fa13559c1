//! The address of a server.

use url::Url;

use super::{HttpClientConfig, HttpClientError};

impl HttpClientConfig {
    /// The address `text` of a server without the user in it, and this configuration with that user, if it gives no
    /// credentials itself.
    ///
    /// # Errors
    /// When `text` is no URL of HTTP.
    pub fn at(self, text: &str) -> Result<(Url, Self), HttpClientError> {
        let no_url = |reason: String| HttpClientError::Url {
            url: without_password(text),
            reason,
        };
        let mut url = Url::parse(text).map_err(|e| no_url(e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(no_url(format!(
                "scheme: expected http or https, found {:?}",
                url.scheme()
            )));
        }
        let config = self.with_user(url.username(), url.password().unwrap_or_default());
        // A URL is shown in errors, so its password is not kept in it.
        if url.set_username("").is_err() || url.set_password(None).is_err() {
            return Err(no_url("expected a host".to_owned()));
        }
        Ok((url, config))
    }
}

/// `path` below the path of `base`.
#[must_use]
pub fn url_below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// A URL, valid or not, with `***` for its user and password.
#[must_use]
pub fn without_password(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    // A password may hold what ends a host, if it is not escaped as it should be.
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}***@{host}"),
        None => format!("{scheme}{rest}"),
    }
}
