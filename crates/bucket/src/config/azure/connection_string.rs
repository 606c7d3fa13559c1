//! `storage_connection_string`: `NAME=VALUE` pairs, separated by semicolons.

use super::{
    super::values::Secret,
    identity::{Identity, Kind, check_key},
};
use crate::BucketError;

const PLACE: &str = "config.storage_connection_string";
/// The account of emulators, whose key is public.
const EMULATOR: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// What it says.
#[derive(Clone, Debug)]
pub(super) struct ConnectionString {
    pub(super) account: String,
    /// The account's URL, without a slash at its end.
    pub(super) url: String,
    pub(super) identity: Identity,
}

impl ConnectionString {
    /// Reads it. Names of other services are ignored, as Azure's SDK does.
    ///
    /// # Errors
    /// [`BucketError::Config`] when something is missing. The text names fields only.
    pub(super) fn parse(text: &str) -> Result<Self, BucketError> {
        let pairs = text
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='));
        let pairs: Vec<(&str, &str)> = pairs.collect();
        let value = |name: &str| {
            let mut pairs = pairs.iter();
            let found = pairs.find(|(of, _)| of.eq_ignore_ascii_case(name));
            found.map(|(_, value)| *value).filter(|it| !it.is_empty())
        };
        let is_emulator = value("UseDevelopmentStorage") == Some("true");
        let identity = |kind| Identity { place: PLACE, kind };
        let missing = |name: &str| {
            let reason = format!("expected {name}, found none");
            BucketError::config(PLACE, reason)
        };
        if is_emulator {
            return Ok(Self {
                account: EMULATOR.to_owned(),
                url: format!("http://127.0.0.1:10000/{EMULATOR}"),
                identity: identity(Kind::Key(Secret(EMULATOR_KEY.to_owned()))),
            });
        }
        let url = value("BlobEndpoint").map(|url| url.trim_end_matches('/').to_owned());
        let account = value("AccountName").map(str::to_owned);
        let kind = match (value("AccountKey"), value("SharedAccessSignature")) {
            (Some(key), _) => {
                check_key(&format!("{PLACE}: AccountKey"), key)?;
                Kind::Key(Secret(key.to_owned()))
            }
            (None, Some(sas)) => Kind::Signature(Secret(sas.trim_start_matches('?').to_owned())),
            (None, None) => return Err(missing("AccountKey or SharedAccessSignature")),
        };
        if account.is_none() && matches!(kind, Kind::Key(_)) {
            return Err(missing("AccountName"));
        }
        let url = match (url, &account) {
            (Some(url), _) if url.starts_with("http://") || url.starts_with("https://") => url,
            (Some(_), _) => return Err(missing("BlobEndpoint with http:// or https://")),
            (None, Some(account)) => {
                let scheme = value("DefaultEndpointsProtocol").unwrap_or("https");
                let suffix = value("EndpointSuffix").unwrap_or("core.windows.net");
                format!("{scheme}://{account}.blob.{suffix}")
            }
            (None, None) => return Err(missing("AccountName or BlobEndpoint")),
        };
        // With a signature, the URL alone says whose it is.
        let account = account.unwrap_or_else(|| "account".to_owned());
        Ok(Self {
            account,
            url,
            identity: identity(kind),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_connection_string_say_where_and_who() {
        for (text, expected) in [
            (
                "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5;EndpointSuffix=core.windows.net",
                "a https://a.blob.core.windows.net Key",
            ),
            (
                "AccountName=a; accountkey=a2V5==;",
                "config.storage_connection_string: AccountKey: expected an account's key in base64",
            ),
            (
                "AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:10000/a/;QueueEndpoint=http://q",
                "a http://127.0.0.1:10000/a Key",
            ),
            (
                "UseDevelopmentStorage=true",
                "devstoreaccount1 http://127.0.0.1:10000/devstoreaccount1 Key",
            ),
            (
                "BlobEndpoint=https://a.blob.core.windows.net;SharedAccessSignature=?sv=1&sig=s",
                "account https://a.blob.core.windows.net Signature",
            ),
            (
                "AccountName=a",
                "expected AccountKey or SharedAccessSignature",
            ),
            ("AccountKey=a2V5", "expected AccountName"),
            (
                "AccountName=a;AccountKey=a2V5;BlobEndpoint=a.b",
                "expected BlobEndpoint with",
            ),
            ("", "expected AccountKey"),
        ] {
            let found = match ConnectionString::parse(text) {
                Ok(it) => {
                    let kind = match it.identity.kind {
                        Kind::Key(_) => "Key",
                        _ => "Signature",
                    };
                    format!("{} {} {kind}", it.account, it.url)
                }
                Err(error) => error.to_string(),
            };
            assert!(found.contains(expected), "{text}: {found}");
        }
    }
}
