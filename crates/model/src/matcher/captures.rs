//! A pattern whose groups are asked for: Go's `Regexp.Expand` of a value that matches as a whole.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::print::Printer;

use super::{error::PatternError, re2};

/// In bytes.
const MAX_COMPILED: usize = 16 << 20;

/// A pattern, anchored at both ends, with its groups.
#[derive(Clone, Debug)]
pub(crate) struct Captures {
    regex: Regex,
    /// The groups that have a name, and their numbers.
    names: Vec<(String, u32)>,
}

impl Captures {
    /// Compiles a pattern of Go's.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        Self::try_compile(pattern).map_err(|error| error.to_string())
    }

    fn try_compile(pattern: &str) -> Result<Self, PatternError> {
        let (hir, names) = re2::parse_captures(pattern)?;
        let mut text = String::new();
        let engine = |text: String| PatternError::Engine(regex::Error::Syntax(text));
        Printer::new()
            .print(&hir, &mut text)
            .map_err(|error| engine(error.to_string()))?;
        let regex = RegexBuilder::new(&text).size_limit(MAX_COMPILED).build();
        let regex = regex.map_err(PatternError::Engine)?;
        Ok(Self { regex, names })
    }

    /// Whether the value matches.
    pub(crate) fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    /// The templates with the groups of the value; none if it does not match.
    pub(crate) fn expand<const N: usize>(
        &self,
        value: &str,
        templates: [&str; N],
    ) -> Option<[String; N]> {
        let found = self.regex.captures(value)?;
        let group = |name: &str| {
            let number = match name.parse::<u32>() {
                Ok(number) => number,
                Err(_) => self.names.iter().find(|(of, _)| of == name)?.1,
            };
            let group = match number {
                0 => found.get(0),
                _ => found.name(&re2::group_name(number)),
            };
            group.map(|group| group.as_str())
        };
        Some(templates.map(|template| expand(template, group)))
    }
}

/// Go's templates: `$1`, `$name` with the longest name there is, `${name}`, `$$` for a dollar. A group that is not there
/// is empty, and a dollar that begins nothing is a dollar.
fn expand<'a>(template: &str, group: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let is_name = |c: char| c == '_' || c.is_alphanumeric();
        let found = match after.strip_prefix('{') {
            Some(braced) => braced
                .split_once('}')
                .filter(|(name, _)| !name.is_empty() && name.chars().all(is_name)),
            None => {
                let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
                after
                    .split_at_checked(end)
                    .filter(|(name, _)| !name.is_empty())
            }
        };
        match found {
            Some((name, after)) => {
                out.push_str(group(name).unwrap_or_default());
                rest = after;
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(pattern: &str, value: &str, template: &str) -> Option<String> {
        let captures = Captures::compile(pattern).unwrap();
        captures.expand(value, [template]).map(|[text]| text)
    }

    #[test]
    fn groups_are_those_that_go_finds() {
        for (pattern, value, template, expected) in [
            ("(.*)", "a\nb", "$1", Some("a\nb")),
            ("(a|ab)(c|bcd)?(d*)", "abcd", "$1-$2-$3", Some("a-bcd-")),
            (
                "(?P<host>[^:]+):(\\d+)",
                "db:9090",
                "${host}/$2",
                Some("db/9090"),
            ),
            ("(?<host>[^:]+):(\\d+)", "db:9090", "$host", Some("db")),
            // Greed decides what a group has.
            ("(a+)(a*)", "aaa", "$1,$2", Some("aaa,")),
            ("(a+?)(a*)", "aaa", "$1,$2", Some("a,aa")),
            ("(?U:(a+))(a*)", "aaa", "$1,$2", Some("a,aa")),
            ("(?U:(a+?))(a*)", "aaa", "$1,$2", Some("aaa,")),
            // A repetition of a repetition has no group of its own.
            ("(?:(?:a+)?)(b)", "aab", "$1", Some("b")),
            ("(?:x|(y))z", "xz", "<$1>", Some("<>")),
            ("(?i)(straße)", "STRASSE", "$1", None),
            ("(?i)(foo)-.*", "FOO-1", "$1", Some("FOO")),
            // Digits are ASCII, as in Go.
            ("(\\d+)", "٣", "$1", None),
            (
                "a(b)",
                "ab",
                "$1x ${1}x $0 $$ $ ${} ${1",
                Some(" bx ab $ $ ${} ${1"),
            ),
            ("b", "abc", "x", None),
        ] {
            let found = expanded(pattern, value, template);
            assert_eq!(found.as_deref(), expected, "{pattern} {value} {template}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for pattern in ["(", "a**", "(?<>a)", "[b-a]"] {
            assert!(Captures::compile(pattern).is_err(), "{pattern}");
        }
    }
}
