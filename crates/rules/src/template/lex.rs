//! A template as text and actions, and an action as tokens.

use std::{collections::VecDeque, fmt};

use super::{TemplateError, wrong};

/// The most parentheses in one another.
const DEEPEST: usize = 1000;

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text,
    Action(Action),
}

/// The tokens of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Action {
    tokens: Vec<Token>,
    at: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A function or a keyword.
    Word(String),
    /// `$x`; `$` alone too.
    Variable(String),
    /// `.x`.
    Field,
    /// `.` alone.
    Dot,
    /// A string.
    Text,
    /// A number or a character.
    Number,
    Open,
    Close,
    Pipe,
    Declare,
    Assign,
    Comma,
    Space,
    /// The end of the action.
    End,
}

/// The parts of a template.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        pieces.push(Piece::Text);
        // A trim marker is followed by a space.
        let inner = match after.strip_prefix('-') {
            Some(trimmed) if trimmed.starts_with(is_space) => trimmed.trim_start_matches(is_space),
            _ => after,
        };
        if let Some(comment) = inner.strip_prefix("/*") {
            let (_, after) = comment
                .split_once("*/")
                .ok_or_else(|| wrong("unclosed comment"))?;
            let end = after.strip_prefix("}}").or_else(|| trimmed_end(after));
            rest = end.ok_or_else(|| wrong("comment ends before closing delimiter"))?;
            continue;
        }
        let (action, after) = action(inner)?;
        pieces.push(Piece::Action(action));
        rest = after;
    }
    pieces.push(Piece::Text);
    Ok(pieces)
}

/// What stands behind ` -}}`, if `rest` begins so.
fn trimmed_end(rest: &str) -> Option<&str> {
    let after = rest.strip_prefix(is_space)?;
    after.strip_prefix("-}}")
}

const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The tokens up to `}}`, and what stands behind it.
fn action(text: &str) -> Result<(Action, &str), TemplateError> {
    let (mut rest, mut tokens, mut depth) = (text, VecDeque::new(), 0_usize);
    loop {
        if let Some(after) = rest.strip_prefix("}}").or_else(|| trimmed_end(rest)) {
            if depth > 0 {
                return Err(wrong("unclosed left paren"));
            }
            tokens.push_back(Token::End);
            return Ok((
                Action {
                    tokens: tokens.into(),
                    at: 0,
                },
                after,
            ));
        }
        let mut chars = rest.chars();
        let Some(first) = chars.next() else {
            return Err(wrong("unclosed action"));
        };
        let tail = chars.as_str();
        let (token, after) = match first {
            c if is_space(c) => (Token::Space, spaces(rest)),
            ':' => match tail.strip_prefix('=') {
                Some(after) => (Token::Declare, after),
                None => return Err(wrong("expected :=")),
            },
            '=' => (Token::Assign, tail),
            '|' => (Token::Pipe, tail),
            ',' => (Token::Comma, tail),
            '(' => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(wrong("max expression depth exceeded"));
                }
                (Token::Open, tail)
            }
            ')' => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| wrong("unexpected right paren"))?;
                (Token::Close, tail)
            }
            '"' => (
                Token::Text,
                quoted(tail, '"', "unterminated quoted string")?.1,
            ),
            '\'' => {
                let (count, after) = quoted(tail, '\'', "unterminated character constant")?;
                if count != 1 {
                    return Err(wrong("malformed character constant"));
                }
                (Token::Number, after)
            }
            '`' => match tail.split_once('`') {
                Some((_, after)) => (Token::Text, after),
                None => return Err(wrong("unterminated raw quoted string")),
            },
            '$' => {
                let (name, after) = split_word(tail);
                (Token::Variable(format!("${name}")), after)
            }
            '.' if !tail.starts_with(|c: char| c.is_ascii_digit()) => match split_word(tail) {
                ("", _) => (Token::Dot, tail),
                (_, after) => (Token::Field, after),
            },
            '+' | '-' | '.' | '0'..='9' => (Token::Number, number(rest)?),
            c if is_word(c) => {
                let (word, after) = split_word(rest);
                (Token::Word(word.to_owned()), after)
            }
            c => return Err(wrong(format!("unrecognized character in action: {c:?}"))),
        };
        let is_name = matches!(
            token,
            Token::Word(_) | Token::Variable(_) | Token::Field | Token::Number
        );
        if is_name && let Some(c) = after.chars().next().filter(|c| !ends_name(*c)) {
            return Err(wrong(format!("bad character {c:?}")));
        }
        tokens.push_back(token);
        rest = after;
    }
}

