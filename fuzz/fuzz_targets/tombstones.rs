//! Tombstones, with their checksum put right.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsdb::Tombstones;
use varve_fuzz::{bounded, seal_tombstones};

fuzz_target!(|data: &[u8]| {
    let mut file = data.to_vec();
    seal_tombstones(&mut file);
    let Ok(tombstones) = bounded(file.len(), 256, || Tombstones::decode(&file)) else {
        return;
    };
    let again = Tombstones::decode(&tombstones.encode()).expect("what was written is read");
    assert_eq!(again, tombstones);
});
