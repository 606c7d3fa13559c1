//! The end of `docs/tracing.md`, the tables of the fields, is made here.

use super::super::fields::{Effect, REFUSED, TABLES};

const DOCS: &str = include_str!("../../../../../docs/tracing.md");

/// Where the tables begin.
const BEGIN: &str = "### `type: OTLP`\n";

#[test]
fn the_documentation_says_of_each_field_what_becomes_of_it() {
    let mut tables = String::new();
    for table in TABLES {
        let head = "| field | effect | remark |\n|---|---|---|\n";
        tables.push_str(&format!("### `type: {}`\n\n{head}", table.kind));
        for field in table.fields {
            let effect = match field.effect {
                Effect::Honoured => "honoured",
                Effect::None => "none",
            };
            let (name, note) = (field.name, field.note);
            tables.push_str(&format!("| `{name}` | {effect} | {note} |\n"));
        }
        tables.push('\n');
    }
    tables.push_str("### Types that are refused\n\n| type | instead |\n|---|---|\n");
    for (kind, instead) in REFUSED {
        tables.push_str(&format!("| `{kind}` | {instead} |\n"));
    }
    let before = DOCS.split(BEGIN).next().unwrap_or_default();
    let expected = format!("{before}{tables}");
    // `UPDATE_DOCS=1 cargo test -p service documentation` writes it.
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tracing.md");
        std::fs::write(path, expected).unwrap();
        return;
    }
    assert!(
        DOCS == expected,
        "docs/tracing.md is not up to date, UPDATE_DOCS=1 writes it"
    );
}
