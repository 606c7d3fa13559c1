//! The fields of a YAML document by their names. No error shows a value: any may be a secret in the wrong place.

use std::{fmt, time::Duration};

use serde_json::{Map, Value};

use crate::{ServiceError, go_duration};

/// The fields of a mapping. One without a value counts as absent, as in Go.
#[derive(Clone, Copy)]
pub struct YamlFields<'a> {
    /// Where it is, with a dot at the end.
    place: &'a str,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> YamlFields<'a> {
    /// The fields of `value`, which is at `place`: the name of the document and the fields around it.
    ///
    /// # Errors
    /// When it is something else, as for all that follow.
    pub fn new(place: &'a str, value: Option<&'a Value>) -> Result<Self, ServiceError> {
        let map = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => Some(map),
            Some(other) => return Err(unusable(place.trim_end_matches('.'), "fields", other)),
        };
        Ok(Self { place, map })
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.map?.get(name).filter(|value| !value.is_null())
    }

    /// The fields in a field.
    ///
    /// # Errors
    /// When it is something else.
    pub fn below(&self, name: &str, place: &'a str) -> Result<Self, ServiceError> {
        Self::new(place, self.get(name))
    }

    /// A text; empty if it is absent. A number is a text too.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&self, name: &str) -> Result<String, ServiceError> {
        let found = self.get(name).map(|value| (value, text(value)));
        match found {
            None => Ok(String::new()),
            Some((_, Some(text))) => Ok(text),
            Some((value, None)) => Err(self.unusable(name, "text", value)),
        }
    }

    /// A text that is not empty.
    ///
    /// # Errors
    /// When it is something else.
    pub fn some_text(&self, name: &str) -> Result<Option<String>, ServiceError> {
        Ok(Some(self.text(name)?).filter(|text| !text.is_empty()))
    }

    /// Whether a field is set to `true`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn is_true(&self, name: &str) -> Result<bool, ServiceError> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.unusable(name, "true or false", other)),
        }
    }

    /// A number; 0 if it is absent.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&self, name: &str) -> Result<f64, ServiceError> {
        match self.get(name) {
            None => Ok(0.0),
            Some(other) => {
                let number = other.as_f64();
                number.ok_or_else(|| self.unusable(name, "a number", other))
            }
        }
    }

    /// A whole number above 0.
    ///
    /// # Errors
    /// When it is something else.
    pub fn count(&self, name: &str) -> Result<Option<usize>, ServiceError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let Some(number) = value.as_i64() else {
            return Err(self.unusable(name, "a whole number", value));
        };
        Ok(usize::try_from(number).ok().filter(|count| *count > 0))
    }

    /// A duration above 0, at most a day.
    ///
    /// # Errors
    /// When it is something else.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, ServiceError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let parsed = text(value).and_then(|text| go_duration::parse(&text));
        let parsed = parsed.ok_or_else(|| self.unusable(name, "a duration as in 1m30s", value));
        Ok(Some(parsed?).filter(|duration| !duration.is_zero()))
    }

    /// A list of texts; empty if it is absent.
    ///
    /// # Errors
    /// When it is something else.
    pub fn list(&self, name: &str) -> Result<Vec<String>, ServiceError> {
        let list = match self.get(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(self.unusable(name, "a list", other)),
        };
        let texts = list.iter().map(|value| match text(value) {
            Some(text) => Ok(text),
            None => Err(self.unusable(name, "a list of texts", value)),
        });
        texts.collect()
    }

    /// A number of bytes, as in `100`, `250MB` or `1GiB`; the units are powers of 1,024, as for Thanos.
    ///
    /// # Errors
    /// When it is something else.
    pub fn bytes(&self, name: &str) -> Result<Option<u64>, ServiceError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let parsed = text(value).and_then(|text| bytes(&text));
        let parsed = parsed.ok_or_else(|| self.unusable(name, "bytes as in 250MB", value));
        Ok(Some(parsed?))
    }

    /// The fields that are set, in no order.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let fields = self.map.into_iter().flatten();
        let set = fields.filter(|(_, value)| is_set(value));
        set.map(|(name, _)| name.as_str())
    }

    /// An error for fields other than `known`, as Thanos's strict parser has it.
    ///
    /// # Errors
    /// It names the first one.
    pub fn only(&self, known: &[&str]) -> Result<(), ServiceError> {
        let mut names = self.map.into_iter().flat_map(Map::keys);
        match names.find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(self.wrong(name, "the field is not known")),
            None => Ok(()),
        }
    }

    /// Texts by their names.
    ///
    /// # Errors
    /// When it is something else.
    pub fn texts(&self, name: &str) -> Result<Vec<(String, String)>, ServiceError> {
        let value = match self.get(name) {
            None => return Ok(Vec::new()),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(self.unusable(name, "names with texts", other)),
        };
        let texts = value.iter().map(|(key, value)| match text(value) {
            Some(text) => Ok((key.clone(), text)),
            None => Err(self.unusable(&format!("{name}.{key}"), "text", value)),
        });
        texts.collect()
    }

    /// The error for a field.
    pub fn wrong(&self, name: &str, found: &str) -> ServiceError {
        ServiceError::file(format_args!("{}{name}", self.place), found)
    }

    fn unusable(&self, name: &str, expected: &str, found: &Value) -> ServiceError {
        unusable(&format!("{}{name}", self.place), expected, found)
    }
}

impl fmt::Debug for YamlFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        let mut fields = f.debug_struct("YamlFields");
        fields.field("place", place).finish_non_exhaustive()
    }
}

/// Whether a field asks for something: it has a value, and not Go's zero one.
pub(crate) fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !matches!(text.as_str(), "" | "0" | "0s"),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => map.values().any(is_set),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number of bytes with a unit.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KB" | "KiB" => 10,
        "MB" | "MiB" => 20,
        "GB" | "GiB" => 30,
        "TB" | "TiB" => 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    let bytes = number.parse::<f64>().ok()? * 2f64.powi(shift);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and the number has no sign"
    )]
    Some(bytes as u64)
}

fn unusable(place: &str, expected: &str, found: &Value) -> ServiceError {
    let found = match found {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "fields",
    };
    let text = format!("expected {expected}, found {found}");
    ServiceError::file(place, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units_of_1024() {
        for (text, expected) in [
            ("100", Some(100)),
            ("1KB", Some(1024)),
            ("1KiB", Some(1024)),
            ("250MB", Some(250 << 20)),
            ("1.5GiB", Some(3 << 29)),
            ("99999999999TB", None),
            ("MB", None),
            ("1 parsec", None),
            ("-1", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn a_field_that_is_not_known_is_named() {
        let value = serde_json::json!({ "a": 1, "b": 2 });
        let fields = YamlFields::new("config: ", Some(&value)).unwrap();
        assert!(fields.only(&["a", "b"]).is_ok());
        let error = fields.only(&["a"]).unwrap_err().to_string();
        assert!(error.contains("config: b"), "{error}");
        let mut names: Vec<_> = fields.names().collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn lists_are_of_texts() {
        let value = serde_json::json!({ "a": ["x", 1], "b": [[]], "c": "x" });
        let fields = YamlFields::new("", Some(&value)).unwrap();
        assert_eq!(fields.list("a").unwrap(), ["x", "1"]);
        assert!(fields.list("d").unwrap().is_empty());
        assert!(fields.list("b").is_err() && fields.list("c").is_err());
    }
}
