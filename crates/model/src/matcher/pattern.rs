//! A compiled pattern: a regular expression, or something cheaper that means the same.

use std::{io, panic, thread};

use regex_syntax::hir::{
    Hir, HirKind, Look,
    literal::{ExtractKind, Extractor, Seq},
};

use super::{
    engine::Engine,
    glob::Glob,
    re2,
    split::{self, Split},
};

/// With more parentheses than this an expression may nest too deeply for the stack of an ordinary thread.
const MAX_SHALLOW: usize = 64;

/// Ample for [`re2`]'s limit of nesting.
const DEEP_STACK: usize = 32 << 20;

/// How many values a set may have that is not written out as one.
const MAX_SET: usize = 256;

/// Which values match, all of each value being meant.
#[derive(Debug)]
pub(super) struct Pattern {
    program: Program,
    /// Each matching value begins with it.
    prefix: String,
    /// What no text of the pattern has, if a few guesses find it.
    stranger: char,
}

/// A value in the forms in which it is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'v> {
    pub(super) bytes: &'v [u8],
    /// As Go's engine sees it: each byte that belongs to no character is one, U+FFFD.
    pub(super) text: &'v str,
    /// The same, but such bytes equal no text of the pattern.
    pub(super) apart: &'v str,
}

#[derive(Debug)]
enum Program {
    /// Ascending, each once.
    Set(Vec<Vec<u8>>),
    Glob(Glob),
    Regex {
        suffix: String,
        regex: Engine,
    },
    Split(Split),
}

/// A pattern that cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub(super) enum PatternError {
    #[error("regular expression: {0}")]
    Syntax(#[from] re2::SyntaxError),
    #[error("regular expression: byte {at}: invalid UTF-8")]
    Utf8 { at: usize },
    #[error("regular expression has more than {limit} states")]
    States { limit: usize },
    #[error("regular expression: {0}")]
    Engine(#[source] regex::Error),
    #[error("regular expression: {0}")]
    Keys(#[source] aho_corasick::BuildError),
    #[error("regular expression: no thread to compile it: {0}")]
    Thread(#[source] io::Error),
}

impl Pattern {
    pub(super) fn compile(pattern: &[u8]) -> Result<Self, PatternError> {
        let pattern = str::from_utf8(pattern).map_err(|e| PatternError::Utf8 {
            at: e.valid_up_to(),
        })?;
        if pattern.matches('(').count() <= MAX_SHALLOW {
            return Self::compile_here(pattern);
        }
        // The engine's compiler recurses, and patterns come from strangers.
        thread::scope(|scope| {
            let thread = thread::Builder::new().stack_size(DEEP_STACK);
            let compiling = thread.spawn_scoped(scope, || Self::compile_here(pattern));
            let compiled = compiling.map_err(PatternError::Thread)?.join();
            compiled.unwrap_or_else(|payload| panic::resume_unwind(payload))
        })
    }

    fn compile_here(pattern: &str) -> Result<Self, PatternError> {
        let hir = without_anchors(re2::parse(pattern)?);
        let prefix = common_prefix(&hir);
        let program = if let Some(values) = finite(&hir) {
            Program::Set(values.into_iter().map(String::into_bytes).collect())
        } else if let Some(glob) = Glob::of(&hir) {
            Program::Glob(glob)
        } else if let Some(alternatives) = split::alternatives(&hir)
            && let Some(split) = Split::of(alternatives)?
        {
            Program::Split(split)
        } else {
            Program::Regex {
                suffix: common_suffix(&hir),
                regex: Engine::compile(hir)?,
            }
        };
        let strangers = [
            char::REPLACEMENT_CHARACTER,
            char::MAX,
            '\u{10FFFE}',
            '\u{FDD0}',
        ];
        let stranger = strangers.into_iter().find(|c| !program.has(*c));
        Ok(Self {
            program,
            prefix,
            stranger: stranger.unwrap_or(char::REPLACEMENT_CHARACTER),
        })
    }

    pub(super) fn matches(&self, value: &[u8]) -> bool {
        if let Program::Set(values) = &self.program {
            return is_in(values, value);
        }
        value.starts_with(self.prefix.as_bytes())
            && match str::from_utf8(value) {
                Ok(text) => self.program.matches(Subject {
                    bytes: value,
                    text,
                    apart: text,
                }),
                Err(_) => self.program.matches(Subject {
                    bytes: value,
                    text: &with_each_stray_byte_as(char::REPLACEMENT_CHARACTER, value),
                    apart: &with_each_stray_byte_as(self.stranger, value),
                }),
            }
    }

    /// The only values that match, ascending, if they are few.
    pub(super) fn set(&self) -> Option<&[Vec<u8>]> {
        match &self.program {
            Program::Set(values) => Some(values),
            Program::Glob(_) | Program::Regex { .. } | Program::Split(_) => None,
        }
    }

    pub(super) fn prefix(&self) -> Option<&[u8]> {
        Some(self.prefix.as_bytes()).filter(|prefix| !prefix.is_empty())
    }
}

impl Program {
    /// Whether a text that is compared with [`Subject::apart`] has `c`.
    fn has(&self, c: char) -> bool {
        match self {
            Self::Glob(glob) => glob.has(c),
            Self::Split(split) => split.has(c),
            Self::Set(_) | Self::Regex { .. } => false,
        }
    }

    fn matches(&self, value: Subject<'_>) -> bool {
        match self {
            Self::Set(values) => is_in(values, value.bytes),
            Self::Glob(glob) => glob.matches(value.apart),
            Self::Regex { suffix, regex } => {
                value.text.ends_with(suffix) && regex.is_match(value.text)
            }
            Self::Split(split) => split.matches(value),
        }
    }
}

/// Whether `value` is one of `values`, which ascend.
pub(super) fn is_in(values: &[Vec<u8>], value: &[u8]) -> bool {
    let found = values.binary_search_by(|known| known.as_slice().cmp(value));
    found.is_ok()
}

/// A value that is no UTF-8, with `c` for each byte that belongs to no character.
fn with_each_stray_byte_as(c: char, value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| c));
    }
    text
}

