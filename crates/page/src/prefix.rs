//! The paths below which the page is served, and under which its clients know it.

use axum::http::HeaderMap;

/// The prefixes of Thanos's flags. Links within the page are relative, so that they hold under any prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// Below it the routes are (`--web.route-prefix`): empty, or `/a/b`.
    route: String,
    /// Under it clients know them (`--web.external-prefix`): empty, or `/a/b`.
    external: String,
    /// The header in which a proxy names the latter (`--web.prefix-header`), if there is no external prefix.
    header: Option<String>,
}

/// A prefix that cannot be served.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PrefixError {
    /// It has other characters than paths of URLs have without escapes.
    #[error("expected a path of letters, digits and ._~-/, found {found:?}")]
    Characters {
        /// The prefix.
        found: String,
    },
    /// It is a path that every component serves.
    #[error("expected another path than {found}, which every component serves")]
    Reserved {
        /// The prefix.
        found: String,
    },
}

impl Prefixes {
    /// The prefixes of the flags; empty ones count as unset.
    ///
    /// # Errors
    /// When the routes cannot be below `route`.
    pub fn new(route: &str, external: &str, header: &str) -> Result<Self, PrefixError> {
        let clean = |text: &str| {
            let parts = text.split('/').filter(|part| !part.is_empty());
            let path: String = parts.map(|part| format!("/{part}")).collect();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._~-/".contains(c);
            let dots = path.split('/').any(|part| part == "." || part == "..");
            match path.chars().all(is_plain) && !dots {
                true => Ok(path),
                false => Err(PrefixError::Characters {
                    found: text.to_owned(),
                }),
            }
        };
        let route = clean(route)?;
        let path = |taken: &&str| {
            let below = taken.strip_prefix(route.as_str());
            !route.is_empty() && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if service::RESERVED_PATHS.iter().any(path) {
            return Err(PrefixError::Reserved { found: route });
        }
        Ok(Self {
            route,
            external: clean(external)?,
            header: Some(header.to_owned()).filter(|name| !name.is_empty()),
        })
    }

    /// Below it the routes are: empty, or `/a/b`.
    pub(crate) fn route(&self) -> &str {
        &self.route
    }

    /// Where a client finds the page, by its request.
    pub(crate) fn of(&self, headers: &HeaderMap) -> String {
        if !self.external.is_empty() {
            return format!("{}/", self.external);
        }
        let named = self.header.as_ref().and_then(|name| headers.get(name));
        let named = named.and_then(|value| value.to_str().ok());
        // A prefix of a client is a path of this host, whatever it says.
        let parts = named.unwrap_or_default().split(['/', '\\']);
        let plain = |part: &&str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._~-%".contains(c);
            !part.is_empty() && part.chars().all(is_plain) && *part != "." && *part != ".."
        };
        let path: String = parts.filter(plain).map(|p| format!("/{p}")).collect();
        match path.is_empty() {
            true => format!("{}/", self.route),
            false => format!("{path}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_client_finds_the_page_under_the_prefix_of_its_proxy() {
        let asks = |prefixes: &Prefixes, value: &'static str| {
            let name = HeaderName::from_static("x-forwarded-prefix");
            prefixes.of(&HeaderMap::from_iter([(
                name,
                HeaderValue::from_static(value),
            )]))
        };
        let header = Prefixes::new("in/", "", "X-Forwarded-Prefix").unwrap();
        assert_eq!(header.route(), "/in");
        assert_eq!(asks(&header, "/out/"), "/out/");
        assert_eq!(asks(&header, "https://elsewhere//out"), "/elsewhere/out/");
        assert_eq!(asks(&header, "//elsewhere/../x"), "/elsewhere/x/");
        assert_eq!(asks(&header, ""), "/in/");
        let external = Prefixes::new("", "/static", "X-Forwarded-Prefix").unwrap();
        assert_eq!(asks(&external, "/out"), "/static/");
    }

    #[test]
    fn a_prefix_that_cannot_be_served_is_refused() {
        for prefix in ["/a/{b}", "/a b", "/a/../b", "/*"] {
            assert!(Prefixes::new(prefix, "", "").is_err(), "{prefix}");
        }
        for prefix in ["metrics", "/-", "/-/ready/", "/debug"] {
            let error = Prefixes::new(prefix, "", "").unwrap_err();
            assert!(matches!(error, PrefixError::Reserved { .. }), "{prefix}");
        }
        assert!(Prefixes::new("/metrics-of-varve", "", "").is_ok());
    }
}
