//! PromQL's selectors: what is read is written and read again the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{MatchOp, Matcher, parse_selector};

fuzz_target!(|text: &str| {
    let Ok(matchers) = parse_selector(text) else {
        return;
    };
    for matcher in &matchers {
        let _ = (matcher.matches(text), matcher.matches(&matcher.value));
        assert_eq!(matcher.matches_empty(), matcher.matches(""));
    }
    let written: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
    let again = parse_selector(&format!("{{{}}}", written.join(","))).expect("as written");
    let parts = |matcher: &Matcher| -> (String, MatchOp, Vec<u8>) {
        (matcher.name.clone(), matcher.op, matcher.value.clone())
    };
    let parts = |matchers: &[Matcher]| matchers.iter().map(parts).collect::<Vec<_>>();
    assert_eq!(parts(&again), parts(&matchers));
});
