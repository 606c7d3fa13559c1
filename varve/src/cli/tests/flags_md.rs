//! `docs/flags.md` is made here: what becomes of each flag of Thanos, and which flags are Varve's own.

use std::collections::BTreeSet;

use super::*;
use crate::cli::accepted::{Fate, fate};

const DOCS: &str = include_str!("../../../../docs/flags.md");

const HEAD: &str = "\
# Flags

What becomes of each flag of Thanos v0.42, hidden ones included, and which flags Varve adds. This page is made from the code: a test fails if it is not what the code says.

- **As in Thanos**: same meaning and same default.
- **No effect**: accepted, with or without a value, and the log says so at the start.
- **Refused**: the start fails with the reason, unless the flag has its default value.

Booleans have a `--no-` form. `@FILE` stands for the lines of a file. Sizes are `1.5GB`, times `2026-01-31T00:00:00+02:00` or `-2w`.
";

const COMPONENTS: [&str; 3] = ["sidecar", "compact", "store"];

/// The names of the flags in a list, once each and without `--no-`.
fn names(list: &str) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    list.lines()
        .filter_map(|line| line.strip_prefix("--"))
        .map(|flag| flag.split_once('=').map_or(flag, |(name, _)| name))
        .filter(|name| !name.starts_with("no-"))
        .filter(|name| seen.insert(*name))
        .collect()
}

/// The flags that all lists have in common come first.
fn shared() -> Vec<&'static str> {
    let everywhere = names(include_str!("thanos-everywhere.txt"));
    let others = COMPONENTS.map(|component| names(of_component(component)));
    let [first, rest @ ..] = others;
    let in_all = first
        .into_iter()
        .filter(|name| rest.iter().all(|list| list.contains(name)));
    everywhere.into_iter().chain(in_all).collect()
}

fn of_component(component: &str) -> &'static str {
    match component {
        "sidecar" => include_str!("thanos-sidecar.txt"),
        "compact" => include_str!("thanos-compact.txt"),
        _ => include_str!("thanos-store.txt"),
    }
}

fn row(component: &str, name: &str) -> String {
    let fate = match fate(component, name) {
        Fate::Unknown => "as in Thanos".to_owned(),
        Fate::NoEffect(why) => format!("no effect: {why}"),
        Fate::Refused(why) => format!("refused: {why}"),
    };
    format!("| `--{name}` | {fate} |\n")
}

/// The flags of Varve alone that a command has.
fn own(command: &clap::Command, thanos: &[&str]) -> String {
    let mut rows = String::new();
    for arg in command.get_arguments() {
        let Some(name) = arg.get_long().filter(|name| !thanos.contains(name)) else {
            continue;
        };
        if arg.is_hide_set() || name == "help" || name == "version" {
            continue;
        }
        let values: Vec<_> = arg.get_default_values().iter().collect();
        let default = match values.first() {
            Some(value) if !value.is_empty() => format!("`{}`", value.to_string_lossy()),
            _ => "–".to_owned(),
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        rows.push_str(&format!("| `--{name}` | {default} | {help} |\n"));
    }
    rows
}

fn page() -> String {
    let cli = Cli::command();
    let mut page = format!("{HEAD}\n## Every component\n\n| flag | |\n|---|---|\n");
    let shared = shared();
    for name in &shared {
        page.push_str(&row("store", name));
    }
    for component in COMPONENTS {
        let all = names(of_component(component));
        page.push_str(&format!("\n## {component}\n\n| flag | |\n|---|---|\n"));
        for name in all.iter().filter(|name| !shared.contains(name)) {
            page.push_str(&row(component, name));
        }
        let command = cli.find_subcommand(component).unwrap();
        let known = [
            &all[..],
            &shared,
            &["objstore.config", "objstore.config-file"],
        ]
        .concat();
        let own = own(command, &known);
        page.push_str(&format!(
            "\nVarve's own:\n\n| flag | default | |\n|---|---|---|\n{own}"
        ));
    }
    page
}

#[test]
fn the_page_of_flags_is_what_the_code_says() {
    let page = page();
    // `UPDATE_DOCS=1 cargo test -p varve flags` writes it.
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/flags.md");
        std::fs::write(path, &page).unwrap();
    }
    let changed = page.lines().zip(DOCS.lines()).find(|(a, b)| a != b);
    assert!(
        page == DOCS,
        "docs/flags.md is not up to date, UPDATE_DOCS=1 writes it; the first difference: {changed:?}"
    );
}

#[test]
fn a_flag_without_an_entry_is_one_that_the_parser_knows() {
    let cli = Cli::command();
    for component in COMPONENTS {
        let command = cli.find_subcommand(component).unwrap();
        let all = [
            names(include_str!("thanos-everywhere.txt")),
            names(of_component(component)),
        ];
        for name in all.concat() {
            if !matches!(fate(component, name), Fate::Unknown) {
                continue;
            }
            let mut args = command.get_arguments().chain(cli.get_arguments());
            let is_it = |arg: &clap::Arg| {
                let aliases = arg.get_all_aliases().unwrap_or_default();
                arg.get_long() == Some(name) || aliases.contains(&name)
            };
            assert!(args.any(is_it), "{component} --{name}");
        }
    }
}
