//! Values of the YAML by their names. No error shows a value: any may be a secret in the wrong place.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{ServiceError, go_duration};

/// The fields of a mapping. One without a value counts as absent, as in Go.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    /// Where it is, with a dot at the end.
    place: &'a str,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Values<'a> {
    /// The fields of `value`, which is at `place`.
    pub(super) fn new(place: &'a str, value: Option<&'a Value>) -> Result<Self, ServiceError> {
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
    pub(super) fn below(&self, name: &str, place: &'a str) -> Result<Self, ServiceError> {
        Self::new(place, self.get(name))
    }

    /// A text; empty if it is absent. A number is a text too.
    pub(super) fn text(&self, name: &str) -> Result<String, ServiceError> {
        let found = self.get(name).map(|value| (value, text(value)));
        match found {
            None => Ok(String::new()),
            Some((_, Some(text))) => Ok(text),
            Some((value, None)) => Err(self.unusable(name, "text", value)),
        }
    }

    /// A text that is not empty.
    pub(super) fn some_text(&self, name: &str) -> Result<Option<String>, ServiceError> {
        Ok(Some(self.text(name)?).filter(|text| !text.is_empty()))
    }

    /// Whether a field is set to `true`.
    pub(super) fn is_true(&self, name: &str) -> Result<bool, ServiceError> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.unusable(name, "true or false", other)),
        }
    }

    /// A number; 0 if it is absent.
    pub(super) fn number(&self, name: &str) -> Result<f64, ServiceError> {
        match self.get(name) {
            None => Ok(0.0),
            Some(other) => {
                let number = other.as_f64();
                number.ok_or_else(|| self.unusable(name, "a number", other))
            }
        }
    }

    /// A whole number above 0.
    pub(super) fn count(&self, name: &str) -> Result<Option<usize>, ServiceError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let Some(number) = value.as_i64() else {
            return Err(self.unusable(name, "a whole number", value));
        };
        Ok(usize::try_from(number).ok().filter(|count| *count > 0))
    }

    /// A duration above 0, at most a day.
    pub(super) fn duration(&self, name: &str) -> Result<Option<Duration>, ServiceError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let parsed = text(value).and_then(|text| go_duration::parse(&text));
        let parsed = parsed.ok_or_else(|| self.unusable(name, "a duration as in 1m30s", value));
        Ok(Some(parsed?).filter(|duration| !duration.is_zero()))
    }

    /// Texts by their names.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<(String, String)>, ServiceError> {
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
    pub(super) fn wrong(&self, name: &str, found: &str) -> ServiceError {
        ServiceError::file(format_args!("tracing config: {}{name}", self.place), found)
    }

    fn unusable(&self, name: &str, expected: &str, found: &Value) -> ServiceError {
        unusable(&format!("{}{name}", self.place), expected, found)
    }
}

/// Whether a field asks for something: it has a value, and not Go's zero one.
pub(super) fn is_set(value: &Value) -> bool {
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
    ServiceError::file(format_args!("tracing config: {place}"), text)
}
