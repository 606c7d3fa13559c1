//! Header files of small indexes: of few labels, of trees with a directory, of version 1.

use std::path::Path;

use tsdb::{HeaderWriter, Toc};
use varve_fuzz::{put_uvarint, seal_section};

/// Header files.
pub fn some() -> Vec<(&'static str, Vec<u8>)> {
    let few: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
    // More than a page of symbols and of values.
    let long: Vec<String> = (0..4)
        .map(|i| format!("{i}{}", "x".repeat(6 << 10)))
        .collect();
    vec![
        ("few", header(2, &few)),
        ("long", header(2, &long)),
        ("v1", header(1, &few)),
        ("empty", header(2, &[])),
    ]
}

/// The header of series that have one of `values` each, under the name `0`.
fn header(version: u8, values: &[String]) -> Vec<u8> {
    let mut symbols = vec!["0".to_owned()];
    symbols.extend(values.iter().cloned());
    let mut body = Vec::new();
    symbols.iter().for_each(|text| string(&mut body, text));
    let section_of_symbols = section(symbols.len(), &body);
    let series = 5 + section_of_symbols.len() as u64;
    let mut body = Vec::new();
    let mut at = series + 64;
    let all = [("", "")].into_iter();
    for (name, value) in all.chain(values.iter().map(|value| ("0", value.as_str()))) {
        body.push(2);
        string(&mut body, name);
        string(&mut body, value);
        put_uvarint(&mut body, at);
        at += 12;
    }
    let table = section(values.len() + 1, &body);
    let toc = Toc {
        symbols: 5,
        series,
        postings: series + 64,
        postings_table: at,
        end: at + table.len() as u64,
        ..Toc::default()
    };
    let head = [0xba, 0xaa, 0xd7, 0x00, version];
    let mut writer =
        HeaderWriter::new(Vec::new(), Path::new("header"), toc, 0, &head).expect("a known version");
    writer.push(&section_of_symbols).expect("symbols");
    writer.push(&table).expect("a table");
    writer.finish().expect("a header").0
}

fn section(count: usize, entries: &[u8]) -> Vec<u8> {
    let count = u32::try_from(count).expect("few").to_be_bytes();
    let len = u32::try_from(count.len() + entries.len())
        .expect("small")
        .to_be_bytes();
    let mut out = [&len, &count, entries, &[0; 4]].concat();
    seal_section(&mut out);
    out
}

fn string(out: &mut Vec<u8>, text: &str) {
    put_uvarint(out, text.len() as u64);
    out.extend(text.bytes());
}
