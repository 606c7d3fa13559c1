//! TLS of a gRPC client, as Thanos Query's flags `--grpc-client-tls-*` set it.

use std::{fmt, io, path::PathBuf, sync::Arc};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{self, Channel, Endpoint, Uri};
use tower::service_fn;

use super::{Pem, provider, server::unusable_pair};
use crate::{ServiceError, blocking, reload::Reader};

/// Settings of a gRPC client's TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcClientTls {
    /// The certificate of the client and those between it and its authority, and its private key, both PEM
    /// (`--grpc-client-tls-cert`, `--grpc-client-tls-key`).
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The authorities of servers, PEM (`--grpc-client-tls-ca`). Default: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The name in the server's certificate (`--grpc-client-server-name`). Default: that of the address.
    pub server_name: Option<String>,
    /// Whether the server's certificate is verified (`--grpc-client-tls-skip-verify`). Default: it is.
    pub verification: Verification,
}

/// Whether a server's certificate is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// It is.
    #[default]
    On,
    /// Any certificate will do, so anyone can pose as the server.
    Off,
}

/// Verifies no certificate.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

/// Connects to gRPC servers by TLS.
#[derive(Clone, Debug)]
pub struct GrpcConnector(TlsClient);

/// Connects to servers by TLS.
#[derive(Clone)]
pub struct TlsClient {
    tls: TlsConnector,
    server_name: Option<String>,
}

impl TlsClient {
    /// Reads the files; `protocols` are those to settle on (ALPN).
    ///
    /// # Errors
    /// [`ServiceError::File`] for a file that cannot be used.
    pub fn open(options: &GrpcClientTls, protocols: &[&[u8]]) -> Result<Self, ServiceError> {
        Ok(Self {
            tls: TlsConnector::from(Arc::new(options.config(protocols)?)),
            server_name: options.server_name.clone(),
        })
    }

    /// A connection to the server, whose certificate must have the name of the settings or `host`.
    ///
    /// # Errors
    /// When the server is not reached, or TLS not settled.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TlsStream<TcpStream>> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let invalid = |_| io::Error::other(format!("{name:?} is no name of a server"));
        let name = ServerName::try_from(name.to_owned()).map_err(invalid)?;
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        self.tls.connect(name, tcp).await
    }
}

impl GrpcConnector {
    /// Reads the files.
    ///
    /// # Errors
    /// [`ServiceError::File`] for a file that cannot be used.
    pub fn open(options: &GrpcClientTls) -> Result<Self, ServiceError> {
        TlsClient::open(options, &[b"h2"]).map(Self)
    }

    /// Connects to the server of `endpoint`, whose URL begins with `http://`.
    ///
    /// # Errors
    /// When the server is not reached, or TLS not settled.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, transport::Error> {
        let connector = self.clone();
        let connect = service_fn(move |uri: Uri| {
            let connector = connector.clone();
            async move { connector.stream(&uri).await.map(TokioIo::new) }
        });
        endpoint.connect_with_connector(connect).await
    }

    /// A channel to the server of `endpoint` that connects when it is used. The files are read at each connection.
    pub(crate) fn lazy(options: GrpcClientTls, endpoint: &Endpoint) -> Channel {
        let connect = service_fn(move |uri: Uri| {
            let options = options.clone();
            async move {
                let opened = blocking(move || Self::open(&options)).await;
                let connector = opened.map_err(io::Error::other)?;
                connector.stream(&uri).await.map(TokioIo::new)
            }
        });
        endpoint.connect_with_connector_lazy(connect)
    }

    async fn stream(&self, uri: &Uri) -> io::Result<TlsStream<TcpStream>> {
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(443);
        // Those of an IPv6 address.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        self.0.connect(host, port).await
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The configuration holds a key.
        let name = &self.server_name;
        f.debug_struct("TlsClient")
            .field("server_name", name)
            .finish_non_exhaustive()
    }
}

impl GrpcClientTls {
    /// The configuration that the files make, for one of these protocols.
    pub(crate) fn config(&self, protocols: &[&[u8]]) -> Result<ClientConfig, ServiceError> {
        let mut reader = Reader::default();
        let provider = provider();
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| ServiceError::file("TLS", error))?;
        let config = match self.verification {
            Verification::On => config.with_root_certificates(self.authorities(&mut reader)?),
            Verification::Off => config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anyone(provider))),
        };
        let mut config = match &self.identity {
            Some((certificate, key)) => {
                let [certificate, key] = [certificate, key].map(|path| Pem::File(path.clone()));
                let chain = certificate.certificates(&mut reader)?;
                config
                    .with_client_auth_cert(chain, key.key(&mut reader)?)
                    .map_err(|error| unusable_pair(&certificate, &key, &error))?
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }

    fn authorities(&self, reader: &mut Reader) -> Result<RootCertStore, ServiceError> {
        if let Some(path) = &self.ca_file {
            return Pem::File(path.clone()).authorities(reader);
        }
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
            let found = format!("no certificate authority {}", errors.join(", "));
            return Err(ServiceError::file(
                "the system's certificates",
                found.trim_end(),
            ));
        }
        Ok(roots)
    }
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
