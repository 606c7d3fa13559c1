//! Resolves the name in the server's certificate to the server.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Looks up `host` in place of `name`.
#[derive(Debug)]
pub(super) struct Renamed {
    pub(super) name: String,
    pub(super) host: String,
}

impl Resolve for Renamed {
    fn resolve(&self, name: Name) -> Resolving {
        let host = match name.as_str() == self.name {
            // An IPv6 address is in brackets in a URL.
            true => self.host.trim_matches(['[', ']']).to_owned(),
            false => name.as_str().to_owned(),
        };
        Box::pin(async move {
            // Port 0 leaves that of the URL.
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let found: Vec<_> = found.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
