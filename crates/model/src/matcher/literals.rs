//! The fixed texts in a regular expression: all that it matches, or what each match begins or ends with.

use regex_syntax::hir::{
    Hir, HirKind,
    literal::{ExtractKind, Extractor, Seq},
};

/// How many values a set may have that is not written out as one.
const MAX_SET: usize = 256;

/// All that `hir` matches, ascending, if it is not too much. Alternatives that are written out are never too
/// much: whoever wrote them has paid for them.
pub(super) fn finite(hir: &Hir) -> Option<Vec<String>> {
    let literals = match hir.kind() {
        HirKind::Alternation(items) => items.iter().map(literal).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let values = match literals {
        Some(literals) => literals,
        // An assertion would be dropped from what is extracted.
        None if !hir.properties().look_set().is_empty() => return None,
        None => {
            let seq = extracted(hir, ExtractKind::Prefix);
            let literals = seq.literals().filter(|_| seq.is_exact())?;
            literals
                .iter()
                .map(|literal| literal.as_bytes().to_vec())
                .collect()
        }
    };
    let values = values.into_iter().map(String::from_utf8);
    let mut values = values.collect::<Result<Vec<_>, _>>().ok()?;
    values.sort_unstable();
    values.dedup();
    Some(values)
}

fn literal(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_vec()),
        HirKind::Empty => Some(Vec::new()),
        _ => None,
    }
}

/// What each match begins with.
pub(super) fn common_prefix(hir: &Hir) -> String {
    let seq = extracted(hir, ExtractKind::Prefix);
    let bytes = seq.longest_common_prefix().unwrap_or_default();
    // The values may part within a character.
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(e) => {
            String::from_utf8_lossy(bytes.get(..e.valid_up_to()).unwrap_or_default()).into_owned()
        }
    }
}

/// What each match ends with.
pub(super) fn common_suffix(hir: &Hir) -> String {
    let seq = extracted(hir, ExtractKind::Suffix);
    let bytes = seq.longest_common_suffix().unwrap_or_default();
    let is_inside = |byte: &&u8| (0x80..0xC0).contains(*byte);
    let inside = bytes.iter().take_while(is_inside).count();
    std::str::from_utf8(bytes.get(inside..).unwrap_or_default())
        .unwrap_or_default()
        .to_owned()
}

fn extracted(hir: &Hir, kind: ExtractKind) -> Seq {
    Extractor::new()
        .kind(kind)
        .limit_class(MAX_SET)
        .limit_repeat(MAX_SET)
        .limit_literal_len(1024)
        .limit_total(MAX_SET)
        .extract(hir)
}
