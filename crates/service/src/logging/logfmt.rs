//! Lines of logfmt, escaped as by go-logfmt, so that tools for Thanos's logs read them.

use serde_json::{Map, Value};

/// The line of these keys and values, without its end.
pub(super) fn line(fields: &Map<String, Value>) -> String {
    let mut out = String::new();
    for (key, value) in fields {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(key.chars().filter(|c| !needs_quotes(*c)));
        out.push('=');
        match value {
            Value::String(text) => write(&mut out, text),
            // Numbers and truth values need no quotes.
            other => out.push_str(&other.to_string()),
        }
    }
    out
}

/// Writes a text, in quotes if it could be taken for something else without them.
fn write(out: &mut String, text: &str) {
    if text != "null" && !text.contains(needs_quotes) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            char::REPLACEMENT_CHARACTER => out.push_str("\\ufffd"),
            c => out.push(c),
        }
    }
    out.push('"');
}

const fn needs_quotes(c: char) -> bool {
    matches!(c, '\0'..=' ' | '=' | '"' | char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_where_go_logfmt_quotes_it() {
        for (value, written) in [
            ("plain", "plain"),
            ("", ""),
            (r"C:\x", r"C:\x"),
            ("ä→", "ä→"),
            ("{a:1}", "{a:1}"),
            ("a b", r#""a b""#),
            ("a=b", r#""a=b""#),
            (r#"a"\"#, r#""a\"\\""#),
            ("null", r#""null""#),
            ("\u{1}\t", r#""\u0001\t""#),
            ("\u{fffd}", r#""\ufffd""#),
        ] {
            let mut out = String::new();
            write(&mut out, value);
            assert_eq!(out, written, "{value:?}");
        }
    }

    #[test]
    fn a_key_has_nothing_that_ends_it() {
        let fields = Map::from_iter([("a b=\"c".to_owned(), Value::from(1))]);
        assert_eq!(line(&fields), "abc=1");
    }
}
