//! Headers of drawn indexes: in memory, in a file, damaged, and of another index.

#![expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]

mod drawn;

use std::{collections::BTreeSet, fs, path::Path};

use proptest::prelude::*;
use tsdb::{Error, HeaderFile, HeaderIdentity, IndexHeader};

use crate::drawn::{Drawn, STAMP};

type Label = (String, String);

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-c]{1,4}",
        2 => "é[ab]{1,2}中?",
        1 => "[a-c]{100,2000}",
        1 => "\\PC{1,20}".prop_map(|text| text.replace('|', "-")),
    ]
}

fn labels() -> impl Strategy<Value = BTreeSet<Label>> {
    let name = prop_oneof![3 => prop::sample::select(&["a", "b", "__name__"][..]).prop_map(str::to_owned), 1 => text()];
    prop::collection::btree_set((name, text()), 0..300)
}

fn label(name: &str, value: impl Into<String>) -> Label {
    (name.to_owned(), value.into())
}

/// Asks a header of the bytes of a file.
fn asked(drawn: &Drawn, path: &Path, bytes: &[u8]) -> Result<drawn::Said, Error> {
    fs::write(path, bytes).unwrap();
    drawn.asked(&drawn.open(path)?)
}

fn check(drawn: &Drawn, piece: usize) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("header");
    let expected = drawn.expected();
    let memory = drawn.in_memory().unwrap();
    assert_eq!(drawn.asked(&memory).unwrap(), expected);
    let bytes = drawn.file(piece).unwrap();
    assert_eq!(asked(drawn, &path, &bytes).unwrap(), expected);
    let file = drawn.open(&path).unwrap();
    assert!(file.heap_size() < 4096, "{}", file.heap_size());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_header_gives_the_same_answers_as_the_index(
        labels in labels(),
        version in 1..=3_u8,
        piece in prop_oneof![1..40_usize, 1000..100_000_usize],
    ) {
        check(&Drawn::new(version, &labels), piece);
    }
}

#[test]
fn an_empty_index_has_a_header() {
    for version in 1..=3 {
        check(&Drawn::new(version, &BTreeSet::new()), 7);
    }
}

#[test]
fn more_values_than_a_directory_names_are_found() {
    let values = (0..60_000).map(|i| label("pod", format!("a-rather-long-name-of-a-pod-{i:06}")));
    let names = (0..2_000).map(|i| label(&format!("name_{i}"), "x"));
    let labels: BTreeSet<Label> = values.chain(names).collect();
    for version in [1, 2] {
        check(&Drawn::new(version, &labels), 1 << 20);
    }
}

#[test]
fn values_larger_than_a_page_are_found_among_others() {
    let mut labels: BTreeSet<Label> = (0..1000).map(|i| label("a", format!("{i}"))).collect();
    for end in ["", "a", "b", "c", "d", "e"] {
        labels.insert(label("a", "5".repeat(1 << 20) + end));
        labels.insert(label("b", "é".repeat(20_000) + end));
    }
    labels.insert(label(&"n".repeat(70_000), "x"));
    for version in [1, 2] {
        check(&Drawn::new(version, &labels), 1 << 16);
    }
}

/// Names, values and symbols of more than a page each.
fn several_pages() -> Drawn {
    let values = (0..300).map(|i| label("pod", format!("{i:03}{}", "-".repeat(70))));
    let names = ["__name__", "é", "job"].map(|name| label(name, "x"));
    Drawn::new(2, &values.chain(names).collect())
}

#[test]
fn a_flipped_bit_in_any_byte_is_found_or_changes_nothing() {
    let drawn = several_pages();
    let expected = drawn.expected();
    let mut bytes = drawn.file(1000).unwrap();
    assert!(bytes.len() > 2 * (16 << 10), "{}", bytes.len());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("header");
    let (mut changed, mut found) = (0, 0);
    // Each byte of the tail; of the pages, which are told by checksums, each of some.
    let tail = bytes.len() - 200;
    for at in (0..20)
        .chain((20..tail).step_by(61))
        .chain(tail..bytes.len())
    {
        bytes[at] ^= 1 << (at % 8);
        changed += 1;
        match asked(&drawn, &path, &bytes) {
            Ok(said) => assert_eq!(said, expected, "{at}"),
            Err(error) => {
                let name = path.display().to_string();
                assert!(error.to_string().contains(&name), "{at}: {error}");
                found += 1;
            }
        }
        bytes[at] ^= 1 << (at % 8);
    }
    // Nobody looks at the first five bytes.
    assert_eq!(found, changed - 5);
    assert_eq!(asked(&drawn, &path, &bytes).unwrap(), expected);
}

