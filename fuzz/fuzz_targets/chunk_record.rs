//! The record of a chunk in a segment: damaged as it is, and with its checksum put right.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use model::Timestamp;
use tsdb::{ChunkMeta, ChunkRef, Encoding, Fetched, decode_chunk_record};
use varve_fuzz::{bounded, sealed_record};

fuzz_target!(|data: &[u8]| {
    let meta = ChunkMeta {
        min: Timestamp(-1),
        max: Timestamp(1),
        reference: ChunkRef::new(0, 8),
    };
    let bytes = Bytes::copy_from_slice(data);
    match bounded(data.len(), 1, || decode_chunk_record(&bytes, &meta)) {
        Ok(Fetched::Short { needed }) => assert!(needed > data.len() as u64),
        Ok(Fetched::Done(chunk)) => assert!(chunk.data.len() < data.len()),
        Err(_) => {}
    }
    let Some((encoding, content)) = data.split_first() else {
        return;
    };
    let record = Bytes::from(sealed_record(data));
    match decode_chunk_record(&record, &meta) {
        Ok(Fetched::Done(chunk)) => {
            assert_eq!(
                (chunk.encoding as u8, &chunk.data[..]),
                (*encoding, content)
            );
            let _ = chunk.num_samples();
        }
        Ok(Fetched::Short { needed }) => panic!("{needed} bytes wanted of {}", record.len()),
        Err(error) => assert!(Encoding::from_byte(*encoding).is_err(), "{error}"),
    }
    let cut = record.slice(..record.len() - 1);
    let short = Fetched::Short {
        needed: record.len() as u64,
    };
    assert_eq!(decode_chunk_record(&cut, &meta).expect("too short"), short);
});
