//! Chunks that overlap, which this writer refuses and other writers left in blocks.

use std::collections::BTreeMap;

use super::*;
use crate::{Block, Floats, SeriesEntry, decode_xor, encode_xor, reencode};

fn chunk(times: impl Iterator<Item = i64>, value: f64) -> Chunk {
    let times: Vec<i64> = times.collect();
    Chunk {
        encoding: Encoding::Xor,
        min: model::Timestamp(times[0]),
        max: model::Timestamp(times[times.len() - 1]),
        data: encode_xor(&times, &vec![value; times.len()]),
    }
}

fn samples<'a>(chunks: impl IntoIterator<Item = &'a Chunk>) -> Vec<(i64, f64)> {
    let mut all = Vec::new();
    for chunk in chunks {
        let mut floats = Floats::default();
        decode_xor(&chunk.data, &mut floats).unwrap();
        all.extend(floats.timestamps.iter().copied().zip(floats.values));
    }
    all
}

#[test]
fn chunks_that_overlap_or_come_in_no_order_are_read_and_made_one_series() {
    let overlapping = [
        chunk((0..1500).step_by(15), 1.0),
        chunk((300..900).step_by(20), 2.0),
        chunk((1490..2400).step_by(10), 3.0),
    ];
    let no_order = [
        chunk(3600..3700, 1.0),
        chunk(5..60, 2.0),
        chunk(1200..1800, 3.0),
    ];
    let series = [("a", &overlapping), ("b", &no_order)];
    let dir = tempfile::tempdir().unwrap();
    let mut writer = BlockWriter::create(dir.path(), ["__name__", "a", "b"]).unwrap();
    for (name, chunks) in series {
        let labels = Labels::from_pairs([("__name__", name)]);
        assert!(writer.add_series(&labels, chunks).is_err());
        let symbol = |text: &str| writer.index.symbol(text.as_bytes()).unwrap();
        let pairs = [(symbol("__name__"), symbol(name))];
        writer.append_series(&pairs, chunks).unwrap();
    }
    let meta = r#"{"ulid":"01HF8J5JG0RAVB4GMS32W7ZJ2B","minTime":0,"maxTime":7200,"version":1}"#;
    let meta = BlockMeta::decode(meta.as_bytes()).unwrap();
    assert_eq!(writer.finish(meta).unwrap().stats.num_chunks, 6);

    let block = Block::open(dir.path()).unwrap();
    let (mut cursor, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let mut entry = SeriesEntry::default();
    for (reference, (_, written)) in block.refs_by_name().unwrap().into_iter().zip(series) {
        cursor.read(reference, &mut entry).unwrap();
        let read: Vec<Chunk> = entry
            .chunks
            .iter()
            .map(|meta| chunks.read(meta).unwrap())
            .collect();
        assert_eq!(read, *written);

        let mut expected: BTreeMap<i64, f64> = BTreeMap::new();
        for (time, value) in samples(written) {
            expected.entry(time).or_insert(value);
        }
        let merged = reencode(&read, &[]).unwrap();
        assert!(merged.is_sorted_by(|a, b| a.max < b.min));
        assert_eq!(samples(&merged), expected.into_iter().collect::<Vec<_>>());
    }
}
