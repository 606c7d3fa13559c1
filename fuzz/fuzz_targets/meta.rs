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
    mark(data, |data| {
        let mark = serde_json::from_slice::<DeletionMark>(data).ok()?;
        DeletionMark::decode(mark.id, data).ok()
    });
    mark(data, |data| NoCompactMark::decode(data).ok());
    mark(data, |data| NoDownsampleMark::decode(data).ok());
});

fn mark<M>(data: &[u8], decode: impl Fn(&[u8]) -> Option<M>)
where
    M: serde::Serialize + PartialEq + std::fmt::Debug,
{
    if let Some(mark) = bounded(data.len(), 64, || decode(data)) {
        let json = serde_json::to_vec(&mark).expect("a mark is JSON");
        let again = decode(&json).expect("what was written is read");
        assert_eq!(again, mark);
    }
}
