//! `tls_server_config` of the web configuration.

use std::{path::Path, sync::Arc};

use serde::Deserialize;

use crate::{
    secret::Secret,
    tls::{ClientAuth, Pem, TlsSettings, TlsVersion, cipher_suites, key_exchange, provider},
};

/// `tls_server_config`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsSection {
    cert: Option<Secret>,
    key: Option<Secret>,
    client_ca: Option<Secret>,
    cert_file: Option<String>,
    key_file: Option<String>,
    client_ca_file: Option<String>,
    client_auth_type: Option<String>,
    client_allowed_sans: Option<Vec<String>>,
    min_version: Option<String>,
    max_version: Option<String>,
    cipher_suites: Option<Vec<String>>,
    prefer_server_cipher_suites: Option<bool>,
    curve_preferences: Option<Vec<String>>,
}

impl TlsSection {
    /// The settings, if there is TLS. `place` names the file, in `folder`, for warnings about fields without effect.
    pub(super) fn settings(
        self,
        place: &str,
        folder: &Path,
        http2: bool,
    ) -> Result<Option<TlsSettings>, String> {
        let pem = |file: Option<String>, text: Option<Secret>, field: &'static str| {
            let file = file.filter(|file| !file.is_empty());
            let text = text.filter(|text| !text.0.is_empty());
            if file.is_some() && text.is_some() {
                tracing::warn!(
                    "{place}: tls_server_config: {field} has no effect, as {field}_file is given"
                );
            }
            let file = file.map(|file| Pem::File(folder.join(file)));
            file.or_else(|| text.map(|text| Pem::Inline(field, text)))
        };
        let certificate = pem(self.cert_file, self.cert, "cert");
        let key = pem(self.key_file, self.key, "key");
        let client_authorities = pem(self.client_ca_file, self.client_ca, "client_ca");
        let policy = self.client_auth_type.filter(|policy| !policy.is_empty());
        if certificate.is_none()
            && key.is_none()
            && client_authorities.is_none()
            && policy.is_none()
        {
            let fields = [
                ("client_allowed_sans", self.client_allowed_sans.is_some()),
                ("min_version", self.min_version.is_some()),
                ("max_version", self.max_version.is_some()),
                ("cipher_suites", self.cipher_suites.is_some()),
                ("curve_preferences", self.curve_preferences.is_some()),
            ];
            for (field, _) in fields.into_iter().filter(|(_, given)| *given) {
                tracing::warn!(
                    "{place}: tls_server_config: {field} has no effect without cert_file"
                );
            }
            return Ok(None);
        }
        let in_section =
            |field: &str, found: String| format!("tls_server_config: {field}: {found}");
        let missing = |field| {
            in_section(
                field,
                format!("expected {field}_file or {field}, found none"),
            )
        };
        let certificate = certificate.ok_or_else(|| missing("cert"))?;
        let key = key.ok_or_else(|| missing("key"))?;
        let client_auth = client_auth(policy.as_deref());
        let client_auth = client_auth.map_err(|found| in_section("client_auth_type", found))?;
        match (client_auth, &client_authorities) {
            (ClientAuth::None, Some(_)) => {
                let found = "it has no effect unless client_auth_type is RequireAndVerifyClientCert or VerifyClientCertIfGiven";
                return Err(in_section("client_ca", found.to_owned()));
            }
            (policy, None) if policy.verifies() => {
                let found = "expected client_ca_file with this client_auth_type, as the authorities of the system are not used for clients";
                return Err(in_section("client_ca", found.to_owned()));
            }
            (policy, Some(_)) if !policy.verifies() => tracing::warn!(
                "{place}: tls_server_config: client_ca has no effect, as this client_auth_type verifies no certificate"
            ),
            _ => {}
        }
        if client_auth == ClientAuth::None && self.client_allowed_sans.is_some() {
            tracing::warn!(
                "{place}: tls_server_config: client_allowed_sans has no effect, as client_auth_type requests no certificate"
            );
        }
        let version = |given: Option<String>, field, default| match given {
            Some(text) => text.parse().map_err(|found| in_section(field, found)),
            None => Ok(default),
        };
        let min = version(self.min_version, "min_version", TlsVersion::V12)?;
        let max = version(self.max_version, "max_version", TlsVersion::V13)?;
        if min > max {
            let found = "expected at most max_version, found more";
            return Err(in_section("min_version", found.to_owned()));
        }
        let mut provider = provider();
        let chosen = Arc::make_mut(&mut provider);
        let given = |names: Option<Vec<String>>| names.filter(|names| !names.is_empty());
        if let Some(names) = given(self.cipher_suites) {
            chosen.cipher_suites =
                cipher_suites(place, &names).map_err(|found| in_section("cipher_suites", found))?;
        }
        if let Some(names) = given(self.curve_preferences) {
            chosen.kx_groups = key_exchange(place, &names)
                .map_err(|found| in_section("curve_preferences", found))?;
        }
        Ok(Some(TlsSettings {
            certificate,
            key,
            client_authorities,
            client_auth,
            allowed_sans: self.client_allowed_sans,
            min,
            max,
            provider,
            servers_order: self.prefer_server_cipher_suites.unwrap_or(true),
            protocols: match http2 {
                true => &[b"h2", b"http/1.1"],
                false => &[b"http/1.1"],
            },
        }))
    }
}

/// Go's name of a policy.
fn client_auth(name: Option<&str>) -> Result<ClientAuth, String> {
    match name {
        None | Some("NoClientCert") => Ok(ClientAuth::None),
        Some("RequestClientCert") => Ok(ClientAuth::Request),
        Some("RequireAnyClientCert" | "RequireClientCert") => Ok(ClientAuth::RequireAny),
        Some("VerifyClientCertIfGiven") => Ok(ClientAuth::VerifyIfGiven),
        Some("RequireAndVerifyClientCert") => Ok(ClientAuth::RequireAndVerify),
        Some(other) => Err(format!(
            "expected NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert, found {other:?}"
        )),
    }
}
