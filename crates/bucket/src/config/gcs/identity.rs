//! Who the requests come from: the JSON of `service_account`; else that of the file `GOOGLE_APPLICATION_CREDENTIALS`,
//! or of gcloud's; else the metadata server, which also serves workload identities.

use std::{fmt, fs, path::PathBuf, sync::Arc};

use object_store::{
    client::HttpClient,
    gcp::{GcpCredentialProvider, GoogleCloudStorageBuilder},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{Retry, values::Secret},
    tokens::{Grant, Subject, Tokens},
};
use crate::BucketError;

/// Google's server for refresh tokens.
const REFRESH: &str = "https://oauth2.googleapis.com/token";
/// The address of the metadata server.
const METADATA: &str = "169.254.169.254";

/// A source of credentials.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// Where it was found.
    place: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// A key that signs tokens; its JSON.
    ServiceAccount(Secret),
    /// A grant that is exchanged for tokens.
    Grant(Grant),
}

/// The fields of all kinds of credentials.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(rename = "type")]
    kind: String,
    universe_domain: String,
    private_key: String,
    private_key_id: String,
    client_email: String,
    client_id: String,
    client_secret: String,
    refresh_token: String,
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: String,
    credential_source: Source,
}

/// Where the token of another issuer is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    file: String,
    url: String,
    headers: std::collections::BTreeMap<String, String>,
    format: Format,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    subject_token_field_name: String,
}

impl Identity {
    /// The configured identity, or that of the environment. An empty variable counts as unset.
    ///
    /// # Errors
    /// [`BucketError::Config`] when a file cannot be read, or credentials cannot be used. The text has none of them.
    pub(super) fn find(
        service_account: &Secret,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BucketError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if !service_account.is_empty() {
            return Self::of_json(&service_account.0, "config.service_account".to_owned());
        }
        if let Some(path) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
            let place = format!("GOOGLE_APPLICATION_CREDENTIALS: {path}");
            return match fs::read_to_string(&path) {
                Ok(json) => Self::of_json(&json, place),
                Err(error) => Err(BucketError::config(place, error)),
            };
        }
        let folder = variable("CLOUDSDK_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| {
            let home = PathBuf::from(variable("HOME")?);
            Some(home.join(".config").join("gcloud"))
        });
        if let Some(path) = folder.map(|it| it.join("application_default_credentials.json")) {
            match fs::read_to_string(&path) {
                Ok(json) => return Self::of_json(&json, path.display().to_string()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(BucketError::config(path.display().to_string(), error));
                }
            }
        }
        let host = variable("GCE_METADATA_HOST").unwrap_or_else(|| METADATA.to_owned());
        Ok(Self {
            place: format!("the metadata server {host}"),
            kind: Kind::Grant(Grant::Metadata { host }),
        })
    }

    fn of_json(json: &str, place: String) -> Result<Self, BucketError> {
        let refuse = |reason: &str| Err(BucketError::config(place.as_str(), reason));
        // The library's text about a value of another type would show it.
        let Ok(value) = serde_json::from_str::<Value>(json) else {
            return refuse("expected the JSON of credentials, found other text");
        };
        let Ok(fields) = serde_json::from_value::<Fields>(value) else {
            return refuse("expected the JSON of credentials, found a field of another type");
        };
        if !["", "googleapis.com"].contains(&fields.universe_domain.as_str()) {
            return refuse("expected universe_domain googleapis.com, others are not supported");
        }
        let missing = |needed: &[(&'static str, &String)]| {
            let mut needed = needed.iter();
            let empty = needed.find(|(_, value)| value.is_empty());
            empty.map(|(name, _)| format!("expected {name}, found none"))
        };
        let kind = match fields.kind.as_str() {
            "service_account" => {
                let needed = [
                    ("private_key", &fields.private_key),
                    ("client_email", &fields.client_email),
                ];
                if let Some(reason) = missing(&needed) {
                    return refuse(&reason);
                }
                let key = json!({
                    "private_key": fields.private_key,
                    "private_key_id": fields.private_key_id,
                    "client_email": fields.client_email,
                });
                Kind::ServiceAccount(Secret(key.to_string()))
            }
            "authorized_user" => {
                let needed = [
                    ("client_id", &fields.client_id),
                    ("client_secret", &fields.client_secret),
                    ("refresh_token", &fields.refresh_token),
                ];
                if let Some(reason) = missing(&needed) {
                    return refuse(&reason);
                }
                Kind::Grant(Grant::Refresh {
                    url: REFRESH.to_owned(),
                    client_id: fields.client_id,
                    client_secret: Secret(fields.client_secret),
                    refresh_token: Secret(fields.refresh_token),
                })
            }
            "external_account" => {
                let needed = [
                    ("audience", &fields.audience),
                    ("subject_token_type", &fields.subject_token_type),
                    ("token_url", &fields.token_url),
                ];
                if let Some(reason) = missing(&needed) {
                    return refuse(&reason);
                }
                let source = fields.credential_source;
                let field = match source.format.kind.as_str() {
                    "json" => Some(source.format.subject_token_field_name),
                    _ => None,
                };
                let subject = match (source.file.as_str(), source.url.as_str()) {
                    ("", "") => {
                        return refuse(
                            "expected credential_source with file or url; those of AWS and of a program are not supported",
                        );
                    }
                    ("", _) => Subject::Url(source.url, source.headers, field),
                    _ => Subject::File(source.file.into(), field),
                };
                let act_as = fields.service_account_impersonation_url;
                Kind::Grant(Grant::Exchange {
                    url: fields.token_url,
                    audience: fields.audience,
                    kind: fields.subject_token_type,
                    subject,
                    act_as: Some(act_as).filter(|url| !url.is_empty()),
                })
            }
            // The value is a part of what is secret as a whole.
            _ => {
                return refuse(
                    "expected type service_account, authorized_user or external_account, found another",
                );
            }
        };
        Ok(Self { place, kind })
    }

    /// The provider of the tokens. No request is made yet.
    pub(super) fn provider(
        &self,
        client: &HttpClient,
        retry: Retry,
    ) -> Result<GcpCredentialProvider, BucketError> {
        match &self.kind {
            Kind::Grant(grant) => Ok(Arc::new(Tokens::new(grant.clone(), client.clone(), retry))),
            Kind::ServiceAccount(json) => {
                let store = GoogleCloudStorageBuilder::new()
                    // Only the credentials of this store are used.
                    .with_bucket_name("credentials")
                    .with_service_account_key(&json.0)
                    .build();
                let store = store.map_err(|_| {
                    let reason = "expected private_key with an RSA key in PEM, found other text";
                    BucketError::config(self.place.as_str(), reason)
                })?;
                Ok(Arc::clone(store.credentials()))
            }
        }
    }
}

impl fmt::Display for Identity {
    /// The description in errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}
