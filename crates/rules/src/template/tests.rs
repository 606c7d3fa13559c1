use super::*;

#[test]
fn what_go_parses_is_taken() {
    for text in [
        "",
        "plain } text {",
        "{{ $labels.job }}",
        "{{$labels.job}} is {{ $value | humanize }}",
        "{{ $value | humanizePercentage | printf \"%s of %q\" .Labels.job }}",
        "{{- $value -}}",
        "{{/* a comment */}}{{- /* another */ -}}",
        "{{ if gt $value 5.0 }}a{{ else if eq $labels.x \"b\" }}b{{ else }}c{{ end }}",
        "{{ with query \"up{job='x'}\" }}{{ . | first | value | humanize }}{{ end }}",
        "{{ range $i, $e := query `up` }}{{ $i }} {{ $e.Value }}{{ break }}{{ else }}none{{ end }}",
        "{{ range query \"up\" }}{{ .Labels.instance }}{{ continue }}{{ end }}",
        "{{ $x := 5 }}{{ $x = 6 }}{{ $x }}",
        "{{ (index (query \"up\") 0).Value }}",
        "{{ define \"t\" }}{{ . }}{{ end }}{{ template \"t\" $value }}{{ template \"t\" }}",
        "{{ block \"t\" . }}{{ . }}{{ end }}",
        "{{ printf \"%c %d\" 'x' 0x1F }} {{ 1e3 }} {{ -1.5 }} {{ .5 }} {{ 1_000 }}",
        "{{ $ }} {{ . }} {{ true }} {{ len \"a\\\"b\" }}",
        "{{ with $x := $value }}{{ $x }}{{ else with $labels }}{{ . }}{{ end }}",
        "{{ and (eq $labels.a \"b\") (not (lt $value 1.0)) }}",
        "{{\n  $value\n}}",
        "{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}",
        "{{ urlQueryEscape $labels.job }}",
        "{{ $value | }}",
        "{{ \"\\x41\\u00e9\\101\\n\" }} {{ '\\n' }} {{ '\\'' }} {{ 010 }} {{ 08i }}",
    ] {
        assert_eq!(parse_template(text), Ok(()), "{text}");
    }
}

#[test]
fn what_go_does_not_parse_is_refused_with_the_reason() {
    for (text, reason) in [
        ("{{ $value", "unclosed action"),
        ("{{ }}", "missing value for command"),
        ("{{ if }}a{{ end }}", "missing value for if"),
        ("{{ $label.job }}", "undefined variable \"$label\""),
        ("{{ humanise $value }}", "function \"humanise\" not defined"),
        ("{{ if $value }}a", "unexpected EOF"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ else }}", "unexpected {{else}}"),
        (
            "{{ if $value }}{{ else }}{{ else }}{{ end }}",
            "unexpected {{else}}",
        ),
        (
            "{{ range $value }}{{ else if $value }}{{ end }}",
            "unexpected {{else}}",
        ),
        ("{{ break }}", "{{break}} outside {{range}}"),
        (
            "{{ range . }}{{ else }}{{ break }}{{ end }}",
            "{{break}} outside {{range}}",
        ),
        ("{{ true.a }}", "unexpected . after term"),
        ("{{ \"\\x\" }}", "invalid syntax: \\x"),
        ("{{ 'ab' }}", "malformed character constant"),
        ("{{ 08 }}", "bad number syntax: \"08\""),
        (
            "{{ if $value }}{{ $x := 1 }}{{ end }}{{ $x }}",
            "undefined variable \"$x\"",
        ),
        (
            "{{ define \"t\" }}{{ $value }}{{ end }}",
            "undefined variable \"$value\"",
        ),
        ("{{ define t }}{{ end }}", "unexpected <t> in define clause"),
        ("{{ ($value }}", "unclosed left paren"),
        ("{{ $value) }}", "unexpected right paren"),
        ("{{ \"a }}", "unterminated quoted string"),
        ("{{ `a }}", "unterminated raw quoted string"),
        ("{{ 'a }}", "unterminated character constant"),
        ("{{/* a }}", "unclosed comment"),
        ("{{/* a */ b }}", "comment ends before closing delimiter"),
        ("{{ 1x }}", "bad number syntax: \"1x\""),
        ("{{ $value : 5 }}", "expected :="),
        ("{{ $value # }}", "unrecognized character in action: '#'"),
        ("{{ $value | 5 }}", "non executable command in pipeline"),
        ("{{ \"a\".b }}", "unexpected . after term"),
        ("{{ $value, 5 }}", "unexpected \",\" in command"),
        ("{{ $a-b }}", "bad character '-'"),
        ("{{ \"a\"\"b\" }}", "unexpected a string in operand"),
        (
            "{{ range $a, $b }}{{ end }}",
            "range can only initialize variables",
        ),
    ] {
        let error = parse_template(text).map_err(|error| error.to_string());
        assert_eq!(error, Err(reason.to_owned()), "{text}");
    }
}

#[test]
fn parentheses_may_be_deep_but_not_endless() {
    let nested = |depth| format!("{{{{ {}1{} }}}}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(parse_template(&nested(1000)), Ok(()));
    let error = parse_template(&nested(1_000_000)).unwrap_err().to_string();
    assert_eq!(error, "max expression depth exceeded");
}
