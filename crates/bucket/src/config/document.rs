//! The YAML as a whole. Of several documents the first counts, as with Thanos.

use serde::{Deserialize, de::DeserializeOwned};
use serde_saphyr::Error;

use super::http::Hedging;
use crate::BucketError;

/// The file; `config` is read once the type is known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document<T> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) config: Option<T>,
    #[serde(default)]
    pub(super) prefix: Option<String>,
    #[serde(default, rename = "hedging_config")]
    pub(super) hedging: Option<Hedging>,
}

/// The `config` of a file.
pub(super) fn config_of<T: DeserializeOwned + Default>(yaml: &str) -> Result<T, BucketError> {
    let document: Document<T> = parse(yaml)?;
    Ok(document.config.unwrap_or_default())
}

pub(super) fn parse<T: DeserializeOwned>(yaml: &str) -> Result<T, BucketError> {
    // The lines around an error may hold secrets, so only the position is given.
    let options = serde_saphyr::options! { with_snippet: false };
    let parsed = serde_saphyr::from_str_with_options(first(yaml), options);
    parsed.map_err(|error| BucketError::config("yaml", without_values(&error)))
}

/// The error without values of the file: any may be a secret in the wrong place.
fn without_values(error: &Error) -> String {
    let expected = match error.without_snippet() {
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            expected.clone()
        }
        Error::SerdeUnknownVariant { expected, .. } => format!("one of {}", expected.join(", ")),
        Error::NonFiniteFloat { .. } => "a number".to_owned(),
        _ => return error.to_string(),
    };
    match error.location() {
        Some(at) => format!(
            "line {}, column {}: expected {expected}",
            at.line(),
            at.column()
        ),
        None => format!("expected {expected}"),
    }
}

/// The first document. A line that begins with `---` or `...` ends it wherever it stands.
fn first(yaml: &str) -> &str {
    let (mut end, mut has_begun) = (0, false);
    for line in yaml.split_inclusive('\n') {
        let marker = line.get(..3).filter(|_| {
            let rest = line.get(3..).unwrap_or_default();
            rest.is_empty() || rest.starts_with(char::is_whitespace)
        });
        match marker {
            Some("---" | "...") if has_begun => return yaml.get(..end).unwrap_or_default(),
            Some("---") => has_begun = true,
            _ => {
                let text = line.trim();
                has_begun |= !text.is_empty() && !text.starts_with(['#', '%']);
            }
        }
        end += line.len();
    }
    yaml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_documents_counts() {
        for (yaml, expected) in [
            ("a: 1\n", "a: 1\n"),
            ("---\na: 1\n---\nb: 2\n", "---\na: 1\n"),
            (
                "# x\n%YAML 1.1\n--- \na: 1\n...\nb: [",
                "# x\n%YAML 1.1\n--- \na: 1\n",
            ),
            ("a: |\n  ---\n  b\n---\nc: {", "a: |\n  ---\n  b\n"),
            ("a: ---\n---x: 1\n---", "a: ---\n---x: 1\n"),
        ] {
            assert_eq!(first(yaml), expected);
        }
    }
}
