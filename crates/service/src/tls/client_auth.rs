//! Which certificates of clients a server accepts.

use std::{fmt, net::IpAddr, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// Go's policies for certificates of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// They are not requested.
    #[default]
    None,
    /// They are requested and not verified.
    Request,
    /// There must be one, and it is not verified.
    RequireAny,
    /// They are verified if there are any.
    VerifyIfGiven,
    /// There must be one, and it is verified.
    RequireAndVerify,
}

/// Verifies the certificate of a client.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// Verifies that an authority has signed it; if there is none, any certificate will do.
    chain: Option<Arc<dyn ClientCertVerifier>>,
    mandatory: bool,
    /// If given, one of these must be among its subject alternative names.
    allowed_sans: Option<Vec<String>>,
    provider: Arc<CryptoProvider>,
}

/// No allowed name in a certificate.
#[derive(Debug)]
struct NotAllowed(Vec<String>);

impl ClientAuth {
    /// Whether certificates are verified.
    pub(crate) const fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }

    /// What verifies them, if they are requested.
    pub(crate) fn verifier(
        self,
        authorities: Option<RootCertStore>,
        allowed_sans: Option<Vec<String>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<Verifier>>, VerifierBuilderError> {
        if self == Self::None {
            return Ok(None);
        }
        let chain = if self.verifies() {
            let roots = Arc::new(authorities.unwrap_or_else(RootCertStore::empty));
            let provider = Arc::clone(provider);
            Some(WebPkiClientVerifier::builder_with_provider(roots, provider).build()?)
        } else {
            None
        };
        Ok(Some(Arc::new(Verifier {
            chain,
            mandatory: matches!(self, Self::RequireAny | Self::RequireAndVerify),
            allowed_sans,
            provider: Arc::clone(provider),
        })))
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.as_ref().map_or(&[], |c| c.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_client_cert(end_entity, intermediates, now)?;
        }
        if let Some(allowed) = &self.allowed_sans {
            let names = names(end_entity)?;
            if !names.iter().any(|name| allowed.contains(name)) {
                let error = OtherError(Arc::new(NotAllowed(names)));
                return Err(CertificateError::Other(error).into());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// The subject alternative names of a certificate that can be allowed: DNS names, e-mail addresses, IP addresses and
/// URIs.
fn names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let malformed = |_| Error::from(CertificateError::BadEncoding);
    let certificate = Certificate::from_der(certificate).map_err(malformed)?;
    let extension = certificate.tbs_certificate().get_extension();
    let names: Option<(bool, SubjectAltName)> = extension.map_err(malformed)?;
    let names = names.map(|(_, SubjectAltName(names))| names);
    let texts = names.into_iter().flatten().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::Rfc822Name(name) => Some(name.to_string()),
        GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
        GeneralName::IpAddress(octets) => address(octets.as_bytes()),
        _ => None,
    });
    Ok(texts.collect())
}

/// An IP address as Go writes it.
fn address(octets: &[u8]) -> Option<String> {
    let address = match *octets {
        [a, b, c, d] => IpAddr::from([a, b, c, d]),
        _ => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
    };
    Some(address.to_canonical().to_string())
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "none of its names is allowed: {:?}", self.0)
    }
}

impl std::error::Error for NotAllowed {}
