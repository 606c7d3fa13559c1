//! A configuration file as Prometheus gets it: unpacked, and with the values of variables.

use std::io::{self, Read as _};

use flate2::read::MultiGzDecoder;

use super::UnsetVariables;

/// The first bytes of a gzip file.
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];
/// The longest unpacked file, in bytes.
pub(crate) const MAX_UNPACKED: u64 = 64 << 20;

/// A configuration for Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub bytes: Vec<u8>,
    /// Names of variables that are not set, as often as they are in the file.
    pub unset: Vec<String>,
}

/// Why a file is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// It cannot be unpacked.
    #[error("gzip: {0}")]
    Gzip(#[from] io::Error),
    /// It is too long when unpacked.
    #[error("expected at most {MAX_UNPACKED} bytes unpacked, found more")]
    TooLong,
    /// It names variables that are not set.
    #[error("{}: no such environment variable is set", places(.0))]
    Unset(Vec<String>),
}

/// Unpacks a file if it is gzipped, and replaces each `$(NAME)` by the variable's value. What is no such name (letters,
/// digits and `_`) stays as it is, and values are not searched for further names.
///
/// # Errors
/// When it cannot be unpacked, is longer than 64 MiB then, or names variables that are not set and `unset` refuses
/// them.
pub fn render(
    file: &[u8],
    variable: impl Fn(&str) -> Option<String>,
    unset: UnsetVariables,
) -> Result<Rendered, RenderError> {
    let rendered = if file.starts_with(&GZIP) {
        expand(&unpacked(file)?, variable)
    } else {
        expand(file, variable)
    };
    match unset {
        UnsetVariables::Refuse if !rendered.unset.is_empty() => {
            Err(RenderError::Unset(rendered.unset))
        }
        _ => Ok(rendered),
    }
}

fn unpacked(file: &[u8]) -> Result<Vec<u8>, RenderError> {
    let mut out = Vec::new();
    let mut unpacking = MultiGzDecoder::new(file).take(MAX_UNPACKED + 1);
    unpacking.read_to_end(&mut out)?;
    if out.len() as u64 > MAX_UNPACKED {
        return Err(RenderError::TooLong);
    }
    Ok(out)
}

fn expand(text: &[u8], variable: impl Fn(&str) -> Option<String>) -> Rendered {
    let mut out = Rendered {
        bytes: Vec::with_capacity(text.len()),
        unset: Vec::new(),
    };
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        let Some((name, after)) = placeholder(rest) else {
            out.bytes.push(first);
            rest = behind;
            continue;
        };
        match variable(name) {
            Some(value) => out.bytes.extend(value.as_bytes()),
            None => {
                out.bytes.extend(format!("$({name})").as_bytes());
                out.unset.push(name.to_owned());
            }
        }
        rest = after;
    }
    out
}

/// The name in the `$(NAME)` that a text starts with, and what is behind that.
fn placeholder(text: &[u8]) -> Option<(&str, &[u8])> {
    let text = text.strip_prefix(b"$(")?;
    let of_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let length = text.iter().take_while(|b| of_name(b)).count();
    let (name, after) = text.split_at_checked(length)?;
    let after = after.strip_prefix(b")").filter(|_| length > 0)?;
    Some((str::from_utf8(name).ok()?, after))
}

fn places(names: &[String]) -> String {
    let places: Vec<String> = names.iter().map(|name| format!("$({name})")).collect();
    places.join(", ")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn variable(name: &str) -> Option<String> {
        match name {
            "HOST_1" => Some("db$(OTHER)".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn variables_are_replaced_once_and_all_else_stays_as_it_is() {
        for (text, expected) in [
            (&b""[..], &b""[..]),
            (b"a", b"a"),
            (b"x: $(HOST_1)$(EMPTY)y", b"x: db$(OTHER)y"),
            (
                b"$HOST_1 ${HOST_1} $() $(a b) $(HOST_1",
                b"$HOST_1 ${HOST_1} $() $(a b) $(HOST_1",
            ),
            (b"$($(EMPTY)) $$(EMPTY)", b"$() $"),
            (b"\xff$(EMPTY)\xfe", b"\xff\xfe"),
        ] {
            for file in [text.to_vec(), packed(text)] {
                let rendered = render(&file, variable, UnsetVariables::Refuse).unwrap();
                assert_eq!(rendered.bytes, expected);
            }
        }
    }

    #[test]
    fn variables_that_are_not_set_are_named_or_kept() {
        let text = b"$(A): $(EMPTY)$(B) $(A)";
        let error = render(text, variable, UnsetVariables::Refuse).unwrap_err();
        assert_eq!(
            error.to_string(),
            "$(A), $(B), $(A): no such environment variable is set"
        );
        let kept = render(text, variable, UnsetVariables::Keep).unwrap();
        assert_eq!(kept.bytes, b"$(A): $(B) $(A)");
        assert_eq!(kept.unset, ["A", "B", "A"]);
    }

    #[test]
    fn a_gzip_file_of_several_members_is_one_text_and_a_cut_one_is_an_error() {
        let mut file = packed(b"a: 1\n");
        file.extend(packed(b"b: 2\n"));
        let rendered = render(&file, variable, UnsetVariables::Refuse).unwrap();
        assert_eq!(rendered.bytes, b"a: 1\nb: 2\n");
        for cut in [3, file.len() - 1] {
            let error = render(&file[..cut], variable, UnsetVariables::Refuse);
            assert!(matches!(error, Err(RenderError::Gzip(_))), "{error:?}");
        }
    }

    #[test]
    fn a_small_file_that_unpacks_without_end_is_refused() {
        let file = packed(&vec![b' '; usize::try_from(MAX_UNPACKED).unwrap() + 1]);
        assert!(file.len() < 100_000);
        let error = render(&file, variable, UnsetVariables::Refuse).unwrap_err();
        assert!(matches!(error, RenderError::TooLong), "{error}");
    }
}
