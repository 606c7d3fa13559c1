//! Classes of characters: `[…]`, `[:alpha:]`, `\d`, `\pN`.
//!
//! Everything but Unicode's classes is ASCII. Case is folded item by item, before an item is negated, so
//! `(?i)\W` is what `(?i)\w` is not.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::{
    error::{Problem, Result, SyntaxError},
    escape,
    group::Flags,
    unicode,
};
use crate::cursor::Cursor;

type Ranges = Vec<ClassUnicodeRange>;

/// The names that `[:name:]` knows.
const NAMED: [(&str, &[(char, char)]); 14] = [
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7F')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1F'), ('\x7F', '\x7F')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];
const DIGIT: &[(char, char)] = &[('0', '9')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
/// Unlike `[:space:]`, without the vertical tab.
const SPACE: &[(char, char)] = &[('\t', '\n'), ('\x0C', '\r'), (' ', ' ')];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Plain,
    Negated,
}

/// A character in whatever case.
pub(super) fn folded(c: char) -> ClassUnicode {
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
    fold(&mut class);
    class
}

/// Passes `[…]`.
pub(super) fn bracketed(cursor: &mut Cursor<'_>, flags: Flags) -> Result<ClassUnicode> {
    let start = cursor.at();
    cursor.eat("[");
    let negated = cursor.eat("^");
    let mut ranges = Ranges::new();
    // A bracket that comes first is one of the characters.
    let mut first = true;
    while first || !cursor.eat("]") {
        first = false;
        if let Some(named) = named(cursor, flags)? {
            ranges.extend(named);
        } else if let Some(escaped) = escaped(cursor, flags)? {
            ranges.extend(escaped);
        } else {
            let range = range(cursor, start, negated)?;
            ranges.extend(signed(&range, Sign::Plain, flags));
        }
    }
    let mut class = ClassUnicode::new(ranges);
    if negated {
        class.negate();
    }
    Ok(class)
}

/// Passes `\d`, `\pN` and the like, if one comes next.
pub(super) fn escaped(cursor: &mut Cursor<'_>, flags: Flags) -> Result<Option<Ranges>> {
    use Sign::{Negated, Plain};
    let escapes = [
        (r"\d", DIGIT, Plain),
        (r"\D", DIGIT, Negated),
        (r"\s", SPACE, Plain),
        (r"\S", SPACE, Negated),
        (r"\w", WORD, Plain),
        (r"\W", WORD, Negated),
    ];
    for (token, ranges, sign) in escapes {
        if cursor.eat(token) {
            return Ok(Some(signed(&of_chars(ranges), sign, flags)));
        }
    }
    unicode_class(cursor, flags)
}

/// `\pN`, `\p{Greek}`, `\P{Greek}`, `\p{^Greek}`.
fn unicode_class(cursor: &mut Cursor<'_>, flags: Flags) -> Result<Option<Ranges>> {
    let start = cursor.at();
    let mut negated = false;
    if cursor.eat(r"\P") {
        negated = true;
    } else if !cursor.eat(r"\p") {
        return Ok(None);
    }
    let error =
        |problem, cursor: &Cursor<'_>| Err(SyntaxError::new(problem, start, cursor.since(start)));
    let name_at = cursor.at();
    let name = if cursor.eat("{") {
        let Some(name) = cursor.take_until("}") else {
            cursor.take_rest();
            return error(Problem::ClassRange, cursor);
        };
        name
    } else if cursor.bump().is_some() {
        cursor.since(name_at)
    } else {
        // Too short to be a class, so it is an escape, and there is none of that name.
        return error(Problem::Escape, cursor);
    };
    let (name, negated) = match name.strip_prefix('^') {
        Some(name) => (name, !negated),
        None => (name, negated),
    };
    let Some(class) = unicode::class(name) else {
        return error(Problem::ClassRange, cursor);
    };
    let sign = if negated { Sign::Negated } else { Sign::Plain };
    Ok(Some(signed(class.ranges(), sign, flags)))
}

/// `[:alpha:]`, `[:^alpha:]`. Without its end it is a bracket and so on.
fn named(cursor: &mut Cursor<'_>, flags: Flags) -> Result<Option<Ranges>> {
    let start = cursor.at();
    let mut ahead = *cursor;
    if !ahead.eat("[:") {
        return Ok(None);
    }
    let Some(name) = ahead.take_until(":]") else {
        return Ok(None);
    };
    *cursor = ahead;
    let (name, sign) = match name.strip_prefix('^') {
        Some(name) => (name, Sign::Negated),
        None => (name, Sign::Plain),
    };
    let Some((_, ranges)) = NAMED.iter().find(|(known, _)| *known == name) else {
        let found = cursor.since(start);
        return Err(SyntaxError::new(Problem::ClassRange, start, found));
    };
    Ok(Some(signed(&of_chars(ranges), sign, flags)))
}

/// One character, or two with a dash between. A dash before the closing bracket is one of the characters. A
/// surrogate of its own is U+FFFD, unless it is one of what must not match.
fn range(
    cursor: &mut Cursor<'_>,
    class_at: usize,
    negated: bool,
) -> Result<Option<ClassUnicodeRange>> {
    let start = cursor.at();
    let low = character(cursor, class_at)?;
    let mut high = low;
    let rest = cursor.rest();
    if rest.starts_with('-') && rest.len() > 1 && !rest.starts_with("-]") {
        cursor.bump();
        high = character(cursor, class_at)?;
    }
    if high < low {
        let found = cursor.since(start);
        return Err(SyntaxError::new(Problem::ClassRange, start, found));
    }
    if low == high && char::from_u32(low).is_none() && !negated {
        let c = char::REPLACEMENT_CHARACTER;
        return Ok(Some(ClassUnicodeRange::new(c, c)));
    }
    // Surrogates, which no text has, lie between U+D7FF and U+E000.
    let low = char::from_u32(low).unwrap_or('\u{E000}');
    let high = char::from_u32(high).unwrap_or('\u{D7FF}');
    Ok((low <= high).then(|| ClassUnicodeRange::new(low, high)))
}

fn character(cursor: &mut Cursor<'_>, class_at: usize) -> Result<u32> {
    if cursor.rest().starts_with('\\') {
        return escape::code_point(cursor);
    }
    match cursor.bump() {
        Some(c) => Ok(u32::from(c)),
        None => {
            let found = cursor.since(class_at);
            Err(SyntaxError::new(Problem::MissingBracket, class_at, found))
        }
    }
}

fn of_chars(ranges: &[(char, char)]) -> Ranges {
    let range = |&(low, high): &(char, char)| ClassUnicodeRange::new(low, high);
    ranges.iter().map(range).collect()
}

/// An item as it is meant.
fn signed<'a>(
    ranges: impl IntoIterator<Item = &'a ClassUnicodeRange>,
    sign: Sign,
    flags: Flags,
) -> Ranges {
    let mut class = ClassUnicode::new(ranges.into_iter().copied());
    if flags.fold {
        fold(&mut class);
    }
    if sign == Sign::Negated {
        class.negate();
    }
    class.ranges().to_vec()
}

fn fold(class: &mut ClassUnicode) {
    let folded = class.try_case_fold_simple();
    debug_assert!(folded.is_ok(), "the tables are compiled in");
}
