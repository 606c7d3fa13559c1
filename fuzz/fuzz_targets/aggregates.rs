//! Downsampled chunks, and the chunks within them.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tsdb::{Encoding, Floats, decode_aggregates, decode_histograms, decode_xor, encode_aggregates};
use varve_fuzz::bounded;

fuzz_target!(|data: &[u8]| {
    let data = Bytes::copy_from_slice(data);
    let Ok(aggregates) = bounded(data.len(), 1, || decode_aggregates(&data)) else {
        return;
    };
    let again = encode_aggregates(&aggregates);
    assert_eq!(decode_aggregates(&again).as_ref(), Ok(&aggregates));
    for aggregate in aggregates.iter().flatten() {
        if aggregate.encoding == Encoding::Xor {
            let _ = decode_xor(&aggregate.data, &mut Floats::default());
        } else {
            let _ = decode_histograms(aggregate.encoding, &aggregate.data);
        }
    }
});
