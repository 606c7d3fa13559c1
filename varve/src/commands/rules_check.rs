//! `varve tools rules-check`.

use std::{fs, path::PathBuf, process::ExitCode};

use serde_json::json;

use crate::{
    cli::{Output, RulesCheckArgs},
    print,
};

/// What was found in a file.
#[derive(Debug)]
struct Checked {
    /// The file, or the pattern that matches none.
    file: String,
    /// How many rules it has, if it can be loaded.
    rules: Option<usize>,
    /// What is wrong with it.
    errors: Vec<String>,
}

/// Checks each file that a pattern matches.
pub(super) fn run(args: &RulesCheckArgs) -> anyhow::Result<ExitCode> {
    let mut has_failed = false;
    for pattern in &args.rules {
        let found = files(pattern);
        if found.is_empty() {
            let nothing = Checked::failed(pattern, "matching file not found");
            nothing.print(args.output)?;
            has_failed = true;
        }
        for file in found {
            let checked = Checked::of(&file.display().to_string());
            has_failed |= checked.rules.is_none();
            checked.print(args.output)?;
        }
    }
    Ok(match has_failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// The files of a pattern, sorted; none for a pattern that is none.
fn files(pattern: &str) -> Vec<PathBuf> {
    let options = glob::MatchOptions {
        require_literal_separator: true,
        ..glob::MatchOptions::new()
    };
    let found = glob::glob_with(pattern, options).into_iter().flatten();
    // What cannot be looked into cannot be read either, and is named there.
    found
        .map(|found| found.unwrap_or_else(|error| error.path().to_owned()))
        .collect()
}

impl Checked {
    fn of(file: &str) -> Self {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => return Self::failed(file, error),
        };
        match rules::check(&text) {
            Ok(rules) => Self {
                file: file.to_owned(),
                rules: Some(rules),
                errors: Vec::new(),
            },
            Err(rules::RuleFileError::Rules(problems)) => Self {
                file: file.to_owned(),
                rules: None,
                errors: problems.iter().map(ToString::to_string).collect(),
            },
            Err(error) => Self::failed(file, error),
        }
    }

    fn failed(file: &str, error: impl ToString) -> Self {
        Self {
            file: file.to_owned(),
            rules: None,
            errors: vec![error.to_string()],
        }
    }

    fn print(&self, output: Output) -> anyhow::Result<()> {
        let text = match (output, self.rules) {
            (Output::Json, _) => {
                json!({"file": self.file, "rules": self.rules, "errors": self.errors}).to_string()
            }
            (Output::Text, Some(rules)) => format!("{}: SUCCESS: {rules} rules found", self.file),
            (Output::Text, None) => {
                let lines = self.errors.iter().flat_map(|error| error.lines());
                let lines: Vec<String> = lines.map(|line| format!("  {line}")).collect();
                format!("{}: FAILED\n{}", self.file, lines.join("\n"))
            }
        };
        print::stdout(&format!("{text}\n"))
    }
}
