//! An automaton that goes character by character, as Go's does.
//!
//! The regex engine goes byte by byte, for which a class of Unicode becomes hundreds of states; counted hundreds of times,
//! that is more memory than a request may take. Here a class is one state, wherever it stands, and its ranges are kept
//! once. Matching takes time by states times characters; so this is for what the engine has no room for.
//!
//! ```text
//! a[bc]{1,2}   0: a ─▶ 1: [bc] ─▶ 2: either ─▶ 3: [bc] ─▶ 4: the end
//!                                    └────────────────▶ 4
//! ```

use std::collections::HashMap;

use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind, Look, Repetition};

use super::pattern::PatternError;

/// The most states: 16 bytes each, and four more of each that is stood in while matching.
pub(super) const MAX_STATES: usize = 1 << 20;

/// Ranges of characters, ascending, both ends included.
type Ranges = Vec<(char, char)>;

/// Whether all of a text matches.
#[derive(Debug)]
pub(super) struct Nfa {
    states: Vec<State>,
    classes: Vec<Ranges>,
    start: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Goes on with this character.
    Char(char, u32),
    /// Goes on with a character of the class with this number.
    Class(u32, u32),
    /// Goes on both ways.
    Either(u32, u32),
    /// Goes on where this holds.
    Where(Look, u32),
    /// All of a text matches that ends here.
    End,
    /// Nothing matches.
    Never,
}

/// Makes the states from the last to the first, so that each knows where it goes.
struct Builder {
    states: Vec<State>,
    /// The numbers of the classes so far.
    known: HashMap<Ranges, u32>,
}

impl Nfa {
    /// An automaton of `hir`.
    ///
    /// # Errors
    /// [`PatternError::States`], when it has too many states.
    pub(super) fn of(hir: &Hir) -> Result<Self, PatternError> {
        let mut builder = Builder {
            states: Vec::new(),
            known: HashMap::new(),
        };
        let end = builder.add(State::End)?;
        let start = builder.before(hir, end)?;
        builder.states.shrink_to_fit();
        let mut classes: Vec<(Ranges, u32)> = builder.known.into_iter().collect();
        classes.sort_unstable_by_key(|(_, number)| *number);
        Ok(Self {
            states: builder.states,
            classes: classes.into_iter().map(|(ranges, _)| ranges).collect(),
            start,
        })
    }

    /// Whether all of `text` matches.
    pub(super) fn is_match(&self, text: &str) -> bool {
        let mut now = Places::new(self.states.len());
        let mut next = Places::new(self.states.len());
        let mut chars = text.chars();
        let mut at = chars.next();
        self.enter(self.start, (None, at), &mut now);
        while let Some(c) = at {
            let after = chars.next();
            for place in &now.list {
                let goes_on = match self.states.get(*place as usize) {
                    Some(State::Char(wanted, to)) if *wanted == c => Some(*to),
                    Some(State::Class(class, to)) if self.has(*class, c) => Some(*to),
                    _ => None,
                };
                if let Some(to) = goes_on {
                    self.enter(to, (Some(c), after), &mut next);
                }
            }
            now.clear();
            if next.list.is_empty() {
                return false;
            }
            std::mem::swap(&mut now, &mut next);
            at = after;
        }
        let is_end = |place: &u32| matches!(self.states.get(*place as usize), Some(State::End));
        now.list.iter().any(is_end)
    }

    /// Stands in a state between two characters, and in all that it leads to without one.
    fn enter(&self, first: u32, between: (Option<char>, Option<char>), places: &mut Places) {
        let mut open = vec![first];
        while let Some(place) = open.pop() {
            if !places.add(place) {
                continue;
            }
            match self.states.get(place as usize) {
                Some(State::Either(one, other)) => open.extend([*one, *other]),
                Some(State::Where(look, to)) if holds(*look, between) => open.push(*to),
                _ => {}
            }
        }
    }

    fn has(&self, class: u32, c: char) -> bool {
        let Some(ranges) = self.classes.get(class as usize) else {
            return false;
        };
        let at = ranges.partition_point(|(_, last)| *last < c);
        ranges.get(at).is_some_and(|(first, _)| *first <= c)
    }
}

/// Whether an assertion holds between two characters, of which there is none at the ends.
fn holds(look: Look, (before, after): (Option<char>, Option<char>)) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_line = |c: Option<char>| c.is_none_or(|c| c == '\n');
    match look {
        Look::Start => before.is_none(),
        Look::End => after.is_none(),
        Look::StartLF => is_line(before),
        Look::EndLF => is_line(after),
        Look::WordAscii => is_word(before) != is_word(after),
        Look::WordAsciiNegate => is_word(before) == is_word(after),
        // Go has no other.
        _ => false,
    }
}

/// The states that are stood in, each once.
struct Places {
    list: Vec<u32>,
    has: Vec<u64>,
}

impl Places {
    fn new(states: usize) -> Self {
        Self {
            list: Vec::new(),
            has: vec![0; states.div_ceil(64)],
        }
    }

