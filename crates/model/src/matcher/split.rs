//! Patterns of many alternatives: each alternative is compiled to the cheapest thing that means the same.
//!
//! What is kept of sets and globs grows with the pattern as written; what needs a regex has the limit of
//! [`engine`].

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use aho_corasick::{AhoCorasick, PatternID};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::{
    engine::Engine,
    glob::Glob,
    pattern::{PatternError, Subject, finite, is_in},
};

/// With fewer alternatives than this one regex does.
const MIN_ALTERNATIVES: usize = 16;

/// In bytes, about: what is copied at most of the parts around alternatives. Only what becomes a regex is
/// there at once.
const MAX_COPIED: usize = 256 << 20;

/// How many texts alternatives may have beyond one for each.
const MAX_EXTRA_TEXTS: usize = 1 << 16;

/// With more alternatives than this that need a regex, the pattern as written is one in less memory.
const MAX_REST: usize = 1 << 14;

/// In bytes, of all keys. A searcher takes some 40 times as much while it is built.
const MAX_KEYS: usize = 1 << 20;

/// In bytes, of one key.
const MAX_KEY: usize = 32;

/// A value matches if one of the parts does.
#[derive(Debug)]
pub(super) struct Split {
    /// Ascending, each once.
    set: Vec<Vec<u8>>,
    globs: Globs,
    /// Of all other alternatives.
    rest: Option<Engine>,
}

#[derive(Debug)]
struct Globs {
    /// Of any text, so they are always tried.
    keyless: Vec<Glob>,
    /// Those that are tried on values with the key of the same index.
    keyed: Vec<Vec<Glob>>,
    keys: Option<AhoCorasick>,
}

/// The alternatives of `hir`, if they are many. What is around them, such as a prefix that all have, is part
/// of each.
pub(super) fn alternatives(hir: &Hir) -> Option<impl Iterator<Item = Hir>> {
    let items = match hir.kind() {
        HirKind::Concat(items) => items.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    let branches = items.iter().map(branches).enumerate();
    let (at, branches) = branches.max_by_key(|(_, branches)| branches.len())?;
    let (before, after) = (items.get(..at)?, items.get(at + 1..)?);
    let around = before.iter().chain(after).map(size).sum::<usize>();
    if branches.len() < MIN_ALTERNATIVES || around.saturating_mul(branches.len()) > MAX_COPIED {
        return None;
    }
    let whole = move |branch| {
        let branch = std::iter::once(branch);
        let items = before.iter().chain(branch).chain(after);
        Hir::concat(items.cloned().collect())
    };
    Some(branches.iter().map(whole))
}

fn branches(hir: &Hir) -> &[Hir] {
    match hir.kind() {
        HirKind::Alternation(branches) => branches,
        _ => &[],
    }
}

/// In bytes, about.
fn size(hir: &Hir) -> usize {
    const NODE: usize = 160;
    NODE + match hir.kind() {
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Unicode(class)) => 8 * class.ranges().len(),
        kind => kind.subs().iter().map(size).sum(),
    }
}

impl Split {
    /// Nothing if one regex is better.
    pub(super) fn of(
        alternatives: impl Iterator<Item = Hir>,
    ) -> Result<Option<Self>, PatternError> {
        let mut extra = MAX_EXTRA_TEXTS;
        let mut allow = |more: usize| match extra.checked_sub(more) {
            Some(left) => {
                extra = left;
                true
            }
            None => false,
        };
        let (mut set, mut globs, mut rest) = (Vec::new(), HashSet::new(), Vec::new());
        for hir in alternatives {
            if let Some(values) =
                finite(&hir).filter(|values| allow(values.len().saturating_sub(1)))
            {
                set.extend(values.into_iter().map(String::into_bytes));
            } else if let Some(glob) = Glob::of(&hir).filter(|glob| {
                allow(
                    glob.texts()
                        .map(|texts| texts.len().saturating_sub(1))
                        .sum(),
                )
            }) {
                globs.insert(glob);
            } else {
                rest.push(hir);
                if rest.len() > MAX_REST {
                    return Ok(None);
                }
            }
        }
        set.sort_unstable();
        set.dedup();
        let rest = (!rest.is_empty()).then(|| Engine::compile(Hir::alternation(rest)));
        Ok(Some(Self {
            set,
            globs: Globs::new(globs)?,
            rest: rest.transpose()?,
        }))
    }

    /// Whether a text of a glob has `c`.
    pub(super) fn has(&self, c: char) -> bool {
        let keyed = self.globs.keyed.iter().flatten();
        let mut globs = self.globs.keyless.iter().chain(keyed);
        globs.any(|glob| glob.has(c))
    }

    pub(super) fn matches(&self, value: Subject<'_>) -> bool {
        is_in(&self.set, value.bytes)
            || self.globs.matches(value.apart)
            || self
                .rest
                .as_ref()
                .is_some_and(|regex| regex.is_match(value.text))
    }
}

impl Globs {
    fn new(globs: HashSet<Glob>) -> Result<Self, PatternError> {
        let max_key = (MAX_KEYS / globs.len().max(1)).clamp(1, MAX_KEY);
        let mut keyless = Vec::new();
        let mut by_key: HashMap<Vec<u8>, Vec<Glob>> = HashMap::new();
        for glob in globs {
            match key(&glob, max_key) {
                Some(key) => by_key.entry(key).or_default().push(glob),
                None => keyless.push(glob),
            }
        }
        let (keys, keyed): (Vec<_>, Vec<_>) = by_key.into_iter().unzip();
        let keys = (!keys.is_empty()).then(|| AhoCorasick::new(&keys));
        Ok(Self {
            keyless,
            keyed,
            keys: keys.transpose().map_err(PatternError::Keys)?,
        })
    }

    fn matches(&self, text: &str) -> bool {
        let one_of = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(text));
        if one_of(&self.keyless) {
            return true;
        }
        let Some(keys) = &self.keys else {
            return false;
        };
        // A key that is there many times is tried once.
        let mut tried: HashSet<PatternID> = HashSet::new();
        keys.find_overlapping_iter(text).any(|found| {
            let key = found.pattern();
            let globs = self.keyed.get(key.as_usize());
            tried.insert(key) && globs.is_some_and(|globs| one_of(globs))
        })
    }
}

/// What a value has to have to match: of the longest text that is without alternatives, up to `max` bytes.
fn key(glob: &Glob, max: usize) -> Option<Vec<u8>> {
    let single = glob.texts().filter_map(|texts| match texts {
        [only] if !only.is_empty() => Some(only.as_bytes()),
        _ => None,
    });
    let longest = single.max_by_key(|text| text.len())?;
    // The ends of texts differ more than what they begin with.
    let start = longest.len().saturating_sub(max);
    longest.get(start..).map(<[u8]>::to_vec)
}