/// `hir` without anchors that a match of all of a value meets anyway.
fn without_anchors(hir: Hir) -> Hir {
    if !matches!(hir.kind(), HirKind::Concat(_)) {
        return hir;
    }
    let HirKind::Concat(mut items) = hir.into_kind() else {
        return Hir::empty();
    };
    let is = |hir: &Hir, look| matches!(hir.kind(), HirKind::Look(found) if *found == look);
    let starts = items
        .iter()
        .take_while(|item| is(item, Look::Start))
        .count();
    items.drain(..starts);
    while items.last().is_some_and(|last| is(last, Look::End)) {
        items.pop();
    }
    Hir::concat(items)
}

/// All that `hir` matches, ascending, if it is not too much. Alternatives that are written out are never too
/// much: whoever wrote them has paid for them.
pub(super) fn finite(hir: &Hir) -> Option<Vec<String>> {
    let literals = match hir.kind() {
        HirKind::Alternation(items) => items.iter().map(literal).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let values = match literals {
        Some(literals) => literals,
        // An assertion would be dropped from what is extracted.
        None if !hir.properties().look_set().is_empty() => return None,
        None => {
            let seq = extracted(hir, ExtractKind::Prefix);
            let literals = seq.literals().filter(|_| seq.is_exact())?;
            literals
                .iter()
                .map(|literal| literal.as_bytes().to_vec())
                .collect()
        }
    };
    let values = values.into_iter().map(String::from_utf8);
    let mut values = values.collect::<Result<Vec<_>, _>>().ok()?;
    values.sort_unstable();
    values.dedup();
    Some(values)
}

fn literal(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_vec()),
        HirKind::Empty => Some(Vec::new()),
        _ => None,
    }
}

fn common_prefix(hir: &Hir) -> String {
    let seq = extracted(hir, ExtractKind::Prefix);
    let bytes = seq.longest_common_prefix().unwrap_or_default();
    // The values may part within a character.
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(e) => {
            String::from_utf8_lossy(bytes.get(..e.valid_up_to()).unwrap_or_default()).into_owned()
        }
    }
}

fn common_suffix(hir: &Hir) -> String {
    let seq = extracted(hir, ExtractKind::Suffix);
    let bytes = seq.longest_common_suffix().unwrap_or_default();
    let is_inside = |byte: &&u8| (0x80..0xC0).contains(*byte);
    let inside = bytes.iter().take_while(is_inside).count();
    std::str::from_utf8(bytes.get(inside..).unwrap_or_default())
        .unwrap_or_default()
        .to_owned()
}

fn extracted(hir: &Hir, kind: ExtractKind) -> Seq {
    Extractor::new()
        .kind(kind)
        .limit_class(MAX_SET)
        .limit_repeat(MAX_SET)
        .limit_literal_len(1024)
        .limit_total(MAX_SET)
        .extract(hir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_no_regex_for_fixed_texts_with_anything_between() {
        for pattern in [
            ".*",
            ".+",
            "a.*",
            ".*a",
            ".+a",
            ".*a.*",
            "a.+b.*c",
            "(a|b).*",
            ".*(ab|b).+c",
            "^a.*$",
            ".*.+a",
            "a.{2,}",
            "(?i)ab.*",
            r"[\s\S]*a",
            "(?:a.*)",
            ".*?a",
        ] {
            let program = Pattern::compile(pattern.as_bytes()).unwrap().program;
            assert!(
                matches!(program, Program::Glob(_)),
                "{pattern}: {program:?}"
            );
        }
        for pattern in [
            "a+",
            "(?-s).*a",
            "a.*|b.*",
            "[a-z]{2}.*",
            r"\ba.*",
            ".?a",
            "(a.*)?",
        ] {
            let program = Pattern::compile(pattern.as_bytes()).unwrap().program;
            assert!(
                matches!(program, Program::Regex { .. }),
                "{pattern}: {program:?}"
            );
        }
    }

    #[test]
    fn asks_the_engine_only_of_values_with_the_right_ends() {
        let pattern = Pattern::compile(b"node-[0-9]+(:9100|:19100)").unwrap();
        assert_eq!(pattern.prefix(), Some(&b"node-"[..]));
        assert!(matches!(&pattern.program, Program::Regex { suffix, .. } if suffix == "9100"));
        // The ends of the four letters are the bytes 0xA9 and 0xA8, so what is common is within a character.
        let pattern = Pattern::compile("[0-9]+(é|©)".as_bytes()).unwrap();
        assert!(matches!(&pattern.program, Program::Regex { suffix, .. } if suffix.is_empty()));
        assert!(["1é", "1©"].iter().all(|v| pattern.matches(v.as_bytes())));
    }
}
