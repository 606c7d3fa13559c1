//! TLS of the gRPC server, as Thanos's flags `--grpc-server-tls-*` set it.

use std::{path::PathBuf, sync::Arc};

use rustls::ServerConfig;

use super::{ClientAuth, Pem, TlsSettings, TlsVersion, cipher_suites, key_exchange, provider};
use crate::{Metrics, Reload, ServiceError, reload::Watched};

/// Settings of the gRPC server's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcTlsOptions {
    /// The certificate of the server and those between it and its authority, PEM (`--grpc-server-tls-cert`).
    pub cert_file: PathBuf,
    /// Its private key, PEM (`--grpc-server-tls-key`).
    pub key_file: PathBuf,
    /// The authorities of clients, PEM (`--grpc-server-tls-client-ca`). With it each client needs a certificate.
    pub client_ca_file: Option<PathBuf>,
    /// The least version of TLS (`--grpc-server-tls-min-version`).
    pub min_version: TlsVersion,
    /// Go's names of the cipher suites of TLS 1.2 (`--grpc-server-tls-ciphers`); empty: all of them.
    pub cipher_suites: Vec<String>,
    /// Go's names of the curves (`--grpc-server-tls-curves`); empty: all of them.
    pub curves: Vec<String>,
}

/// TLS of a gRPC server. The files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcTls(Watched<ServerConfig>);

impl GrpcTls {
    /// Reads the files. While the server runs it looks at them every second, and at each request of `reload`. Files
    /// that cannot be used change nothing.
    ///
    /// # Errors
    /// [`ServiceError::File`] for a file that cannot be used, or a name that is unknown.
    pub fn open(
        options: &GrpcTlsOptions,
        metrics: &Metrics,
        reload: &Reload,
    ) -> Result<Self, ServiceError> {
        let mut provider = provider();
        let chosen = Arc::make_mut(&mut provider);
        if !options.cipher_suites.is_empty() {
            let place = "--grpc-server-tls-ciphers";
            let suites = cipher_suites(place, &options.cipher_suites);
            chosen.cipher_suites = suites.map_err(|found| ServiceError::file(place, found))?;
        }
        if !options.curves.is_empty() {
            let place = "--grpc-server-tls-curves";
            let groups = key_exchange(place, &options.curves);
            chosen.kx_groups = groups.map_err(|found| ServiceError::file(place, found))?;
        }
        let settings = TlsSettings {
            certificate: Pem::File(options.cert_file.clone()),
            key: Pem::File(options.key_file.clone()),
            client_authorities: options.client_ca_file.clone().map(Pem::File),
            client_auth: match options.client_ca_file {
                Some(_) => ClientAuth::RequireAndVerify,
                None => ClientAuth::None,
            },
            allowed_sans: None,
            min: options.min_version,
            max: TlsVersion::V13,
            provider,
            servers_order: false,
            protocols: &[b"h2"],
        };
        let what = "the certificates of gRPC";
        let watched = Watched::open(what, "grpc_tls", metrics, reload, move |reader, _| {
            settings.load(reader)
        })?;
        Ok(Self(watched))
    }

    /// The configuration of now.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.0.get()
    }

    pub(crate) fn watched(&self) -> &Watched<ServerConfig> {
        &self.0
    }
}
