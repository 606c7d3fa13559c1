//! Unicode's classes by the names that Go knows: categories, their long names, and scripts.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// Short and long names, as [`canonical`] makes them.
const CATEGORIES: &str = "c cc cf cn co l lc ll lm lo lt lu m mc me mn n nd nl no p pc pd pe pf pi po ps \
    s sc sk sm so z zl zp zs \
    casedletter closepunctuation combiningmark connectorpunctuation control currencysymbol \
    dashpunctuation decimalnumber enclosingmark finalpunctuation format initialpunctuation letter \
    letternumber lineseparator lowercaseletter mark mathsymbol modifierletter modifiersymbol \
    nonspacingmark number openpunctuation other otherletter othernumber otherpunctuation othersymbol \
    paragraphseparator privateuse punctuation separator spaceseparator spacingmark symbol \
    titlecaseletter unassigned uppercaseletter cntrl digit punct";

/// As [`canonical`] makes them. Short names such as `Grek` are not among them.
const SCRIPTS: &str = "adlam ahom anatolianhieroglyphs arabic armenian avestan balinese bamum bassavah \
    batak bengali bhaiksuki bopomofo brahmi braille buginese buhid canadianaboriginal carian \
    caucasianalbanian chakma cham cherokee chorasmian common coptic cuneiform cypriot cyprominoan \
    cyrillic deseret devanagari divesakuru dogra duployan egyptianhieroglyphs elbasan elymaic ethiopic \
    georgian glagolitic gothic grantha greek gujarati gunjalagondi gurmukhi han hangul hanifirohingya \
    hanunoo hatran hebrew hiragana imperialaramaic inherited inscriptionalpahlavi inscriptionalparthian \
    javanese kaithi kannada katakana kawi kayahli kharoshthi khitansmallscript khmer khojki khudawadi \
    lao latin lepcha limbu lineara linearb lisu lycian lydian mahajani makasar malayalam mandaic \
    manichaean marchen masaramgondi medefaidrin meeteimayek mendekikakui meroiticcursive \
    meroitichieroglyphs miao modi mongolian mro multani myanmar nabataean nagmundari nandinagari newa \
    newtailue nko nushu nyiakengpuachuehmong ogham olchiki oldhungarian olditalic oldnortharabian \
    oldpermic oldpersian oldsogdian oldsoutharabian oldturkic olduyghur oriya osage osmanya \
    pahawhhmong palmyrene paucinhau phagspa phoenician psalterpahlavi rejang runic samaritan \
    saurashtra sharada shavian siddham signwriting sinhala sogdian sorasompeng soyombo sundanese \
    sylotinagri syriac tagalog tagbanwa taile taitham taiviet takri tamil tangsa tangut telugu thaana \
    thai tibetan tifinagh tirhuta toto ugaritic vai vithkuqi wancho warangciti yezidi yi \
    zanabazarsquare";

/// The characters of the class `name`, if there is one.
pub(super) fn class(name: &str) -> Option<ClassUnicode> {
    let name = canonical(name);
    let of_range = |end| Some(ClassUnicode::new([ClassUnicodeRange::new('\0', end)]));
    match name.as_str() {
        "any" => return of_range(char::MAX),
        "ascii" => return of_range('\x7F'),
        "assigned" => {
            let mut class = table("gc", "cn")?;
            class.negate();
            return Some(class);
        }
        // Text has no surrogates.
        "cs" | "surrogate" => return Some(ClassUnicode::empty()),
        _ => {}
    }
    let known = |names: &str| names.split_whitespace().any(|known| known == name);
    if known(CATEGORIES) {
        table("gc", &name)
    } else if known(SCRIPTS) {
        table("sc", &name)
    } else {
        None
    }
}

fn canonical(name: &str) -> String {
    let name = name.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    name.map(|c| c.to_ascii_lowercase()).collect()
}

/// A class by a name that `regex-syntax` knows.
fn table(property: &str, name: &str) -> Option<ClassUnicode> {
    let hir = regex_syntax::parse(&format!(r"\p{{{property}={name}}}")).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A class of one.
        HirKind::Literal(literal) => {
            let c = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_characters_for_every_name_it_knows() {
        for name in CATEGORIES
            .split_whitespace()
            .chain(SCRIPTS.split_whitespace())
        {
            let class = class(name).unwrap_or_else(|| panic!("no class {name}"));
            assert!(!class.ranges().is_empty(), "{name}");
        }
    }

    #[test]
    fn knows_names_whatever_their_case_and_joints() {
        for name in [
            "Old_Italic",
            "olditalic",
            "OLD-ITALIC",
            "Uppercase_Letter",
            "Zl",
            "Any",
        ] {
            assert!(class(name).is_some(), "{name}");
        }
        for name in ["", "Grek", "Alphabetic", "White_Space", "gc=L", "Emoji"] {
            assert!(class(name).is_none(), "{name}");
        }
    }
}
