//! `tls_config`: certificates of the server and of the client.

use std::{fmt::Display, fs, sync::Arc};

use parking_lot::Mutex;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        ResolvesClientCert, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    sign::CertifiedKey,
};
use serde::Deserialize;

use super::super::values::or_default;
use crate::BucketError;

/// The section, as Thanos has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    #[serde(deserialize_with = "or_default")]
    pub(super) ca_file: String,
    #[serde(deserialize_with = "or_default")]
    cert_file: String,
    #[serde(deserialize_with = "or_default")]
    key_file: String,
    #[serde(deserialize_with = "or_default")]
    server_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) insecure_skip_verify: bool,
}

/// The client's certificate, read at each handshake, so that a new one is used without a restart.
#[derive(Debug)]
struct FromFiles {
    tls: Tls,
    provider: Arc<CryptoProvider>,
    last: Mutex<Arc<CertifiedKey>>,
}

/// Verifies the server's certificate.
#[derive(Debug)]
struct Verifier {
    /// Verifies that an authority has signed it; without one, any certificate will do.
    chain: Option<Arc<dyn ServerCertVerifier>>,
    /// The name in it, if that is not the one in the URL.
    name: Option<ServerName<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Tls {
    /// Refuses what is contradictory.
    pub(super) fn check(&self) -> Result<(), BucketError> {
        for (field, other, is_alone) in [
            (
                "cert_file",
                "key_file",
                !self.cert_file.is_empty() && self.key_file.is_empty(),
            ),
            (
                "key_file",
                "cert_file",
                self.cert_file.is_empty() && !self.key_file.is_empty(),
            ),
        ] {
            if is_alone {
                let reason = format!("expected {other} beside it, found none");
                return Err(unusable(field, &reason));
            }
        }
        Ok(())
    }

    /// Whether it asks for more than other roots.
    pub(super) fn is_special(&self) -> bool {
        !self.cert_file.is_empty() || !self.server_name.is_empty()
    }

    /// The configuration of the connections.
    ///
    /// # Errors
    /// [`BucketError::Config`] when a file or the name cannot be used.
    pub(super) fn config(&self, skips_verify: bool) -> Result<ClientConfig, BucketError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(skips_verify, &provider)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| BucketError::config("config.http_config.tls_config", error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        if self.cert_file.is_empty() {
            return Ok(builder.with_no_client_auth());
        }
        let last = Mutex::new(Arc::new(self.certified(&provider)?));
        Ok(builder.with_client_cert_resolver(Arc::new(FromFiles {
            tls: self.clone(),
            provider,
            last,
        })))
    }

    fn verifier(
        &self,
        skips_verify: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, BucketError> {
        if skips_verify {
            return Ok(Arc::new(Verifier {
                chain: None,
                name: None,
                provider: Arc::clone(provider),
            }));
        }
        let verifier: Arc<dyn ServerCertVerifier> = if self.ca_file.is_empty() {
            let system = rustls_platform_verifier::Verifier::new(Arc::clone(provider));
            Arc::new(system.map_err(|error| unusable("server_name", &error))?)
        } else {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("ca_file", &self.ca_file)? {
                let added = roots.add(certificate);
                added.map_err(|error| self.unusable_ca(&error))?;
            }
            let provider = Arc::clone(provider);
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| self.unusable_ca(&error))?
        };
        if self.server_name.is_empty() {
            return Ok(verifier);
        }
        let name = ServerName::try_from(self.server_name.clone());
        let name = name.map_err(|error| unusable("server_name", &error))?;
        Ok(Arc::new(Verifier {
            chain: Some(verifier),
            name: Some(name),
            provider: Arc::clone(provider),
        }))
    }

    /// The client's certificate and key.
    fn certified(&self, provider: &CryptoProvider) -> Result<CertifiedKey, BucketError> {
        let chain = certificates("cert_file", &self.cert_file)?;
        let failed =
            |error: &dyn Display| unusable("key_file", &format!("{}: {error}", self.key_file));
        let key = fs::read(&self.key_file).map_err(|error| failed(&error))?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| failed(&"expected a private key in PEM, found none"))?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| failed(&error))
    }

    pub(super) fn unusable_ca(&self, error: &dyn Display) -> BucketError {
        unusable("ca_file", &format!("{}: {error}", self.ca_file))
    }
}

fn certificates(field: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, BucketError> {
    let failed = |error: &dyn Display| unusable(field, &format!("{path}: {error}"));
    let pem = fs::read(path).map_err(|error| failed(&error))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let read = read.map_err(|error| failed(&error))?;
    if read.is_empty() {
        return Err(failed(&"expected certificates, found none"));
    }
    Ok(read)
}

fn unusable(field: &str, error: &dyn Display) -> BucketError {
    BucketError::config(format!("config.http_config.tls_config.{field}"), error)
}

impl ResolvesClientCert for FromFiles {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        match self.tls.certified(&self.provider) {
            Ok(read) => {
                let read = Arc::new(read);
                *self.last.lock() = Arc::clone(&read);
                Some(read)
            }
            Err(error) => {
                tracing::warn!(%error, "the client certificate stays as it was read before");
                Some(Arc::clone(&self.last.lock()))
            }
        }
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        let name = self.name.as_ref().unwrap_or(server_name);
        chain.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
