//! The settings of a server's TLS, and the configuration that they make of the files of now.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};

use super::{ClientAuth, Pem, TlsVersion};
use crate::{ServiceError, reload::Reader};

/// Settings of a server's TLS.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    pub(crate) certificate: Pem,
    pub(crate) key: Pem,
    pub(crate) client_authorities: Option<Pem>,
    pub(crate) client_auth: ClientAuth,
    pub(crate) allowed_sans: Option<Vec<String>>,
    pub(crate) min: TlsVersion,
    pub(crate) max: TlsVersion,
    /// The cipher suites and curves that are offered.
    pub(crate) provider: Arc<CryptoProvider>,
    /// Whether the order of the server's cipher suites counts, not that of the client's.
    pub(crate) servers_order: bool,
    /// Protocols for ALPN, the preferred first.
    pub(crate) protocols: &'static [&'static [u8]],
}

impl TlsSettings {
    /// The configuration that the files make.
    ///
    /// # Errors
    /// [`ServiceError::File`] names the file that cannot be used.
    pub(crate) fn load(&self, reader: &mut Reader) -> Result<ServerConfig, ServiceError> {
        let certificates = self.certificate.certificates(reader)?;
        let key = self.key.key(reader)?;
        let authorities = self.client_authorities.as_ref();
        let authorities = authorities.map(|pem| pem.authorities(reader)).transpose()?;
        let verifier = self
            .client_auth
            .verifier(authorities, self.allowed_sans.clone(), &self.provider)
            .map_err(|error| match &self.client_authorities {
                Some(pem) => pem.unusable(error),
                None => ServiceError::file("client certificate authorities", error),
            })?;
        let versions = TlsVersion::range(self.min, self.max);
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&versions)
            .map_err(|error| self.certificate.unusable(error))?;
        let config = match verifier {
            Some(verifier) => config.with_client_cert_verifier(verifier),
            None => config.with_client_cert_verifier(WebPkiClientVerifier::no_client_auth()),
        };
        let mut config = config
            .with_single_cert(certificates, key)
            .map_err(|error| unusable_pair(&self.certificate, &self.key, &error))?;
        config.alpn_protocols = self.protocols.iter().map(|p| p.to_vec()).collect();
        config.ignore_client_order = self.servers_order;
        if self.client_auth != ClientAuth::None {
            // A resumed session is not verified again, though the certificate may have expired since.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }
}

/// A certificate and a key that cannot be used together.
pub(super) fn unusable_pair(certificate: &Pem, key: &Pem, error: &rustls::Error) -> ServiceError {
    let found = match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("it does not match the key of {key}")
        }
        error => format!("it cannot be used with the key of {key}: {error}"),
    };
    certificate.unusable(found)
}
