//! Arguments from files, as Thanos takes them: `@FILE` stands for the lines of a file.

use std::{ffi::OsString, fs};

/// How deep files may name files.
const DEEPEST: usize = 8;

/// A file that cannot be read, or that names itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArgFileError {
    /// It cannot be read.
    #[error("reading arguments from {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// Too many files name one another.
    #[error(
        "reading arguments from {file}: expected at most {DEEPEST} files that name one another"
    )]
    Deep {
        /// The last file.
        file: String,
    },
}

/// The words of a command line, with the lines of each file in place of `@FILE`. Lines that begin with `#` are left
/// out. After `--` no word is a file.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn expanded(
    words: impl IntoIterator<Item = OsString>,
) -> Result<Vec<OsString>, ArgFileError> {
    let mut words = words.into_iter();
    let mut all: Vec<OsString> = words.next().into_iter().collect();
    for word in words.by_ref() {
        if word == "--" {
            all.push(word);
            break;
        }
        expand(word, 0, &mut all)?;
    }
    all.extend(words);
    Ok(all)
}

fn expand(word: OsString, depth: usize, all: &mut Vec<OsString>) -> Result<(), ArgFileError> {
    let Some(file) = word.to_str().and_then(|word| word.strip_prefix('@')) else {
        all.push(word);
        return Ok(());
    };
    let file = file.to_owned();
    if depth == DEEPEST {
        return Err(ArgFileError::Deep { file });
    }
    let text = fs::read_to_string(&file);
    let text = text.map_err(|source| ArgFileError::Read { file, source })?;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        expand(line.into(), depth + 1, all)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<Vec<String>, String> {
        let words =
            expanded(words.iter().map(OsString::from)).map_err(|error| error.to_string())?;
        Ok(words
            .iter()
            .map(|w| w.to_str().unwrap().to_owned())
            .collect())
    }

    #[test]
    fn the_lines_of_a_file_are_arguments() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let (outer, inner) = (path("outer"), path("inner"));
        fs::write(&outer, format!("# where\n--data-dir=/a b\n@{inner}\n")).unwrap();
        fs::write(&inner, "--wait").unwrap();
        let at = format!("@{outer}");
        assert_eq!(
            of(&["varve", "compact", &at, "--", "@x"]).unwrap(),
            ["varve", "compact", "--data-dir=/a b", "--wait", "--", "@x"]
        );
        fs::write(&inner, &at).unwrap();
        let error = of(&["varve", &at]).unwrap_err();
        assert!(
            error.ends_with("at most 8 files that name one another"),
            "{error}"
        );
        let error = of(&["varve", "@/nowhere/args"]).unwrap_err();
        assert!(
            error.starts_with("reading arguments from /nowhere/args: "),
            "{error}"
        );
    }
}
