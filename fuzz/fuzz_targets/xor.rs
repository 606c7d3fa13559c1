//! Chunks of floats: what is read is written and read again the same, to the bit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsdb::{Floats, decode_xor, encode_xor};
use varve_fuzz::bounded;

fuzz_target!(|data: &[u8]| {
    let mut floats = Floats::default();
    if bounded(data.len(), 128, || decode_xor(data, &mut floats)).is_err() {
        return;
    }
    assert_eq!(floats.timestamps.len(), floats.values.len());
    let again = encode_xor(&floats.timestamps, &floats.values);
    let mut read = Floats::default();
    decode_xor(&again, &mut read).expect("what was written is read");
    assert_eq!(floats.timestamps, read.timestamps);
    let bits = |floats: &Floats| {
        floats
            .values
            .iter()
            .map(|v| v.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(bits(&floats), bits(&read));
});
