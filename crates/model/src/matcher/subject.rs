//! A value, as patterns compare it.

/// A value in the forms in which it is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'v> {
    pub(super) bytes: &'v [u8],
    /// As Go's engine sees it: each byte that belongs to no character is one, U+FFFD.
    pub(super) text: &'v str,
    /// The same, but such bytes equal no text of the pattern.
    pub(super) apart: &'v str,
}

impl Subject<'_> {
    /// Calls `compare` with the forms of `value`. In [`Subject::apart`] each byte that belongs to no character is
    /// `stranger`, which is in no text of the pattern.
    pub(super) fn with<T>(
        value: &[u8],
        stranger: char,
        compare: impl FnOnce(Subject<'_>) -> T,
    ) -> T {
        match str::from_utf8(value) {
            Ok(text) => compare(Subject {
                bytes: value,
                text,
                apart: text,
            }),
            Err(_) => compare(Subject {
                bytes: value,
                text: &with_each_stray_byte_as(char::REPLACEMENT_CHARACTER, value),
                apart: &with_each_stray_byte_as(stranger, value),
            }),
        }
    }
}

/// Whether `value` is one of `values`, which ascend.
pub(super) fn is_in(values: &[Vec<u8>], value: &[u8]) -> bool {
    let found = values.binary_search_by(|known| known.as_slice().cmp(value));
    found.is_ok()
}

/// A value that is no UTF-8, with `c` for each byte that belongs to no character.
fn with_each_stray_byte_as(c: char, value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| c));
    }
    text
}
