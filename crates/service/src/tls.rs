//! TLS of the servers and of a gRPC client, by rustls with ring.

mod client;
mod client_auth;
mod go_names;
mod grpc;
mod pem;
mod server;
mod version;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use self::{
    client::{GrpcClientTls, GrpcConnector, TlsClient, Verification},
    grpc::{GrpcTls, GrpcTlsOptions},
    version::TlsVersion,
};
pub(crate) use self::{
    client_auth::ClientAuth,
    go_names::{cipher_suites, key_exchange},
    pem::Pem,
    server::TlsSettings,
};

/// Installs the process-wide provider of cryptography for TLS, unless one is installed.
pub fn install_crypto_provider() {
    // An error means that one is installed.
    let _ = ring::default_provider().install_default();
}

/// What ring has.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