    /// Whether it is new.
    fn add(&mut self, place: u32) -> bool {
        let Some(word) = self.has.get_mut(place as usize / 64) else {
            return false;
        };
        let bit = 1 << (place % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        if is_new {
            self.list.push(place);
        }
        is_new
    }

    fn clear(&mut self) {
        for place in self.list.drain(..) {
            if let Some(word) = self.has.get_mut(place as usize / 64) {
                *word = 0;
            }
        }
    }
}

impl Builder {
    fn add(&mut self, state: State) -> Result<u32, PatternError> {
        let place = self.states.len();
        if place >= MAX_STATES {
            return Err(PatternError::States { limit: MAX_STATES });
        }
        self.states.push(state);
        Ok(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// The state from which `hir` leads to `to`.
    fn before(&mut self, hir: &Hir, mut to: u32) -> Result<u32, PatternError> {
        match hir.kind() {
            HirKind::Empty => Ok(to),
            HirKind::Literal(literal) => {
                // Literals are written as texts.
                let text = String::from_utf8_lossy(&literal.0);
                for c in text.chars().rev() {
                    to = self.add(State::Char(c, to))?;
                }
                Ok(to)
            }
            HirKind::Class(class) => {
                let class = match class {
                    Class::Unicode(class) => self.class(class),
                    Class::Bytes(class) => match class.to_unicode_class() {
                        Some(class) => self.class(&class),
                        // No text has a byte that is no character.
                        None => return self.add(State::Never),
                    },
                };
                self.add(State::Class(class, to))
            }
            HirKind::Look(look) => self.add(State::Where(*look, to)),
            HirKind::Capture(capture) => self.before(&capture.sub, to),
            HirKind::Concat(items) => {
                for item in items.iter().rev() {
                    to = self.before(item, to)?;
                }
                Ok(to)
            }
            HirKind::Alternation(items) => {
                let mut items = items.iter().rev();
                let Some(last) = items.next() else {
                    return self.add(State::Never);
                };
                let mut all = self.before(last, to)?;
                for item in items {
                    let one = self.before(item, to)?;
                    all = self.add(State::Either(one, all))?;
                }
                Ok(all)
            }
            HirKind::Repetition(repetition) => self.repeated(repetition, to),
        }
    }

    fn repeated(&mut self, repetition: &Repetition, end: u32) -> Result<u32, PatternError> {
        let Repetition { min, max, sub, .. } = repetition;
        let mut to = end;
        match max {
            None => {
                let again = self.add(State::Never)?;
                let once = self.before(sub, again)?;
                if let Some(state) = self.states.get_mut(again as usize) {
                    *state = State::Either(once, end);
                }
                to = again;
            }
            Some(max) => {
                for _ in *min..*max {
                    let once = self.before(sub, to)?;
                    to = self.add(State::Either(once, end))?;
                }
            }
        }
        for _ in 0..*min {
            to = self.before(sub, to)?;
        }
        Ok(to)
    }

    /// The number of a class. Fewer are kept than there are states.
    fn class(&mut self, class: &ClassUnicode) -> u32 {
        let ranges = class.iter().map(|range| (range.start(), range.end()));
        let number = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        *self.known.entry(ranges.collect()).or_insert(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn nfa(pattern: &str) -> Nfa {
        Nfa::of(&regex_syntax::parse(pattern).unwrap()).unwrap()
    }

    #[test]
    fn counted_classes_take_one_state_for_each_time() {
        let nfa = nfa(r"\pL{1,900}x\pL{1,900}");
        assert!(nfa.states.len() <= 4 * 900, "{}", nfa.states.len());
        assert_eq!(nfa.classes.len(), 1);
        let letters = |n: usize| "é".repeat(n);
        let text = |before, after| format!("{}x{}", letters(before), letters(after));
        for (before, after, matches) in [
            (1, 1, true),
            (900, 900, true),
            (901, 900, false),
            (0, 1, false),
            (1, 901, false),
        ] {
            assert_eq!(
                nfa.is_match(&text(before, after)),
                matches,
                "{before}, {after}"
            );
        }
    }

    #[test]
    fn too_many_states_are_an_error() {
        let hir = regex_syntax::parse(&"(ab[cd]){1000}".repeat(400)).unwrap();
        let error = Nfa::of(&hir).unwrap_err().to_string();
        assert_eq!(error, "regular expression has more than 1048576 states");
    }

    /// Patterns of all that there is to one.
    fn patterns() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[abé]{0,2}",
            prop::sample::select(vec![
                ".",
                "[ab]",
                "[^b]",
                r"\pL",
                "^",
                "$",
                "(?m:^)",
                "(?m:$)",
                r"(?-u:\b)",
                r"(?-u:\B)",
                "[a&&b]",
            ])
            .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join("|"))),
                1 => inner.clone().prop_map(|part| format!("(?i:{part})")),
                1 => inner.clone().prop_map(|part| format!("(?:{part})?")),
                1 => inner.clone().prop_map(|part| format!("({part})*")),
                1 => inner.clone().prop_map(|part| format!("({part})+")),
                1 => inner.clone().prop_map(|part| format!("(?:{part}){{2}}")),
                1 => inner.prop_map(|part| format!("(?:{part}){{1,3}}")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn it_answers_as_the_regex_engine_does(
            pattern in patterns(),
            texts in prop::collection::vec("[abABéÉ_ \n]{0,7}", 30),
        ) {
            let pattern = format!("(?s:{pattern})");
            let plain = Regex::new(&format!("^{pattern}$")).unwrap();
            let nfa = nfa(&pattern);
            for text in texts {
                prop_assert_eq!(nfa.is_match(&text), plain.is_match(&text), "{} on {:?}", pattern, text);
            }
        }
    }
}
