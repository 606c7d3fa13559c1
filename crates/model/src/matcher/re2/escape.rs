//! Escapes that stand for one character, in classes and outside of them.

use super::error::{Problem, Result, SyntaxError};
use crate::cursor::Cursor;

/// Passes an escape, and tells its code point: any up to 0x10FFFF, so it may be a surrogate.
pub(super) fn code_point(cursor: &mut Cursor<'_>) -> Result<u32> {
    let start = cursor.at();
    cursor.eat("\\");
    let Some(c) = cursor.bump() else {
        return Err(SyntaxError::new(Problem::TrailingBackslash, start, "\\"));
    };
    let found = match c {
        'a' => Some(0x07),
        'f' => Some(0x0C),
        'n' => Some(0x0A),
        'r' => Some(0x0D),
        't' => Some(0x09),
        'v' => Some(0x0B),
        // One digit other than zero would be a reference to a group.
        '1'..='7' if !cursor.peek().is_some_and(|c| c.is_digit(8)) => None,
        '0'..='7' => Some(octal(c, cursor)),
        'x' => hexadecimal(cursor),
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
        _ => None,
    };
    found.ok_or_else(|| SyntaxError::new(Problem::Escape, start, cursor.since(start)))
}

/// Up to three digits, of which `first` is passed.
fn octal(first: char, cursor: &mut Cursor<'_>) -> u32 {
    let mut value = first.to_digit(8).unwrap_or(0);
    for _ in 0..2 {
        let Some(digit) = cursor.peek().and_then(|c| c.to_digit(8)) else {
            break;
        };
        cursor.bump();
        value = value * 8 + digit;
    }
    value
}

/// Two digits, or any number of them in braces.
fn hexadecimal(cursor: &mut Cursor<'_>) -> Option<u32> {
    if !cursor.eat("{") {
        let high = cursor.bump()?.to_digit(16)?;
        let low = cursor.bump()?.to_digit(16)?;
        return Some(high * 16 + low);
    }
    let digits = cursor.take_while(|c| c.is_ascii_hexdigit());
    let closed = cursor.eat("}");
    let significant = digits.trim_start_matches('0');
    if !closed || digits.is_empty() || significant.len() > 6 {
        return None;
    }
    let value = u32::from_str_radix(digits, 16).ok()?;
    (value <= u32::from(char::MAX)).then_some(value)
}