/// What may stand behind a name or a number.
const fn ends_name(c: char) -> bool {
    is_space(c) || matches!(c, '.' | ',' | '|' | ':' | '=' | '(' | ')' | '}')
}

/// Behind spaces; the last one stays where it belongs to ` -}}`.
fn spaces(rest: &str) -> &str {
    let after = rest.trim_start_matches(is_space);
    let taken = rest.len() - after.len();
    match after.starts_with("-}}") && taken > 1 {
        true => rest.get(taken - 1..).unwrap_or(after),
        false => after,
    }
}

fn split_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len()))
}

/// How many characters stand before the closing quote, and what stands behind it.
fn quoted<'a>(text: &'a str, quote: char, open: &str) -> Result<(usize, &'a str), TemplateError> {
    let (mut rest, mut count) = (text, 0);
    loop {
        let mut chars = rest.chars();
        match chars.next() {
            None | Some('\n') => return Err(wrong(open)),
            Some(c) if c == quote => return Ok((count, chars.as_str())),
            Some('\\') => rest = escaped(chars.as_str(), quote, open)?,
            Some(_) => rest = chars.as_str(),
        }
        count += 1;
    }
}

/// Behind the rest of an escape sequence, whose backslash is read.
fn escaped<'a>(text: &'a str, quote: char, open: &str) -> Result<&'a str, TemplateError> {
    let mut chars = text.chars();
    let first = chars
        .next()
        .filter(|c| *c != '\n')
        .ok_or_else(|| wrong(open))?;
    let (length, radix, start) = match first {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(chars.as_str()),
        c if c == quote => return Ok(chars.as_str()),
        'x' => (2, 16, chars.as_str()),
        'u' => (4, 16, chars.as_str()),
        'U' => (8, 16, chars.as_str()),
        _ => (3, 8, text),
    };
    let invalid = || wrong(format!("invalid syntax: \\{first}"));
    let digits = start.get(..length).ok_or_else(invalid)?;
    let value = u32::from_str_radix(digits, radix).map_err(|_| invalid())?;
    let is_value = match first {
        'u' | 'U' => char::from_u32(value).is_some(),
        _ => value <= 0xff,
    };
    match is_value && digits.chars().all(|c| c.is_digit(radix)) {
        true => Ok(start.get(length..).unwrap_or_default()),
        false => Err(invalid()),
    }
}

/// Behind a number.
fn number(text: &str) -> Result<&str, TemplateError> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let mut end = text.len() - unsigned.len();
    let mut before = ' ';
    for c in unsigned.chars() {
        let is_part = c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
        let is_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E' | 'p' | 'P');
        if !is_part && !is_sign {
            break;
        }
        end += c.len_utf8();
        before = c;
    }
    let (number, after) = text.split_at(end);
    match is_number(number) {
        true => Ok(after),
        false => Err(wrong(format!("bad number syntax: {number:?}"))),
    }
}

/// Whether Go takes it for a number.
fn is_number(text: &str) -> bool {
    let signless = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = signless.replace('_', "").to_ascii_lowercase();
    let real = plain.strip_suffix('i').unwrap_or(&plain);
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = real.strip_prefix(prefix) {
            return u64::from_str_radix(digits, radix).is_ok();
        }
    }
    if real.bytes().all(|b| b.is_ascii_digit()) {
        let radix = if real.starts_with('0') && plain == real {
            8
        } else {
            10
        };
        return u64::from_str_radix(real, radix).is_ok();
    }
    let starts = real.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    starts && real.parse().is_ok_and(f64::is_finite)
}

impl Action {
    pub(super) fn peek(&mut self) -> Option<&Token> {
        if self.at == 0 {
            self.skip_space();
        }
        self.tokens.get(self.at)
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    /// Whether there was any.
    pub(super) fn skip_space(&mut self) -> bool {
        let begun = self.at;
        while self.tokens.get(self.at) == Some(&Token::Space) {
            self.at += 1;
        }
        self.at > begun
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) const fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Nothing more may come.
    pub(super) fn over(&mut self, context: &str) -> Result<(), TemplateError> {
        self.skip_space();
        match self.tokens.get(self.at) {
            None | Some(Token::End) => Ok(()),
            Some(found) => Err(wrong(format!("unexpected {found} in {context}"))),
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Word(word) | Self::Variable(word) => return write!(f, "<{word}>"),
            Self::Field => "a field",
            Self::Dot => "<.>",
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Open => "\"(\"",
            Self::Close => "\")\"",
            Self::Pipe => "\"|\"",
            Self::Declare => "\":=\"",
            Self::Assign => "\"=\"",
            Self::Comma => "\",\"",
            Self::Space => "a space",
            Self::End => "the end of the action",
        })
    }
}
