//! The fields of an encoded message, read in place.
//!
//! An answer has a million labels, and a message of the generated types would be a vector of counted references for
//! each series. As prost does, the last of several values of a field counts, and unknown fields are passed over.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// The fields of a message, in the order in which they come.
pub(super) struct Fields<'a>(&'a [u8]);

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a type that no field has which is read.
    Other,
}

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The next field's number and value.
    fn read(&mut self) -> Result<(u32, Value<'a>), String> {
        let (field, wire) = decode_key(&mut self.0).map_err(|e| e.to_string())?;
        match wire {
            WireType::Varint => Ok((field, Value::Number(self.varint()?))),
            WireType::LengthDelimited => {
                let len = self.varint()?;
                let split = usize::try_from(len).ok();
                let split = split.and_then(|len| self.0.split_at_checked(len));
                let Some((bytes, rest)) = split else {
                    let found = self.0.len();
                    return Err(format!(
                        "field {field}: expected {len} bytes, found {found}"
                    ));
                };
                self.0 = rest;
                Ok((field, Value::Bytes(bytes)))
            }
            other => {
                let skipped = skip_field(other, field, &mut self.0, DecodeContext::default());
                skipped.map_err(|e| e.to_string())?;
                Ok((field, Value::Other))
            }
        }
    }

    fn varint(&mut self) -> Result<u64, String> {
        decode_varint(&mut self.0).map_err(|e| e.to_string())
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            // What follows could be anything.
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Value<'a> {
    /// The bytes of field `name`.
    pub(super) fn bytes(self, name: &str) -> Result<&'a [u8], String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(format!("{name}: expected bytes, found another type")),
        }
    }

    /// The number of field `name`.
    pub(super) fn number(self, name: &str) -> Result<u64, String> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(format!("{name}: expected a number, found another type")),
        }
    }
}
