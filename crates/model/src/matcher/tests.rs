use proptest::prelude::*;
use regex::Regex;
use serde::Deserialize;

use super::*;

const GO: &str = include_str!("testdata/go_regexp.jsonl");

#[derive(Deserialize)]
#[serde(untagged)]
enum Row {
    Values(String, Verdict, Vec<String>),
    Error(String, Verdict),
}

#[derive(Deserialize, PartialEq)]
enum Verdict {
    #[serde(rename = "matches")]
    Matches,
    #[serde(rename = "all but")]
    AllBut,
    #[serde(rename = "error")]
    Error,
}

fn matcher(op: MatchOp, value: &str) -> Matcher {
    Matcher::new(op, "a", value).unwrap_or_else(|e| panic!("{e}"))
}

fn error(pattern: &str) -> String {
    match Matcher::new(MatchOp::Regex, "a", pattern) {
        Ok(_) => panic!("{pattern} is taken"),
        Err(e) => e.to_string(),
    }
}

fn bytes(values: &[&str]) -> Vec<Vec<u8>> {
    values.iter().map(|&value| value.into()).collect()
}

#[test]
fn patterns_mean_what_they_mean_in_go() {
    let mut lines = GO.lines().filter(|line| !line.starts_with("# "));
    let values: Vec<String> = serde_json::from_str(lines.next().unwrap()).unwrap();
    let mut rows = 0;
    for line in lines {
        rows += 1;
        let (pattern, verdict, listed) = match serde_json::from_str(line).unwrap() {
            Row::Values(pattern, verdict, values) => (pattern, verdict, values),
            Row::Error(pattern, verdict) => (pattern, verdict, Vec::new()),
        };
        let Ok(matcher) = Matcher::new(MatchOp::Regex, "a", pattern.as_str()) else {
            assert!(verdict == Verdict::Error, "{pattern:?} is an error");
            continue;
        };
        assert!(verdict != Verdict::Error, "{pattern:?} is no error");
        for value in &values {
            let expected = listed.contains(value) == (verdict == Verdict::Matches);
            assert_eq!(matcher.matches(value), expected, "{pattern:?} on {value:?}");
        }
    }
    assert!(rows > 400, "{rows} rows");
}

