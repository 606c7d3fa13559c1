//! `parquet/catalog`: what is read is written and read again the same.
//!
//! An input is a catalog behind an even byte, or behind an odd one the content of its frame, of which mutations would
//! mostly end at the checksum.

#![no_main]

use bucket::{
    Object,
    testing::{decode_catalog, encode_catalog},
};
use libfuzzer_sys::fuzz_target;
use varve_fuzz::bounded;

type Entries = Vec<(Object, Vec<u8>)>;

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let framed;
    let catalog = if kind % 2 == 0 {
        data
    } else {
        framed = frame(data);
        &framed
    };
    // Whatever becomes of it, one document at a time is in memory.
    let whole = bounded(catalog.len(), 8192, || decode_catalog(catalog, |_, _| {}));
    if whole.is_ok() {
        let entries = read(catalog);
        let again = encode_catalog(entries.iter().map(|(object, json)| (object, json.clone())));
        assert_eq!(read(&again), entries);
    }
});

fn frame(content: &[u8]) -> Vec<u8> {
    let header = [b"varvecat".as_slice(), &1_u32.to_le_bytes(), &[0; 16]].concat();
    let frame = zstd::bulk::compress(content, 1).expect("memory is compressed");
    [header, frame].concat()
}

fn read(catalog: &[u8]) -> Entries {
    let mut entries = Entries::new();
    let add = |object: &Object, json: &[u8]| entries.push((object.clone(), json.to_vec()));
    decode_catalog(catalog, add).expect("a whole catalog");
    entries
}