#[test]
fn a_damaged_page_is_an_error_of_the_header_that_names_file_and_place() {
    let drawn = several_pages();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("header");
    let mut bytes = drawn.file(1000).unwrap();
    bytes[100] ^= 1;
    let error = asked(&drawn, &path, &bytes).unwrap_err();
    assert!(matches!(error, Error::Header(_)), "{error:?}");
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{} at byte ", path.display())),
        "{text}"
    );
    assert!(
        text.contains("expected checksum") && text.contains("found"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_cut_short_anywhere_is_not_opened() {
    let drawn = several_pages();
    let bytes = drawn.file(1000).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("header");
    for len in (0..bytes.len())
        .step_by(97)
        .chain(bytes.len() - 200..bytes.len())
    {
        fs::write(&path, &bytes[..len]).unwrap();
        assert!(drawn.open(&path).is_err(), "{len}");
    }
}

#[test]
fn a_file_made_of_another_index_is_not_opened() {
    let drawn = several_pages();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("header");
    fs::write(&path, drawn.file(1000).unwrap()).unwrap();
    let own = drawn.identity();
    assert_eq!(HeaderFile::open(&path, own).unwrap().root().made_of(), own);
    let size = HeaderIdentity {
        index_size: own.index_size + 1,
        ..own
    };
    let stamp = HeaderIdentity {
        stamp: STAMP + 1,
        ..own
    };
    for other in [size, stamp] {
        let text = HeaderFile::open(&path, other).unwrap_err().to_string();
        assert!(
            text.contains("expected the header of an index of"),
            "{text}"
        );
    }
    let missing = HeaderFile::open(&dir.path().join("none"), own).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
}

#[test]
fn a_file_that_takes_the_place_of_an_open_one_is_not_read() {
    let drawn = several_pages();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("header");
    let bytes = drawn.file(1000).unwrap();
    fs::write(&path, &bytes).unwrap();
    let header = drawn.open(&path).unwrap();
    let other = dir.path().join("other");
    fs::write(&other, &bytes).unwrap();
    fs::rename(other, &path).unwrap();
    let error = header.label_names().unwrap_err();
    assert!(matches!(error, Error::Header(_)), "{error:?}");
    fs::remove_file(path).unwrap();
    assert!(header.label_names().is_err());
}

#[test]
fn a_header_in_memory_has_the_same_answers_or_says_that_it_would_wait() {
    let drawn = several_pages();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("header");
    fs::write(&path, drawn.file(1000).unwrap()).unwrap();
    let on_disk = drawn.open(&path).unwrap();
    let expected = on_disk.label_names().unwrap();
    // Which of the two it is the file system decides.
    match on_disk.in_memory().label_names() {
        Ok(names) => assert_eq!(names, expected),
        Err(error) => assert!(error.would_block(), "{error:?}"),
    }
    let in_memory = drawn.in_memory().unwrap().in_memory();
    assert_eq!(in_memory.label_names().unwrap(), expected);

    fs::remove_file(path).unwrap();
    let error = on_disk.in_memory().label_names().unwrap_err();
    assert!(
        matches!(error, Error::Header(_)) && !error.would_block(),
        "{error:?}"
    );
}

/// What becomes of sections of which one byte is another, with checksums as they were.
#[test]
fn a_flipped_bit_in_a_section_makes_no_header() {
    let labels: BTreeSet<Label> = ["x", "y", "zz"].map(|value| label("a", value)).into();
    for version in [1, 2] {
        let drawn = Drawn::new(version, &labels);
        for at in 0..drawn.symbols.len() + drawn.table.len() {
            let mut broken = Drawn::new(version, &labels);
            match at.checked_sub(drawn.symbols.len()) {
                None => broken.symbols[at] ^= 1,
                Some(at) => broken.table[at] ^= 1,
            }
            assert!(broken.in_memory().is_err(), "{at}");
            assert!(broken.file(3).is_err(), "{at}");
        }
    }
}

#[test]
fn a_section_that_ends_too_early_makes_no_header() {
    let drawn = Drawn::new(2, &[label("a", "x"), label("b", "y")].into());
    for len in 0..drawn.symbols.len() {
        let header = IndexHeader::decode(drawn.toc, &drawn.head(), &drawn.symbols[..len], &[]);
        let text = header.unwrap_err().to_string();
        assert!(text.starts_with("index at byte "), "{text}");
    }
    for len in 0..drawn.table.len() {
        let table = &drawn.table[..len];
        let header = IndexHeader::decode(drawn.toc, &drawn.head(), &drawn.symbols, table);
        assert!(header.is_err(), "{len}");
    }
}
