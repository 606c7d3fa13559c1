//! Names and strings as PromQL writes them: quoted as Go quotes, read as Prometheus reads.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use crate::cursor::Cursor;

/// Shows a name or a value as a string in double quotes, which PromQL reads back; a byte that is no UTF-8 is
/// shown as `\xff`.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a [u8]);

/// Whether a label's name needs no quotes.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(is_plain)
}

/// Whether a character may be in a label's name that has no quotes.
pub(crate) fn is_plain(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            chunk.valid().chars().try_for_each(|c| escaped(c, f))?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_char('"')
    }
}

/// A name or a value for people: unchanged, with `\xff` for each byte that is not UTF-8.
#[must_use]
pub fn shown(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text.into()
}

fn escaped(c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match c {
        '"' | '\\' => write!(f, "\\{c}"),
        '\x07' => f.write_str("\\a"),
        '\x08' => f.write_str("\\b"),
        '\x0C' => f.write_str("\\f"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\x0B' => f.write_str("\\v"),
        _ if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c)),
        _ if c.is_control() => write!(f, "\\u{:04x}", u32::from(c)),
        _ => f.write_char(c),
    }
}

/// The position of a fault in a string, and what would be right there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadString {
    pub(crate) at: usize,
    pub(crate) expected: &'static str,
}

/// Passes a string in double, single or back quotes; the cursor is at the quote.
pub(crate) fn unquote(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, BadString> {
    let start = cursor.at();
    let bad = |at, expected| Err(BadString { at, expected });
    let Some(quote) = cursor.bump() else {
        return bad(start, "a string in quotes");
    };
    if quote == '`' {
        let Some(raw) = cursor.take_until("`") else {
            cursor.take_rest();
            return bad(cursor.at(), "a closing `");
        };
        return Ok(raw.as_bytes().to_vec());
    }
    // Escapes make bytes; several may form one character.
    let mut bytes = Vec::new();
    loop {
        let at = cursor.at();
        match cursor.bump() {
            None => return bad(at, "a closing quote"),
            Some('\n') => return bad(at, "a closing quote before the end of the line"),
            Some('\\') => {
                escape(cursor, quote, &mut bytes).map_err(|expected| BadString { at, expected })?;
            }
            Some(c) if c == quote => break,
            Some(c) => push(c, &mut bytes),
        }
    }
    Ok(bytes)
}

/// Reads a string in double quotes or back quotes, as Go's `strconv.Unquote` does; `None` if it is invalid, something
/// follows, or it is not UTF-8.
#[must_use]
pub fn unquoted(text: &str) -> Option<String> {
    let mut cursor = Cursor::new(text);
    let string = match cursor.peek()? {
        '"' | '`' => unquote(&mut cursor).ok()?,
        _ => return None,
    };
    cursor
        .peek()
        .is_none()
        .then_some(string)
        .and_then(|bytes| String::from_utf8(bytes).ok())
}

/// Passes the rest of an escape after the backslash.
fn escape(cursor: &mut Cursor<'_>, quote: char, bytes: &mut Vec<u8>) -> Result<(), &'static str> {
    const KNOWN: &str = "an escape such as \\n, \\\\, \\x41, \\101, \\u0041 or of the quote";
    let first = *cursor;
    match cursor.bump().ok_or(KNOWN)? {
        'a' => bytes.push(0x07),
        'b' => bytes.push(0x08),
        'f' => bytes.push(0x0C),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'v' => bytes.push(0x0B),
        '\\' => bytes.push(b'\\'),
        c if c == quote => push(c, bytes),
        '0'..='7' => {
            *cursor = first;
            let expected = "three octal digits up to 377";
            let value = number(cursor, 3, 8).ok_or(expected)?;
            bytes.push(u8::try_from(value).map_err(|_| expected)?);
        }
        'x' => {
            let value = number(cursor, 2, 16).and_then(|value| u8::try_from(value).ok());
            bytes.push(value.ok_or("two hexadecimal digits")?);
        }
        'u' => code_point(cursor, 4, bytes).ok_or("four hexadecimal digits of a character")?,
        'U' => code_point(cursor, 8, bytes).ok_or("eight hexadecimal digits of a character")?,
        _ => return Err(KNOWN),
    }
    Ok(())
}

fn code_point(cursor: &mut Cursor<'_>, digits: usize, bytes: &mut Vec<u8>) -> Option<()> {
    push(char::from_u32(number(cursor, digits, 16)?)?, bytes);
    Some(())
}

fn number(cursor: &mut Cursor<'_>, digits: usize, radix: u32) -> Option<u32> {
    let mut value = 0_u32;
    for _ in 0..digits {
        let digit = cursor.bump()?.to_digit(radix)?;
        value = value.checked_mul(radix)?.checked_add(digit)?;
    }
    Some(value)
}

fn push(c: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}
