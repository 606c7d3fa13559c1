//! Patterns such as `node-.*`, `.+:9100` and `.*err.*`: fixed texts with anything between.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::literals::finite;

/// With more texts than this the regex engine is faster, since it looks for all at once.
const MAX_TEXTS: usize = 16;

/// A value matches if it begins with one of `first`, then for each of `rest` has a gap and one of its texts,
/// and is at its end.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Glob {
    first: Vec<String>,
    /// At least one.
    rest: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Part {
    /// How many characters there are before the text at least.
    gap: u32,
    /// Alternatives.
    texts: Vec<String>,
}

impl Glob {
    /// The glob that means the same as `hir`, if there is one.
    pub(super) fn of(hir: &Hir) -> Option<Self> {
        let items = match hir.kind() {
            HirKind::Concat(items) => items.as_slice(),
            _ => std::slice::from_ref(hir),
        };
        // A part is known only when the next gap ends it.
        let mut between: Vec<Hir> = Vec::new();
        let mut parts: Vec<(u32, Vec<String>)> = Vec::new();
        let mut gap: Option<u32> = None;
        let mut first = None;
        for item in items {
            let Some(min) = gap_of(item) else {
                between.push(item.clone());
                continue;
            };
            if between.is_empty() && gap.is_some() {
                gap = gap.map(|gap| gap.saturating_add(min));
                continue;
            }
            let texts = finite(&Hir::concat(std::mem::take(&mut between)))?;
            match gap.replace(min) {
                None => first = Some(texts),
                Some(gap) => parts.push((gap, texts)),
            }
        }
        let (first, gap) = (first?, gap?);
        parts.push((gap, finite(&Hir::concat(between))?));
        let rest = parts.into_iter().map(|(gap, texts)| Part { gap, texts });
        let glob = Self {
            first,
            rest: rest.collect(),
        };
        let texts = glob.rest.iter().map(|part| part.texts.len());
        (glob.first.len() + texts.sum::<usize>() <= MAX_TEXTS).then_some(glob)
    }

    /// All lists of alternatives, in order: a matching value has one text of each.
    pub(super) fn texts(&self) -> impl Iterator<Item = &[String]> {
        let rest = self.rest.iter().map(|part| part.texts.as_slice());
        std::iter::once(self.first.as_slice()).chain(rest)
    }

    pub(super) fn has(&self, c: char) -> bool {
        self.texts().flatten().any(|text| text.contains(c))
    }

    /// Each text is taken as early as can be, for that leaves the most to the ones after it.
    pub(super) fn matches(&self, value: &str) -> bool {
        let begun = self
            .first
            .iter()
            .filter_map(|text| value.strip_prefix(text.as_str()));
        let Some(mut left) = begun.max_by_key(|left| left.len()) else {
            return false;
        };
        let Some((last, middle)) = self.rest.split_last() else {
            return left.is_empty();
        };
        for part in middle {
            let Some(beyond) = beyond_gap(left, part.gap) else {
                return false;
            };
            let found = part.texts.iter().filter_map(|text| {
                let (_, after) = beyond.split_once(text.as_str())?;
                Some(after)
            });
            match found.max_by_key(|after| after.len()) {
                Some(after) => left = after,
                None => return false,
            }
        }
        beyond_gap(left, last.gap).is_some_and(|beyond| {
            last.texts
                .iter()
                .any(|text| beyond.ends_with(text.as_str()))
        })
    }
}

/// What comes after at least `gap` characters.
fn beyond_gap(value: &str, gap: u32) -> Option<&str> {
    let mut chars = value.chars();
    for _ in 0..gap {
        chars.next()?;
    }
    Some(chars.as_str())
}

/// How many characters `hir` matches at least, if it matches any number of any characters above that.
fn gap_of(hir: &Hir) -> Option<u32> {
    let HirKind::Repetition(repetition) = hir.kind() else {
        return None;
    };
    let HirKind::Class(Class::Unicode(class)) = repetition.sub.kind() else {
        return None;
    };
    let [range] = class.ranges() else {
        return None;
    };
    let any = range.start() == '\0' && range.end() == char::MAX;
    (any && repetition.max.is_none()).then_some(repetition.min)
}
