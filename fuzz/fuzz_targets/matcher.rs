//! Patterns as Go's RE2 knows them. The first line is the pattern, the rest a value; the shortcuts that
//! matchers offer to an index must agree with matching.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{MatchOp, Matcher};
use varve_fuzz::bounded;

fuzz_target!(|text: &str| {
    let (pattern, value) = text.split_once('\n').unwrap_or((text, ""));
    // A compiled pattern has a limit of its own; it is not in proportion to a short text.
    let compiled = bounded(1 << 20, 64, || Matcher::new(MatchOp::Regex, "a", pattern));
    let negated = Matcher::new(MatchOp::NotRegex, "a", pattern);
    assert_eq!(compiled.is_ok(), negated.is_ok());
    let (Ok(matcher), Ok(negated)) = (compiled, negated) else {
        return;
    };
    for value in [value, pattern, ""] {
        let matches = matcher.matches(value);
        assert_eq!(matches, !negated.matches(value));
        if let Some(set) = matcher.set_matches() {
            assert_eq!(
                matches,
                set.iter().any(|one| one.as_slice() == value.as_bytes()),
                "{set:?}"
            );
        }
        if let Some(prefix) = matcher.prefix() {
            assert!(
                !matches || value.as_bytes().starts_with(prefix),
                "{prefix:?}"
            );
        }
    }
    if let Some(set) = matcher.set_matches() {
        assert!(set.is_sorted_by(|a, b| a < b), "{set:?}");
        assert!(set.iter().all(|one| matcher.matches(one)), "{set:?}");
    }
});
