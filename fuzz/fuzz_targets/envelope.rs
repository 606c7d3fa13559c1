//! The values of a Parquet block's data columns.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use parquet_block::envelope;
use varve_fuzz::bounded;

fuzz_target!(|data: &[u8]| {
    let data = Bytes::copy_from_slice(data);
    let records: Vec<_> = bounded(data.len(), 64, || envelope::decode(&data).collect());
    let Ok(mut chunks) = records.into_iter().collect::<Result<Vec<_>, _>>() else {
        return;
    };
    // As they are written.
    chunks.sort_by_key(|chunk| chunk.encoding as u8);
    let mut again = Vec::new();
    envelope::encode(&chunks, &mut again);
    let again = Bytes::from(again);
    let read: Result<Vec<_>, _> = envelope::decode(&again).collect();
    assert_eq!(read, Ok(chunks));
});
