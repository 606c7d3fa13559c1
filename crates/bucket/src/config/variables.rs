//! Replaces `$(NAME)` in a configuration, as Thanos does.

use crate::BucketError;

/// Replaces each `$(NAME)` by the variable's value. Text that is no such name is unchanged.
pub(super) fn expand(
    text: &str,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<String, BucketError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$(") {
        out.push_str(before);
        match after.split_once(')').filter(|(name, _)| is_name(name)) {
            Some((name, after)) => {
                let place = format!("$({name})");
                let missing = || BucketError::config(place, "no such environment variable is set");
                out.push_str(&variable(name).ok_or_else(missing)?);
                rest = after;
            }
            None => {
                out.push_str("$(");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(text: &str) -> bool {
    let of_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !text.is_empty() && text.bytes().all(of_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let variable = |name: &str| (name == "KEY_1").then(|| "secret".to_owned());
        expand(text, &variable).map_err(|error| error.to_string())
    }

    #[test]
    fn variables_are_replaced_and_an_unset_one_is_named() {
        for (text, expected) in [
            ("", ""),
            (
                "a: $(KEY_1)\nb: x$(KEY_1)$(KEY_1)y",
                "a: secret\nb: xsecretsecrety",
            ),
            (
                "$KEY_1 ${KEY_1} $() $(a b) $(KEY_1",
                "$KEY_1 ${KEY_1} $() $(a b) $(KEY_1",
            ),
            ("$($(KEY_1))", "$(secret)"),
        ] {
            assert_eq!(expanded(text).unwrap(), expected);
        }
        let error = expanded("a: $(OTHER)").unwrap_err();
        assert_eq!(
            error,
            "objstore config: $(OTHER): no such environment variable is set"
        );
    }
}
