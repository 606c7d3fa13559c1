//! What becomes of each field of Thanos's YAML, in one table for each type. The tables of `docs/bucket.md` are made
//! from these, and what they say is done here: a field that is in no table is an error, and so is one that is refused;
//! one without effect is a warning.

mod azure;
mod compatible;
mod gcs;
mod http;
mod refused;
mod s3;

use serde_json::Value;

use crate::BucketError;

/// The tables, in the order of the documentation.
pub(super) const TABLES: [&Table; 10] = [
    &s3::S3,
    &gcs::GCS,
    &azure::AZURE,
    &s3::FILESYSTEM,
    &compatible::COS,
    &compatible::ALIYUNOSS,
    &compatible::OBS,
    &compatible::BOS,
    &refused::OCI,
    &refused::SWIFT,
];

/// The fields of a type.
#[derive(Debug)]
pub(super) struct Table {
    /// The value of `type`.
    pub(super) kind: &'static str,
    /// The fields of `config`, without those of `http_config`.
    fields: &'static [Field],
    /// The fields of `config.http_config`.
    http: &'static [Field],
    /// Why the type as a whole is refused, and what to use instead.
    pub(super) refused: Option<&'static str>,
}

/// A field.
#[derive(Debug)]
struct Field {
    /// The path in `config` or `http_config`, with dots.
    name: &'static str,
    effect: Effect,
    /// Thanos's default as text. It asks for nothing, so it is neither warned of nor refused.
    default: &'static str,
    /// A remark, or why the field is without effect or refused.
    note: &'static str,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Honoured,
    /// The value changes nothing here.
    None,
    Refused,
}

/// A field whose value changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// The field, as in `config.trace.enable`.
    pub(super) field: String,
    pub(super) why: &'static str,
}

const fn honoured(name: &'static str, note: &'static str) -> Field {
    Field {
        name,
        effect: Effect::Honoured,
        default: "",
        note,
    }
}

const fn none(name: &'static str, default: &'static str, note: &'static str) -> Field {
    Field {
        name,
        effect: Effect::None,
        default,
        note,
    }
}

const fn refused(name: &'static str, default: &'static str, note: &'static str) -> Field {
    Field {
        name,
        effect: Effect::Refused,
        default,
        note,
    }
}

impl Table {
    /// The table of a type, in upper case.
    pub(super) fn of(kind: &str) -> Option<&'static Self> {
        TABLES.into_iter().find(|table| table.kind == kind)
    }

    /// Refuses fields that are not in the table or refused by it; gives those that have no effect.
    pub(super) fn check(&self, config: &Value) -> Result<Vec<Notice>, BucketError> {
        let mut set = Vec::new();
        self.set(config, "", &mut set)?;
        if let Some(why) = self.refused {
            let reason = format!("{} is not supported: {why}", self.kind);
            return Err(BucketError::config("type", reason));
        }
        let mut notices = Vec::new();
        for (path, value) in set {
            let Some(field) = self.field(&path) else {
                continue;
            };
            if value.is_empty() || value == field.default {
                continue;
            }
            let path = format!("config.{path}");
            match field.effect {
                Effect::Honoured => {}
                Effect::None => notices.push(Notice {
                    field: path,
                    why: field.note,
                }),
                Effect::Refused => return Err(BucketError::config(path, field.note)),
            }
        }
        Ok(notices)
    }

    /// The fields that are set, with their values as text.
    fn set(
        &self,
        value: &Value,
        path: &str,
        set: &mut Vec<(String, String)>,
    ) -> Result<(), BucketError> {
        let Value::Object(members) = value else {
            return Ok(());
        };
        for (name, value) in members {
            let path = match path {
                "" => name.clone(),
                parent => format!("{parent}.{name}"),
            };
            if self.field(&path).is_some() {
                set.push((path, text(value)));
            } else if self.names().any(|(name, _)| is_below(&name, &path)) {
                self.set(value, &path, set)?;
            } else {
                let names: Vec<String> = self.names().map(|(name, _)| name).collect();
                let reason = format!("unknown field, expected one of {}", names.join(", "));
                return Err(BucketError::config(format!("config.{path}"), reason));
            }
        }
        Ok(())
    }

    fn field(&self, path: &str) -> Option<&Field> {
        self.names()
            .find(|(name, _)| name == path)
            .map(|(_, field)| field)
    }

    fn names(&self) -> impl Iterator<Item = (String, &Field)> {
        let own = self.fields.iter().map(|f| (f.name.to_owned(), f));
        let http = self.http.iter();
        own.chain(http.map(|f| (format!("http_config.{}", f.name), f)))
    }
}

/// Whether a field is in a section.
fn is_below(name: &str, section: &str) -> bool {
    let rest = name.strip_prefix(section);
    rest.is_some_and(|rest| rest.starts_with('.'))
}

/// A value as the defaults are written. A section without members is as good as absent.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(members) if members.is_empty() => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
