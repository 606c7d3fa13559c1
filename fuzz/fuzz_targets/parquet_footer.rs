//! The end of a Parquet file: the metadata.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use parquet_block::{Footer, FooterRead};
use varve_fuzz::bounded;

fuzz_target!(|data: &[u8]| {
    // The input is the end of a larger file, and what it tells of the size is in its first bytes.
    let Some((before, tail)) = data.split_first_chunk::<2>() else {
        return;
    };
    let tail = Bytes::copy_from_slice(tail);
    let size = tail.len() as u64 + u64::from(u16::from_le_bytes(*before));
    let read = bounded(data.len(), 256, || {
        Footer::decode("file", size, tail.clone())
    });
    match read {
        Ok(FooterRead::Done(footer)) => {
            assert_eq!(footer.file_size(), size);
        }
        Ok(FooterRead::Short { needed }) => {
            assert!(needed > tail.len() as u64 && needed <= size);
        }
        Err(_) => {}
    }
});
