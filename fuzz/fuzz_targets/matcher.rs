//! Patterns as Go's RE2 knows them. The first line is the pattern, the rest a value; the shortcuts that
//! matchers offer to an index must agree with matching, and so must the pattern with its groups, as relabeling has it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Labels, MatchOp, Matcher, RelabelConfig, Relabeling};
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
    let rule = RelabelConfig {
        source_labels: vec!["a".to_owned()],
        regex: pattern.to_owned(),
        target_label: "b".to_owned(),
        replacement: "$0$1x".to_owned(),
        ..RelabelConfig::default()
    };
    // What is too large for the regex engine has no groups.
    let relabeling = Relabeling::new(&[rule]).ok();
    for value in [value, pattern, ""] {
        if let Some(relabeling) = &relabeling {
            let before = Labels::from_pairs([("a", value), ("c", "d")]);
            let after = relabeling.apply(&before).expect("no label is removed");
            assert_eq!(after != before, matcher.matches(value) && after.get("b").is_some());
        }
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
