//! What a server of memcached answers: the same however the bytes come, and no value longer than was asked for.

#![no_main]

use cache::testing::responses;
use libfuzzer_sys::fuzz_target;
use varve_fuzz::bounded;

/// The longest value.
const MOST: usize = 1 << 12;

fuzz_target!(|data: &[u8]| {
    let Some((step, stream)) = data.split_first() else {
        return;
    };
    let whole = bounded(stream.len() + MOST, 8, || {
        responses(stream, MOST, stream.len().max(1))
    });
    let pieces = responses(stream, MOST, usize::from(*step).max(1));
    assert_eq!(whole, pieces);
    for (key, value) in whole.0.iter().flatten() {
        assert!(value.len() <= MOST && key.len() <= stream.len());
    }
});
