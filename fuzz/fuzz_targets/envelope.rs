//! The values of a Parquet block's data columns.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use parquet_block::envelope;
use varve_fuzz::bounded;

fuzz_target!(|data: &[u8]| {
    let data = Bytes::copy_from_slice(data);
    let records: Vec<_> = bounded(data.len(), 64, || envelope::decode(&data).collect());
    let summary = envelope::summary(&data);
    let Ok(mut chunks) = records.into_iter().collect::<Result<Vec<_>, _>>() else {
        assert_eq!(summary, None);
        return;
    };
    if let Some(summary) = summary {
        assert_eq!(summary.chunks, chunks.len() as u64);
        assert!(chunks.is_sorted_by(|a, b| a.max < b.min && a.encoding == b.encoding));
        let ends = (chunks[0].min, chunks[chunks.len() - 1].max);
        assert_eq!(ends, (summary.range.min, summary.range.max));
    }
    // As they are written.
    chunks.sort_by_key(|chunk| chunk.encoding as u8);
    let mut again = Vec::new();
    envelope::encode(&chunks, &mut again);
    let again = Bytes::from(again);
    let read: Result<Vec<_>, _> = envelope::decode(&again).collect();
    assert_eq!(read, Ok(chunks));
});
