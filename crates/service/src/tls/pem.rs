//! Certificates and keys as PEM, in files and in text.

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error, PemObject as _},
    },
};

use crate::{ServiceError, reload::Reader, secret::Secret};

/// The place of a PEM text.
#[derive(Clone, Debug)]
pub(crate) enum Pem {
    /// A file.
    File(PathBuf),
    /// The text itself, with the name of the field that has it.
    Inline(&'static str, Secret),
}

impl Pem {
    /// The certificates, at least one.
    pub(crate) fn certificates(
        &self,
        reader: &mut Reader,
    ) -> Result<Vec<CertificateDer<'static>>, ServiceError> {
        let pem = self.bytes(reader)?;
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match all {
            Ok(all) if all.is_empty() => Err(self.unusable("no certificate in PEM")),
            Ok(all) => Ok(all),
            Err(error) => Err(self.unusable(said(&error))),
        }
    }

    /// The first private key.
    pub(crate) fn key(&self, reader: &mut Reader) -> Result<PrivateKeyDer<'static>, ServiceError> {
        let pem = self.bytes(reader)?;
        PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
            Error::NoItemsFound => self.unusable("no private key in PEM that is not encrypted"),
            error => self.unusable(said(&error)),
        })
    }

    /// The certificates as authorities.
    pub(crate) fn authorities(&self, reader: &mut Reader) -> Result<RootCertStore, ServiceError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(reader)? {
            let added = roots.add(certificate);
            added.map_err(|error| self.unusable(format!("a certificate is unusable: {error}")))?;
        }
        Ok(roots)
    }

    /// An error that names the place.
    pub(crate) fn unusable(&self, found: impl fmt::Display) -> ServiceError {
        ServiceError::file(self, found)
    }

    fn bytes(&self, reader: &mut Reader) -> Result<Cow<'_, [u8]>, ServiceError> {
        match self {
            Self::File(path) => reader.read(path).map(Cow::Owned),
            Self::Inline(_, text) => Ok(Cow::Borrowed(text.0.as_bytes())),
        }
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => Path::display(path).fmt(f),
            Self::Inline(field, _) => f.write_str(field),
        }
    }
}

/// What is wrong, without the line that is: it may hold a key.
fn said(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "a section of PEM has no end",
        Error::IllegalSectionStart { .. } => "a section of PEM has no valid first line",
        Error::Base64Decode(_) => "a section of PEM is no valid base64",
        Error::NoItemsFound => "no section of PEM",
        _ => "unreadable PEM",
    }
}
