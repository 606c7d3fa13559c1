//! `meta.json` and the three marks: what is read is written and read again the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{BlockMeta, DeletionMark, NoCompactMark, NoDownsampleMark};
use varve_fuzz::bounded;

fuzz_target!(|data: &[u8]| {
    if let Ok(meta) = bounded(data.len(), 64, || BlockMeta::decode(data)) {
        let again = BlockMeta::decode(&meta.encode()).expect("what was written is read");
        assert_eq!(again, meta);
        let range = meta.time_range();
        assert!(range.min <= range.max);
        let _ = (meta.external_labels(), meta.resolution());
    }
    mark::<DeletionMark>(data);
    mark::<NoCompactMark>(data);
    mark::<NoDownsampleMark>(data);
});

fn mark<M>(data: &[u8])
where
    M: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    if let Ok(mark) = bounded(data.len(), 64, || serde_json::from_slice::<M>(data)) {
        let json = serde_json::to_vec(&mark).expect("a mark is JSON");
        let again: M = serde_json::from_slice(&json).expect("what was written is read");
        assert_eq!(again, mark);
    }
}
