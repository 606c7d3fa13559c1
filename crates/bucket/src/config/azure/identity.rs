//! Who the requests come from: the keys of the configuration; else a client's secret, a workload identity or a managed
//! identity of the environment.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

use super::{super::values::Secret, AzureConfig};
use crate::BucketError;

/// A source of credentials.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// Where it was found.
    pub(super) place: &'static str,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Key(Secret),
    /// A shared access signature.
    Signature(Secret),
    Client {
        tenant: String,
        id: String,
        secret: Secret,
        authority: Option<String>,
    },
    Workload {
        tenant: String,
        id: String,
        token_file: String,
        authority: Option<String>,
    },
    Managed {
        id: Option<String>,
        /// Instead of the machine's metadata service.
        endpoint: Option<String>,
    },
}

impl Identity {
    /// The configured identity, or that of the environment in the order of Azure's SDK. An empty variable counts as
    /// unset.
    ///
    /// # Errors
    /// [`BucketError::Config`] when the environment has credentials of a kind that is not supported.
    pub(super) fn find(
        config: &AzureConfig,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BucketError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let authority = variable("AZURE_AUTHORITY_HOST");
        let authority = authority.map(|url| url.trim_end_matches('/').to_owned());
        let managed = |place, id| {
            let endpoint = variable("IDENTITY_ENDPOINT");
            let kind = Kind::Managed { id, endpoint };
            Ok(Self { place, kind })
        };
        if !config.storage_account_key.is_empty() {
            return Ok(Self {
                place: "config.storage_account_key",
                kind: Kind::Key(config.storage_account_key.clone()),
            });
        }
        if let (Some(tenant), Some(id)) = (some(&config.az_tenant_id), some(&config.client_id)) {
            let secret = config.client_secret.clone();
            return Ok(Self {
                place: "config.client_secret",
                kind: Kind::Client {
                    tenant,
                    id,
                    secret,
                    authority,
                },
            });
        }
        if let Some(id) = some(&config.user_assigned_id) {
            return managed("config.user_assigned_id", Some(id));
        }
        let (tenant, id) = (variable("AZURE_TENANT_ID"), variable("AZURE_CLIENT_ID"));
        let secret = variable("AZURE_CLIENT_SECRET");
        let token_file = variable("AZURE_FEDERATED_TOKEN_FILE");
        if let (Some(tenant), Some(id)) = (tenant, id.clone()) {
            if let Some(secret) = secret {
                return Ok(Self {
                    place: "AZURE_CLIENT_SECRET",
                    kind: Kind::Client {
                        tenant,
                        id,
                        secret: Secret(secret),
                        authority,
                    },
                });
            }
            for name in ["AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_PASSWORD"] {
                if variable(name).is_some() {
                    let reason =
                        "not supported; expected AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE";
                    return Err(BucketError::config(name, reason));
                }
            }
            if let Some(token_file) = token_file {
                return Ok(Self {
                    place: "AZURE_FEDERATED_TOKEN_FILE",
                    kind: Kind::Workload {
                        tenant,
                        id,
                        token_file,
                        authority,
                    },
                });
            }
        }
        managed("the managed identity", id)
    }

    /// Whether tokens are asked for without TLS, which a service on the machine itself has not.
    pub(super) fn is_by_http(&self) -> bool {
        match &self.kind {
            Kind::Managed { .. } => true,
            Kind::Client { authority, .. } | Kind::Workload { authority, .. } => authority
                .as_ref()
                .is_some_and(|url| url.starts_with("http://")),
            Kind::Key(_) | Kind::Signature(_) => false,
        }
    }

    pub(super) fn apply(&self, builder: MicrosoftAzureBuilder) -> MicrosoftAzureBuilder {
        let under = |builder: MicrosoftAzureBuilder, authority: &Option<String>| match authority {
            Some(host) => builder.with_authority_host(host),
            None => builder,
        };
        match &self.kind {
            Kind::Key(key) => builder.with_access_key(&key.0),
            Kind::Signature(sas) => builder.with_config(AzureConfigKey::SasKey, &sas.0),
            Kind::Client {
                tenant,
                id,
                secret,
                authority,
            } => {
                let builder = builder.with_client_secret_authorization(id, &secret.0, tenant);
                under(builder, authority)
            }
            Kind::Workload {
                tenant,
                id,
                token_file,
                authority,
            } => {
                let builder = builder
                    .with_client_id(id)
                    .with_tenant_id(tenant)
                    .with_federated_token_file(token_file);
                under(builder, authority)
            }
            Kind::Managed { id, endpoint } => {
                let mut builder = builder.with_credential_type("managed_identity");
                if let Some(id) = id {
                    builder = builder.with_client_id(id);
                }
                if let Some(endpoint) = endpoint {
                    builder = builder.with_msi_endpoint(endpoint);
                }
                builder
            }
        }
    }
}

impl fmt::Display for Identity {
    /// The description in errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.place)
    }
}

/// Refuses an account's key that is none. The text does not have it.
pub(super) fn check_key(place: &str, key: &str) -> Result<(), BucketError> {
    match BASE64_STANDARD.decode(key) {
        Ok(_) => Ok(()),
        Err(_) => {
            let reason = "expected an account's key in base64, found other text";
            Err(BucketError::config(place, reason))
        }
    }
}
