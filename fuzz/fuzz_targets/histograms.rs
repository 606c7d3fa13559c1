//! Chunks of histograms: what is read is written and read again with the same meaning. The first byte
//! tells which of the two encodings the rest has.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsdb::{Encoding, decode_histograms, encode_histograms};
use varve_fuzz::{bounded, meaning};

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let encoding = if kind & 1 == 0 {
        Encoding::Histogram
    } else {
        Encoding::FloatHistogram
    };
    let Ok(samples) = bounded(data.len(), 2048, || decode_histograms(encoding, data)) else {
        return;
    };
    let mut read = Vec::new();
    for chunk in bounded(data.len(), 2048, || encode_histograms(&samples)) {
        let part =
            decode_histograms(chunk.encoding, &chunk.data).expect("what was written is read");
        assert_eq!(Some(chunk.min), part.first().map(|(time, _)| *time));
        assert_eq!(Some(chunk.max), part.last().map(|(time, _)| *time));
        assert_eq!(
            usize::from(chunk.num_samples().expect("a count")),
            part.len()
        );
        read.extend(part);
    }
    assert_eq!(samples.len(), read.len());
    for ((time, before), (time_after, after)) in samples.iter().zip(&read) {
        assert_eq!(time, time_after);
        assert_eq!(meaning(before), meaning(after));
    }
});
