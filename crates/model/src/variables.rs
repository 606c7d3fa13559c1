//! Replaces `$(NAME)` in a configuration, as Thanos does.

/// A variable that is named and not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("$({name}): no such environment variable is set")]
pub struct UnsetVariable {
    /// Its name.
    pub name: String,
}

/// Replaces each `$(NAME)` by the variable's value. Text that is no such name is unchanged.
///
/// # Errors
/// At the first variable that is not set.
pub fn expand_variables(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<String, UnsetVariable> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$(") {
        out.push_str(before);
        match after.split_once(')').filter(|(name, _)| is_name(name)) {
            Some((name, after)) => {
                let name = name.to_owned();
                out.push_str(&variable(&name).ok_or(UnsetVariable { name })?);
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
        expand_variables(text, variable).map_err(|error| error.to_string())
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
        assert_eq!(error, "$(OTHER): no such environment variable is set");
    }
}
