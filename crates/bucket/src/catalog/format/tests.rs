use proptest::prelude::*;

use super::*;

fn object(key: &str, etag: Option<&str>) -> Object {
    Object {
        key: key.to_owned(),
        size: 17,
        last_modified: Timestamp(-5),
        etag: etag.map(str::to_owned),
    }
}

fn catalog(entries: &[(Object, Vec<u8>)]) -> Vec<u8> {
    encode(entries.iter().map(|(object, json)| (object, json.clone())))
}

fn read(catalog: &[u8]) -> Result<Vec<(Object, Vec<u8>)>, String> {
    let mut entries = Vec::new();
    decode(catalog, |object, json| {
        entries.push((object.clone(), json.to_vec()));
    })?;
    Ok(entries)
}

fn some() -> Vec<(Object, Vec<u8>)> {
    vec![
        (object("a/meta.json", Some("\"x\"")), b"{}".to_vec()),
        (object("b/meta.json", None), Vec::new()),
        (object("ü/meta.json", Some("")), vec![7; 100_000]),
    ]
}

#[test]
fn what_is_written_is_read() {
    for entries in [some(), Vec::new()] {
        let written = catalog(&entries);
        assert_eq!(read(&written), Ok(entries.clone()));
        let fingerprint = fingerprint(entries.iter().map(|(object, _)| object));
        assert!(same(&written[..28], fingerprint));
        assert!(!same(&written[..27], fingerprint));
    }
    assert!(!same(&catalog(&some())[..28], [0; 16]));
}

#[test]
fn every_cut_and_every_flipped_bit_behind_the_header_is_noticed() {
    let whole = catalog(&some());
    for len in 0..whole.len() {
        read(&whole[..len]).unwrap_err();
    }
    let body = usize::try_from(HEADER).unwrap();
    let fingerprint = 12..body;
    for at in (0..whole.len()).filter(|at| !fingerprint.contains(at)) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        // A bit of the frame's head may mean nothing.
        if let Ok(entries) = read(&flipped) {
            assert_eq!(entries, some(), "byte {at}");
            assert!((body..body + 8).contains(&at), "byte {at}");
        }
    }
    let more = [whole.as_slice(), b"x"].concat();
    assert_eq!(
        read(&more).unwrap_err(),
        "parquet/catalog: expected the end after the frame, found more"
    );
}

#[test]
fn a_fault_is_named_with_its_place() {
    let framed = |content: &[u8]| {
        let mut frame = Encoder::new(header([0; 16]), LEVEL).unwrap();
        frame.write_all(content).unwrap();
        frame.finish().unwrap()
    };
    let long = [&[1, 0, 0][..], &[0; 17], &[0xff; 4]].concat();
    let zeros = vec![0; 10 << 20];
    let bomb = [
        &[1, 0, 0][..],
        &[0; 17],
        &(10_u32 << 20).to_le_bytes(),
        &zeros,
    ]
    .concat();
    for (catalog, expected) in [
        (
            b"PAR1".to_vec(),
            "parquet/catalog: expected a header, found 4 bytes",
        ),
        (
            b"PAR1PAR1".to_vec(),
            "parquet/catalog: expected varvecat, found PAR1PAR1",
        ),
        (
            b"varvecat\x02\0\0\0".to_vec(),
            "parquet/catalog: version: expected 1, found 2",
        ),
        (
            framed(&[7]),
            "parquet/catalog: content at byte 1: expected 0 or 1, found 7",
        ),
        (
            framed(&[0, 1, 0, 0, 0, 0, 0, 0, 0]),
            "parquet/catalog: content at byte 9: expected 1 entries, found 0",
        ),
        (
            framed(&[1, 5, 0, b'a']),
            "parquet/catalog: content at byte 8: expected 5 bytes, found 1",
        ),
        (
            framed(&long),
            "parquet/catalog: content at byte 24: expected at most 67108864 bytes, found 4294967295",
        ),
    ] {
        assert_eq!(read(&catalog).unwrap_err(), expected);
    }
    let error = read(&framed(&bomb)).unwrap_err();
    assert!(error.contains("expected at most "), "{error}");
}

proptest! {
    #[test]
    fn entries_of_all_kinds_go_there_and_back(
        entries in prop::collection::vec(
            (
                (".{0,40}", any::<u64>(), any::<i64>(), prop::option::of(".{0,9}")),
                prop::collection::vec(any::<u8>(), 0..200),
            ),
            0..20,
        ),
    ) {
        let entries: Vec<(Object, Vec<u8>)> = entries
            .into_iter()
            .map(|((key, size, modified, etag), json)| {
                (Object { key, size, last_modified: Timestamp(modified), etag }, json)
            })
            .collect();
        prop_assert_eq!(read(&catalog(&entries)), Ok(entries));
    }
}
