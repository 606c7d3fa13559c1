//! The import table of ARCHITECTURE.md, checked.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Which of our crates each may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("files", &[]),
    ("service", &[]),
    ("tsdb", &["model", "files"]),
    ("proto", &["model", "series"]),
    ("bucket", &["model", "files"]),
    ("cache", &["service"]),
    ("parquet-block", &["model", "tsdb", "files"]),
    ("export", &["model", "series", "tsdb"]),
    ("series", &["model", "tsdb"]),
    (
        "sidecar",
        &[
            "model", "files", "tsdb", "series", "bucket", "proto", "service",
        ],
    ),
    (
        "compactor",
        &[
            "model",
            "files",
            "tsdb",
            "parquet-block",
            "bucket",
            "page",
            "service",
        ],
    ),
    ("page", &["model", "bucket", "service"]),
    ("rules", &[]),
    ("tools", &["model", "bucket", "compactor"]),
    (
        "standalone",
        &[
            "bucket",
            "compactor",
            "proto",
            "series",
            "service",
            "sidecar",
            "store-gateway",
        ],
    ),
    (
        "store-gateway",
        &[
            "model",
            "files",
            "tsdb",
            "parquet-block",
            "series",
            "bucket",
            "cache",
            "page",
            "proto",
            "service",
        ],
    ),
];

/// What a format crate must not know.
const NOT_IN_FORMATS: &[&str] = &[
    "tokio",
    "object_store",
    "tonic",
    "tracing",
    "prometheus-client",
    "futures",
];

/// The longest a file may be before its tests.
const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
        .to_path_buf()
}

/// The names that each crate of the workspace depends on, development apart.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "cargo metadata: {out:?}");
    let metadata: Value = serde_json::from_slice(&out.stdout).expect("cargo writes JSON");
    let text = |v: &Value| v.as_str().expect("a name").to_owned();
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let names = package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter()
                .filter(|d| d["kind"].is_null())
                .map(|d| text(&d["name"]))
                .collect();
            (text(&package["name"]), names)
        })
        .collect()
}

/// Every Rust file of the workspace that is ours, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is read") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "data" {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).expect("the file is read");
                files.push((path, text));
            }
        }
    }
    files
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let dependencies = dependencies();
    let ours: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    for (name, allowed) in MAY_IMPORT {
        let found = dependencies
            .get(*name)
            .unwrap_or_else(|| panic!("the workspace has a crate {name}"));
        let unexpected: Vec<_> = found
            .iter()
            .filter(|d| ours.contains(d.as_str()) && !allowed.contains(&d.as_str()))
            .collect();
        assert!(unexpected.is_empty(), "{name} imports {unexpected:?}");
    }
}

#[test]
fn format_crates_neither_wait_nor_log() {
    let dependencies = dependencies();
    for name in ["model", "tsdb", "parquet-block", "series"] {
        let unexpected: Vec<_> = NOT_IN_FORMATS
            .iter()
            .filter(|d| dependencies[name].contains(**d))
            .collect();
        assert!(unexpected.is_empty(), "{name} imports {unexpected:?}");
    }
}

#[test]
fn only_the_bucket_knows_object_store() {
    for (name, found) in dependencies() {
        assert!(
            name == "bucket" || !found.contains("object_store"),
            "{name} imports object_store"
        );
    }
}

#[test]
fn generated_types_stay_in_the_api_modules() {
    for (path, text) in sources() {
        let Ok(relative) = path.strip_prefix(root()) else {
            continue;
        };
        let daemons = ["sidecar/src", "store-gateway/src", "crates/standalone/src"];
        let daemon = daemons.iter().any(|folder| relative.starts_with(folder));
        let api = relative
            .iter()
            .any(|part| part == "api.rs" || part == "api");
        let names_them = text
            .lines()
            .any(|line| !line.trim_start().starts_with("//") && line.contains("proto::"));
        assert!(
            !daemon || api || !names_them,
            "{} names generated types",
            relative.display()
        );
    }
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    for (path, text) in sources() {
        let lines = text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .count();
        assert!(
            lines <= MAX_LINES || path.iter().any(|part| part == "tests"),
            "{} has {lines} lines before its tests, at most {MAX_LINES} are allowed",
            path.display()
        );
        assert_ne!(path.file_name().unwrap_or_default(), "mod.rs");
    }
}
