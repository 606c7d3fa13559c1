use proptest::prelude::*;
use regex::Regex;

use super::*;
use crate::matcher::{MatchOp, Matcher};

const VALUES: [&str; 16] = [
    "",
    "foo12",
    "foo12x",
    "foo12a9999",
    "foo9999",
    "xfoo12",
    "12foo",
    "12foo77bar",
    "foo0",
    "foo10000",
    "a\nfoo77",
    "ab12",
    "AB12",
    "foo77",
    "foo77zzfoo",
    "zfoo77z",
];

fn matcher(pattern: &str) -> Matcher {
    Matcher::new(MatchOp::Regex, "a", pattern).unwrap_or_else(|e| panic!("{e}"))
}

/// `alternative` with each number below `count` for `#`.
fn many(alternative: &str, count: usize) -> String {
    let numbered = |i: usize| alternative.replace('#', &i.to_string());
    (0..count).map(numbered).collect::<Vec<_>>().join("|")
}

/// The matching values are those of Go 1.26.8's `regexp` and of Prometheus v0.309.1's matcher.
#[test]
fn ten_thousand_alternatives_match_what_they_match_in_go() {
    let every: Vec<&str> = VALUES.to_vec();
    for (pattern, expected) in [
        (
            many("foo#.*", 10_000),
            vec![
                "foo12",
                "foo12x",
                "foo12a9999",
                "foo9999",
                "foo0",
                "foo10000",
                "foo77",
                "foo77zzfoo",
            ],
        ),
        (
            many(".*foo#", 10_000),
            vec!["foo12", "foo9999", "xfoo12", "foo0", "a\nfoo77", "foo77"],
        ),
        (
            many(".*foo#.*", 10_000),
            vec![
                "foo12",
                "foo12x",
                "foo12a9999",
                "foo9999",
                "xfoo12",
                "12foo77bar",
                "foo0",
                "foo10000",
                "a\nfoo77",
                "foo77",
                "foo77zzfoo",
                "zfoo77z",
            ],
        ),
        (
            many(".+foo#.+", 10_000),
            vec!["xfoo12", "12foo77bar", "a\nfoo77", "zfoo77z"],
        ),
        (many("foo#.*a#", 10_000), vec![]),
        (
            many("foo#", 10_000),
            vec!["foo12", "foo9999", "foo0", "foo77"],
        ),
        (many("[a-f]b#", 10_000), vec!["ab12"]),
        (many("(?i:ab#)", 10_000), vec!["ab12", "AB12"]),
        (many("[0-9]+foo#.*", 10_000), vec!["12foo77bar"]),
        (format!("z({})z", many("foo#.*", 10_000)), vec!["zfoo77z"]),
        (many("#foo.*foo#.*", 10_000), vec![]),
        (
            format!("(?s:.*)({})foo", many("foo#[a-z]*", 10_000)),
            vec!["foo77zzfoo"],
        ),
        (many("[0-9]+foo#.*", 20_000), vec!["12foo77bar"]),
        (many(".{#,}", 1000), every),
        ("|".repeat(9_999), vec![""]),
    ] {
        let matcher = matcher(&pattern);
        let matching = VALUES.into_iter().filter(|value| matcher.matches(value));
        let shown: String = pattern.chars().take(40).collect();
        assert_eq!(matching.collect::<Vec<_>>(), expected, "{shown}…");
    }
}

#[test]
fn texts_are_compared_byte_for_byte_among_many_alternatives_too() {
    let others = many("foo#.*", 20);
    for (alternative, value, matches) in [
        ("\u{fffd}", &b"\xff"[..], false),
        ("\u{fffd}", "\u{fffd}".as_bytes(), true),
        ("\u{fffd}.*", b"\xffa", false),
        ("a\u{fffd}.*", "a\u{fffd}b".as_bytes(), true),
        ("a\u{fffd}.*", b"a\xffb", false),
        (".*\u{fffd}", b"\xff", false),
        (".*\u{fffd}", "a\u{fffd}".as_bytes(), true),
        (".*\u{fffd}.*", b"\xff", false),
        (".{3}", b"\xffA\xfe", true),
        (".{2}", b"\xffA\xfe", false),
        (".*A.*", b"\xffA\xfe", true),
        ("[^a]A[^b]", b"\xffA\xfe", true),
    ] {
        let found = matcher(&format!("{others}|{alternative}")).matches(value);
        assert_eq!(found, matches, "{alternative:?} on {value:?}");
    }
}

