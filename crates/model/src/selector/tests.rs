use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Vec<String> {
    let matchers = parse_selector(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    matchers.iter().map(ToString::to_string).collect()
}

fn error(text: &str) -> String {
    match parse_selector(text) {
        Ok(matchers) => panic!("{text} is taken: {matchers:?}"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn reads_selectors_as_promql_does() {
    let up = r#"__name__="up""#;
    for (text, expected) in [
        ("up", &[up][..]),
        (" up{ } ", &[up]),
        (
            r#"up{job="node",instance=~"a.*"}"#,
            &[up, r#"job="node""#, r#"instance=~"a.*""#],
        ),
        (r#"{__name__="up"}"#, &[up]),
        (
            r#"{__name__=~"a|b",x!="",y!~"c",}"#,
            &[r#"__name__=~"a|b""#, r#"x!="""#, r#"y!~"c""#],
        ),
        (
            r#"{"http.requests", a!="b"}"#,
            &[r#"__name__="http.requests""#, r#"a!="b""#],
        ),
        (
            r#"{a="b","http.requests"}"#,
            &[r#"a="b""#, r#"__name__="http.requests""#],
        ),
        (r#"{"service.name"="x"}"#, &[r#""service.name"="x""#]),
        ("job:up:sum", &[r#"__name__="job:up:sum""#]),
        ("up\n{\ta = 'b' , }", &[up, r#"a="b""#]),
        (r#"{'a'='it\'s',b=`c\n`}"#, &[r#"a="it's""#, r#"b="c\\n""#]),
        (r#"{by="x"}"#, &[r#"by="x""#]),
        (r#"up{a="",}"#, &[up, r#"a="""#]),
        (
            r#"{"a",__name__!="b"}"#,
            &[r#"__name__="a""#, r#"__name__!="b""#],
        ),
        (
            r#"{__name__="a",__name__!="b"}"#,
            &[r#"__name__="a""#, r#"__name__!="b""#],
        ),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn reads_the_escapes_of_strings() {
    for (text, value) in [
        (r#""\a\b\f\n\r\t\v\\\"""#, "\x07\x08\x0C\n\r\t\x0B\\\""),
        (r#""\x41\101\u00e9\U0001F600""#, "AAé😀"),
        // Bytes that are a character only together.
        (r#""\xc3\xa9\303\251""#, "éé"),
        (r#"'"\''"#, "\"'"),
        ("`\\x41\"'\n`", "\\x41\"'\n"),
        (r#""日本""#, "日本"),
    ] {
        let matchers = parse_selector(&format!("{{a={text}}}")).unwrap();
        assert_eq!(matchers[0].value, value.as_bytes(), "{text}");
    }
    let matchers = parse_selector(r#"{a="\xffA\376"}"#).unwrap();
    assert_eq!(matchers[0].value, b"\xffA\xfe");
}

#[test]
fn errors_name_the_place_what_is_expected_and_what_is_found() {
    for (text, expected) in [
        (
            "",
            "selector, byte 0: expected a metric name or {, found the end",
        ),
        (
            "1a",
            "selector, byte 0: expected a metric name or {, found '1'",
        ),
        (
            "up{",
            "selector, byte 3: expected a label name, a quoted name or }, found the end",
        ),
        (
            "up{,}",
            "selector, byte 3: expected a label name, a quoted name or }, found ','",
        ),
        (
            r#"up{a="b",,}"#,
            "selector, byte 9: expected a label name, a quoted name or }, found ','",
        ),
        (
            "up{a}",
            "selector, byte 4: expected =, !=, =~ or !~, found '}'",
        ),
        (
            r#"up{a:b="c"}"#,
            "selector, byte 4: expected =, !=, =~ or !~, found ':'",
        ),
        (
            "up{a=b}",
            "selector, byte 5: expected a value in quotes, found 'b'",
        ),
        (
            r#"up{a=="b"}"#,
            "selector, byte 5: expected a value in quotes, found '='",
        ),
        (
            r#"up{a="b" c="d"}"#,
            "selector, byte 9: expected a comma or }, found 'c'",
        ),
        (
            r#"up{a="é"}[5m]"#,
            "selector, byte 10: expected the end of the selector, found '['",
        ),
        (
            "up down",
            "selector, byte 3: expected the end of the selector, found 'd'",
        ),
        (
            r#"up{a="b}"#,
            "selector, byte 8: expected a closing quote, found the end",
        ),
        (
            "up{a=`b}",
            "selector, byte 8: expected a closing `, found the end",
        ),
        (
            "up{a=\"b\n\"}",
            r"selector, byte 7: expected a closing quote before the end of the line, found '\n'",
        ),
        (
            r#"up{a="b\400"}"#,
            r"selector, byte 7: expected three octal digits up to 377, found '\\'",
        ),
        (
            r#"up{a="\xg0"}"#,
            r"selector, byte 6: expected two hexadecimal digits, found '\\'",
        ),
        (
            r#"up{a="\ud800"}"#,
            r"selector, byte 6: expected four hexadecimal digits of a character, found '\\'",
        ),
        (
            r#"up{"\xff"="b"}"#,
            r#"selector, byte 3: expected a name of valid UTF-8, found '"'"#,
        ),
        (
            r#"up{__name__="x"}"#,
            r#"selector, byte 3: expected one metric name, found another after "up""#,
        ),
        (
            r#"up{"x"}"#,
            r#"selector, byte 3: expected one metric name, found another after "up""#,
        ),
        (
            "{}",
            "selector: expected a matcher that the empty value does not match, found none",
        ),
        (
            r#"{a=~".*",b=""}"#,
            "selector: expected a matcher that the empty value does not match, found none",
        ),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
    let error = error(r#"up{a="b",c=~"["}"#);
    assert!(
        error.starts_with(r#"selector, byte 9: matcher c=~"[": "#),
        "{error}"
    );
}

#[test]
fn an_unknown_escape_is_an_error_at_its_place() {
    let error = error(r#"up{a="\q"}"#);
    let place = "selector, byte 6: expected an escape such as";
    assert!(error.starts_with(place), "{error}");
}

proptest! {
    #[test]
    fn matchers_are_read_back_as_they_are_written(
        name in "[a-z_]{1,4}|\\PC{1,6}|.{1,4}",
        value in prop_oneof![
            "\\PC{0,8}|(?s:.){0,8}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..8),
        ],
    ) {
        let matchers = [
            Matcher::new(MatchOp::Equal, "x", "y").unwrap(),
            Matcher::new(MatchOp::NotEqual, name.as_str(), value.as_slice()).unwrap(),
        ];
        let [first, second] = &matchers;
        let read = parse_selector(&format!("{{{first},{second}}}")).unwrap();
        prop_assert_eq!(read.len(), 2);
        prop_assert_eq!(&read[1].name, &name);
        prop_assert_eq!(&read[1].value, &value);
        prop_assert_eq!(read[1].op, MatchOp::NotEqual);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a{}\"'`\\\\=~!,x1 é]{0,24}") {
        // What it says is told above; here it must only say something.
        let told = parse_selector(&text).map_or_else(|e| e.to_string(), |m| m.len().to_string());
        prop_assert!(!told.is_empty());
    }
}