/// As Go's engine and Prometheus's shortcuts around it have it: a byte that is no UTF-8 is one character.
#[test]
fn values_that_are_no_utf_8_match_as_in_go() {
    for (pattern, value, matches) in [
        (".", &b"\xff"[..], true),
        (".{3}", b"\xffA\xfe", true),
        (".{2}", b"\xffA\xfe", false),
        (".*A.*", b"\xffA\xfe", true),
        (".+A", b"\xffA\xfe", false),
        ("[^a]A[^b]", b"\xffA\xfe", true),
        ("[a-z]A.", b"\xffA\xfe", false),
        // A character cut short is as many as it has bytes; so are the bytes of a surrogate.
        ("..", b"\xe2\x82", true),
        ("...", b"\xed\xa0\x80", true),
        ("é.", b"\xc3\xa9\xff", true),
        // Texts are compared byte for byte.
        ("\u{fffd}", b"\xff", false),
        ("\u{fffd}|b", b"\xff", false),
        (".*\u{fffd}", b"\xff", false),
        (r".*\x{FFFD}.*", b"a\xff", false),
        (".*\u{fffd}", "a\u{fffd}".as_bytes(), true),
    ] {
        let found = matcher(MatchOp::Regex, pattern).matches(value);
        assert_eq!(found, matches, "{pattern:?} on {value:?}");
        let negated = matcher(MatchOp::NotRegex, pattern).matches(value);
        assert_eq!(negated, !matches, "{pattern:?} on {value:?}");
    }
    let bytes = Matcher::new(MatchOp::Equal, "a", *b"\xffA\xfe").unwrap();
    assert!(bytes.matches(b"\xffA\xfe") && !bytes.matches("\u{fffd}A\u{fffd}"));
    assert_eq!(bytes.to_string(), r#"a="\xffA\xfe""#);
    let error = Matcher::new(MatchOp::Regex, "a", *b"a\xff").unwrap_err();
    assert!(
        error.to_string().ends_with("byte 1: invalid UTF-8"),
        "{error}"
    );
}

/// As in Go, where texts are built of the pattern: a surrogate in one is U+FFFD there.
#[test]
fn a_surrogate_in_a_pattern_is_what_it_is_in_go() {
    let values = [
        "",
        "a",
        "b",
        "\u{fffd}",
        "a\u{fffd}",
        "\u{fffd}a",
        "\u{fffd}\u{fffd}",
        "a\u{fffd}b",
        "\u{e000}",
    ];
    for (pattern, expected) in [
        (r"\x{D800}", &["\u{fffd}"][..]),
        (r"\x{DFFF}", &["\u{fffd}"]),
        (r"[\x{D800}]", &["\u{fffd}"]),
        (r"[a\x{D800}]", &["a", "\u{fffd}"]),
        (r"[\x{D800}-\x{DFFF}]", &[]),
        (r"[^\x{D800}]", &["a", "b", "\u{fffd}", "\u{e000}"]),
        (r"a|\x{D800}", &["a", "\u{fffd}"]),
        (r"a\x{D800}b", &["a\u{fffd}b"]),
        (r"\x{D800}\x{D801}", &["\u{fffd}\u{fffd}"]),
        (r"\x{D800}*", &[""]),
        (r"\x{D800}?", &[""]),
        (r"a\x{D800}{0,2}", &["a"]),
        (r"a\x{D800}.*", &["a\u{fffd}", "a\u{fffd}b"]),
        (
            r".*\x{D800}",
            &["\u{fffd}", "a\u{fffd}", "\u{fffd}\u{fffd}"],
        ),
        (r"[ab]\x{D800}", &["a\u{fffd}"]),
        (r"\x{D800}[ab]+", &["\u{fffd}a"]),
        (r"\p{Cs}", &[]),
    ] {
        let matcher = matcher(MatchOp::Regex, pattern);
        let matching = values.iter().filter(|value| matcher.matches(value));
        assert!(matching.eq(expected), "{pattern}");
        assert!(!matcher.matches(b"\xed\xa0\x80"), "{pattern}");
    }
    assert!(!matcher(MatchOp::Regex, r"\x{D800}").matches(b"\xff"));
}

/// As `regexp/syntax` alone takes it, and with it Prometheus.
#[test]
fn a_quotation_without_end_goes_to_the_end_of_the_pattern() {
    for (pattern, value) in [
        (r"\Qa(b", "a(b"),
        (r"\Qa\", r"a\"),
        (r"a\Q", "a"),
        (r"\Qa|b", "a|b"),
        (r"a|\Qx)", "x)"),
    ] {
        assert!(matcher(MatchOp::Regex, pattern).matches(value), "{pattern}");
    }
    assert!(error(r"(\Qa)").contains("missing closing )"));
    assert!(error(r"\Q\E*").contains("missing argument to repetition operator"));
}

#[test]
fn negated_matchers_mean_the_other_values() {
    for (op, value, yes, no) in [
        (MatchOp::Equal, "x", "x", "y"),
        (MatchOp::NotEqual, "x", "", "x"),
        (MatchOp::Regex, "x.*", "xy", "yx"),
        (MatchOp::NotRegex, "x.*", "", "x"),
        (MatchOp::NotRegex, "x|y", "", "y"),
    ] {
        let matcher = matcher(op, value);
        assert!(matcher.matches(yes), "{matcher} on {yes:?}");
        assert!(!matcher.matches(no), "{matcher} on {no:?}");
        assert_eq!(matcher.matches_empty(), yes.is_empty(), "{matcher}");
    }
}

#[test]
fn tells_the_only_values_that_match() {
    for (pattern, set) in [
        ("b|a|c|a", &["a", "b", "c"][..]),
        ("(a|b)c", &["ac", "bc"]),
        ("[ab]c", &["ac", "bc"]),
        ("^foo$", &["foo"]),
        (r"a\.b", &["a.b"]),
        ("", &[""]),
        ("a|", &["", "a"]),
        ("x(1|2)?", &["x", "x1", "x2"]),
        ("(?i)ab", &["AB", "Ab", "aB", "ab"]),
        ("foo|bar[12]|(x|y)z", &["bar1", "bar2", "foo", "xz", "yz"]),
        (r"[^\x00-\x{10FFFF}]", &[]),
    ] {
        let expected = bytes(set);
        assert_eq!(
            matcher(MatchOp::Regex, pattern).set_matches(),
            Some(expected.as_slice()),
            "{pattern}"
        );
        assert_eq!(matcher(MatchOp::NotRegex, pattern).set_matches(), None);
    }
    for pattern in [
        "a.*",
        "[^a]",
        r"\ba",
        "a+",
        "[a-z][a-z]",
        "(?m)^a",
        "(?i)abcdefghijk",
    ] {
        assert_eq!(
            matcher(MatchOp::Regex, pattern).set_matches(),
            None,
            "{pattern}"
        );
    }
    let equal = bytes(&["a|b"]);
    assert_eq!(
        matcher(MatchOp::Equal, "a|b").set_matches(),
        Some(equal.as_slice())
    );
    assert_eq!(matcher(MatchOp::NotEqual, "a").set_matches(), None);
}

#[test]
fn written_out_alternatives_are_a_set_however_many() {
    let names: Vec<String> = (0..5000).map(|i| format!("pod-{i:05}")).collect();
    let many = matcher(MatchOp::Regex, &names.join("|"));
    let names: Vec<Vec<u8>> = names.into_iter().map(String::into_bytes).collect();
    assert_eq!(many.set_matches(), Some(names.as_slice()));
    assert!(many.matches("pod-04999") && !many.matches("pod-05000"));
}

#[test]
fn tells_the_prefix_of_the_values_that_match() {
    for (pattern, prefix) in [
        ("node-.*", Some("node-")),
        ("node-[0-9]+", Some("node-")),
        ("^node-.+", Some("node-")),
        ("(foo|fob).*", Some("fo")),
        ("foo.*|foobar", Some("foo")),
        ("(?i)a.*", None),
        ("(?i)1a.*", Some("1")),
        // The two share a byte, but no character.
        ("(é|è).*", None),
        (".*a", None),
        ("a.*|b", None),
        ("a?b.*", None),
    ] {
        assert_eq!(
            matcher(MatchOp::Regex, pattern).prefix(),
            prefix.map(str::as_bytes),
            "{pattern}"
        );
        assert_eq!(matcher(MatchOp::NotRegex, pattern).prefix(), None);
    }
}

#[test]
fn errors_name_the_matcher_the_place_and_what_is_wrong() {
    assert_eq!(
        error("ab{1001}"),
        r#"matcher a=~"ab{1001}": regular expression: byte 2: invalid repeat count, expected at most 1000 in all: "{1001}""#
    );
    for (pattern, place) in [
        ("a**", "byte 1: invalid nested repetition operator: \"**\""),
        ("x(ab", "byte 1: missing closing )"),
        ("ab)", "byte 2: unexpected )"),
        ("é[b", "byte 2: missing closing ]"),
        ("[z-a]", "byte 1: invalid character class range: \"z-a\""),
        ("a(?x)b", "byte 1: invalid or unsupported Perl syntax"),
        (r"a\1", "byte 1: invalid escape sequence"),
        (r"a\", "byte 1: trailing backslash"),
        ("|*", "byte 1: missing argument to repetition operator"),
        (
            r"\p{Foo}",
            r#"byte 0: invalid character class range: "\\p{Foo}""#,
        ),
    ] {
        let error = error(pattern);
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn refuses_patterns_that_nest_too_deeply_or_grow_too_large() {
    let nested = |depth| format!("{}e{}", "(b|cd".repeat(depth), ")".repeat(depth));
    assert!(matcher(MatchOp::Regex, &nested(330)).matches("cdcdb"));
    assert!(error(&nested(1000)).contains("nests too deeply"));
    let captures = |depth| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(matcher(MatchOp::Regex, &captures(998)).matches("a"));
    assert!(error(&captures(999)).contains("nests too deeply"));
    let plain = format!("{}a{}", "(?:".repeat(5000), ")".repeat(5000));
    assert!(matcher(MatchOp::Regex, &plain).matches("a"));
    assert!(error(&r"\pL".repeat(2000)).contains("expression too large"));
    assert!(error(&"(aaaaaaaaaa){1000}".repeat(340)).contains("expression too large"));
    // Three megabytes of it would take hundreds.
    assert!(error(&"[ab]".repeat(750_000)).contains("expression too large"));
    assert!(matcher(MatchOp::Regex, &"[ab]".repeat(250_000)).matches("b".repeat(250_000)));
}

#[test]
fn errors_do_not_repeat_a_huge_pattern() {
    let error = error(&format!("({}", "a".repeat(1 << 20)));
    assert!(error.len() < 500, "{} bytes", error.len());
}

/// What means the same to Rust's engine as it is.
fn common_patterns() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => "[abé]{1,3}",
        2 => Just(".*".to_owned()),
        2 => Just(".+".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just("[ab]".to_owned()),
        1 => Just("[^b]".to_owned()),
        1 => Just(".{2,}".to_owned()),
        1 => Just("^".to_owned()),
        1 => Just("$".to_owned()),
        1 => Just(String::new()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join("|"))),
            1 => inner.clone().prop_map(|part| format!("(?i:{part})")),
            1 => inner.clone().prop_map(|part| format!("({part})?")),
            1 => inner.prop_map(|part| format!("({part})*")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn fast_paths_answer_as_the_plain_regex(
        pattern in common_patterns(),
        values in prop::collection::vec("[abABéÉ\n]{0,7}", 40),
    ) {
        let plain = Regex::new(&format!("^(?s:{pattern})$")).unwrap();
        let fast = matcher(MatchOp::Regex, &pattern);
        let none = matcher(MatchOp::NotRegex, &pattern);
        let set = fast.set_matches().unwrap_or_default().to_vec();
        prop_assert!(set.is_sorted());
        let set = set.iter().map(|value| str::from_utf8(value).unwrap());
        for value in values.iter().map(String::as_str).chain(set).chain([""]) {
            let expected = plain.is_match(value);
            prop_assert_eq!(fast.matches(value), expected, "{} on {:?}", pattern, value);
            prop_assert_eq!(none.matches(value), !expected);
            if let Some(set) = fast.set_matches() {
                prop_assert_eq!(set.iter().any(|known| known == value.as_bytes()), expected);
            }
            if expected {
                prop_assert!(value.as_bytes().starts_with(fast.prefix().unwrap_or_default()));
            }
        }
    }

    #[test]
    fn no_pattern_makes_it_panic(
        pattern in prop::collection::vec(
            prop_oneof![
                Just("(?"), Just("(?P<"), Just("(?i)"), Just("[:"), Just(":]"), Just("[^"), Just(r"\x{"), Just(r"\p{"),
                Just(r"\Q"), Just(r"\E"), Just("{1,"), Just("2}"), Just("("), Just(")"), Just("["), Just("]"),
                Just("*"), Just("+"), Just("?"), Just("|"), Just("-"), Just("\\"), Just("é"), Just("a"), Just("}"),
            ],
            0..16,
        ).prop_map(|parts| parts.concat()),
        value in "[aé(]{0,3}",
    ) {
        match Matcher::new(MatchOp::Regex, "a", pattern.as_str()) {
            // The places that errors name lie in the pattern.
            Err(MatcherError::Regex { reason, .. }) => {
                let (_, place) = reason.split_once("byte ").unwrap();
                let (at, _) = place.split_once(':').unwrap();
                prop_assert!(pattern.get(at.parse::<usize>().unwrap()..).is_some());
            }
            Ok(matcher) => {
                let negated = Matcher::new(MatchOp::NotRegex, "a", pattern.as_str()).unwrap();
                prop_assert_ne!(matcher.matches(&value), negated.matches(&value));
            }
        }
    }
}