#[test]
fn counted_classes_of_unicode_are_taken() {
    let letters = matcher(r"\pL{1,1000}");
    assert!(letters.matches("é".repeat(1000)) && letters.matches("a"));
    assert!(!letters.matches("é".repeat(1001)) && !letters.matches("") && !letters.matches("é1"));
    let exact = matcher(r"\pL{1000}");
    assert!(exact.matches("é".repeat(1000)) && !exact.matches("é".repeat(999)));
}

#[test]
fn a_pattern_too_large_for_the_engine_is_matched_all_the_same() {
    let letters = |n: usize| "é".repeat(n);
    let two = matcher(r"\pL{1,900}x\pL{1,900}");
    assert!(two.matches(format!("{}x{}", letters(900), letters(1))));
    assert!(!two.matches(format!("{}x{}", letters(901), letters(1))));
    assert!(!two.matches(letters(900)));
    let many_of = matcher(&many(r"[a-z]+\pL{900}#", 100));
    assert!(many_of.matches(format!("a{}7", letters(900))));
    assert!(!many_of.matches(format!("a{}7", letters(899))));
    let classes = matcher(r"(\pL{200}x){5}|(\pN{500}\pL{900}|\pL{900}\PL{900}|\PL{700}\pL{900})");
    assert!(classes.matches(format!("{}{}", "1".repeat(500), letters(900))));
    assert!(!classes.matches(format!("{}{}", "1".repeat(500), letters(899))));
}

#[test]
fn a_pattern_with_too_many_states_is_an_error_that_names_the_limit() {
    let pattern = many(r"[a-z]+\pL{900}#", 1300);
    let error = Matcher::new(MatchOp::Regex, "a", pattern.as_str()).unwrap_err();
    let error = error.to_string();
    assert!(error.ends_with("has more than 1048576 states"), "{error}");
}

#[test]
fn empty_and_repeated_alternatives_are_kept_once() {
    for (pattern, set) in [
        ("|".repeat(1_000_000), &[""][..]),
        ("a|".repeat(100_000), &["", "a"]),
        (format!("x({})", "|".repeat(1_000_000)), &["x"]),
    ] {
        let set: Vec<Vec<u8>> = set.iter().map(|&value| value.into()).collect();
        assert_eq!(matcher(&pattern).set_matches(), Some(set.as_slice()));
    }
}

fn alternative() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[abé]{1,3}",
        3 => Just(".*".to_owned()),
        1 => Just(".+".to_owned()),
        1 => Just(".{2,}".to_owned()),
        1 => Just("[ab]".to_owned()),
        1 => Just("[^b]+".to_owned()),
        1 => Just("(a|é.*)".to_owned()),
        1 => Just("(?i:ab)".to_owned()),
        1 => Just("^".to_owned()),
        1 => Just("$".to_owned()),
        1 => Just(r"\b".to_owned()),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_parts_answer_as_one_plain_regex(
        alternatives in prop::collection::vec(alternative(), 16..24),
        before in alternative(),
        after in alternative(),
        values in prop::collection::vec("[abABé\n]{0,8}", 40),
    ) {
        let pattern = format!("{before}({}){after}", alternatives.join("|"));
        let plain = pattern.replace(r"\b", r"(?-u:\b)");
        let plain = Regex::new(&format!("^(?s:{plain})$")).unwrap();
        let matcher = matcher(&pattern);
        for value in &values {
            prop_assert_eq!(matcher.matches(value), plain.is_match(value), "{} on {:?}", pattern, value);
        }
    }

    /// However few they are.
    #[test]
    fn parts_of_few_alternatives_answer_as_one_plain_regex(
        alternatives in prop::collection::vec(alternative(), 1..5),
        values in prop::collection::vec("[abABé\n]{0,8}", 40),
    ) {
        let plain = alternatives.join("|").replace(r"\b", r"(?-u:\b)");
        let plain = Regex::new(&format!("^(?s:{plain})$")).unwrap();
        let parsed = alternatives.iter().map(|alternative| crate::matcher::re2::parse(alternative).unwrap());
        let split = Split::of(parsed).unwrap().unwrap();
        for value in &values {
            let found = split.matches(Subject { bytes: value.as_bytes(), text: value, apart: value });
            prop_assert_eq!(found, plain.is_match(value), "{:?} on {:?}", alternatives, value);
        }
    }
}
