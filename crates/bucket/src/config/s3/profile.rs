//! The file in which the tools of AWS keep credentials.
//!
//! ```text
//! [default]
//! aws_access_key_id = AKIA…
//! aws_secret_access_key = …
//! aws_session_token = …          # optional
//! ```

use object_store::aws::AwsCredential;

/// The credentials of a profile.
///
/// # Errors
/// What is missing in the file, as text without secrets.
pub(super) fn credentials(file: &str, profile: &str) -> Result<AwsCredential, String> {
    let mut found = None;
    let mut within = false;
    for line in file.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default().trim();
            let name = name.strip_prefix("profile ").unwrap_or(name).trim();
            within = name == profile;
            if within {
                found.get_or_insert_with(Profile::default);
            }
        } else if within
            && let (Some(found), Some((name, value))) = (&mut found, line.split_once('='))
        {
            found.set(name.trim(), value.trim());
        }
    }
    let found = found.ok_or_else(|| format!("found no profile {profile:?}"))?;
    if found.key_id.is_empty() || found.secret_key.is_empty() {
        let keys = "aws_access_key_id and aws_secret_access_key";
        return Err(match found.other {
            Some(other) => {
                format!(
                    "profile {profile:?}: expected {keys}, found {other}, which is not supported"
                )
            }
            None => format!("profile {profile:?}: expected {keys}"),
        });
    }
    Ok(AwsCredential {
        key_id: found.key_id,
        secret_key: found.secret_key,
        token: Some(found.token).filter(|token| !token.is_empty()),
    })
}

#[derive(Default)]
struct Profile {
    key_id: String,
    secret_key: String,
    token: String,
    /// Another source of credentials.
    other: Option<&'static str>,
}

impl Profile {
    fn set(&mut self, name: &str, value: &str) {
        match name.to_ascii_lowercase().as_str() {
            "aws_access_key_id" => value.clone_into(&mut self.key_id),
            "aws_secret_access_key" => value.clone_into(&mut self.secret_key),
            "aws_session_token" => value.clone_into(&mut self.token),
            "credential_process" => self.other = Some("credential_process"),
            "role_arn" => self.other = Some("role_arn"),
            name if name.starts_with("sso_") => self.other = Some("SSO"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
# comment
[default]
aws_access_key_id = A
aws_secret_access_key=S=/+
region = eu-9

[ team ]
AWS_ACCESS_KEY_ID=B
  ; another comment
aws_secret_access_key = T
aws_session_token = U
[half]
aws_access_key_id = C
[login]
sso_start_url = https://example
";

    #[test]
    fn a_profile_gives_its_keys_and_its_token() {
        let of = |profile| {
            let found = credentials(FILE, profile).unwrap();
            (found.key_id, found.secret_key, found.token)
        };
        assert_eq!(of("default"), ("A".to_owned(), "S=/+".to_owned(), None));
        let token = Some("U".to_owned());
        assert_eq!(of("team"), ("B".to_owned(), "T".to_owned(), token));
    }

    #[test]
    fn a_profile_without_keys_is_named_with_what_it_has() {
        for (profile, expected) in [
            ("none", "found no profile \"none\""),
            (
                "half",
                "profile \"half\": expected aws_access_key_id and aws_secret_access_key",
            ),
            (
                "login",
                "profile \"login\": expected aws_access_key_id and aws_secret_access_key, found SSO, which is not supported",
            ),
        ] {
            assert_eq!(credentials(FILE, profile).unwrap_err(), expected);
        }
    }
}
