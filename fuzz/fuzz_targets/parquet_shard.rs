//! A shard of a Parquet block, from its footers to labels, chunks or aggregates, and answers to matchers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Aggregate, AggregateSet, MatchOp, Matcher, TimeRange};
use parquet_block::{Contents, Projection, Shard};
use tsdb::DownsampledChunk;
use varve_fuzz::{Files, answer, bounded, open, split_files};

fuzz_target!(|data: &[u8]| {
    let Some(files) = split_files(data) else {
        return;
    };
    bounded(data.len(), 1024, || {
        if let Some(shard) = open(&files) {
            read_rows(&files, &shard);
            read_names_and_values(&files, &shard);
            search(&files, &shard);
        }
    });
});

fn read_rows(files: &Files, shard: &Shard) {
    for (group, rows) in shard.everything() {
        let labels = shard.labels(group, rows.clone(), Projection::All);
        if let Ok(labels) = answer(files, labels) {
            assert_eq!(labels.len(), rows.len());
        }
        let some = TimeRange::new(shard.slices().min().0, shard.slices().min().0);
        for range in [TimeRange::ALL, some] {
            let chunks = shard.chunks(group, rows.clone(), range, AggregateSet::ALL);
            let Ok(of_rows) = answer(files, chunks) else {
                continue;
            };
            assert_eq!(of_rows.len(), rows.len());
            if shard.contents() == Contents::Aggregates {
                for one in Aggregate::ALL {
                    let wanted = shard.chunks(group, rows.clone(), range, one.into());
                    let of_one = answer(files, wanted).expect("as read with the others");
                    let with = |chunks: &Vec<tsdb::Chunk>| {
                        let unpacked = chunks.iter().map(DownsampledChunk::unpack);
                        let chunks = unpacked.map(|chunk| chunk.expect("a chunk that was packed"));
                        chunks
                            .filter_map(|chunk| chunk.column(one))
                            .collect::<Vec<_>>()
                    };
                    assert!(of_rows.iter().map(with).eq(of_one.iter().map(with)));
                }
            }
        }
    }
}

fn read_names_and_values(files: &Files, shard: &Shard) {
    // So few rows that counts of nulls do not tell, and lists of columns are read.
    let few = shard.everything().into_iter();
    let few: Vec<_> = few
        .map(|(group, rows)| (group, rows.split_at(1).0))
        .collect();
    if let Ok(names) = answer(files, shard.label_names_of(few.clone())) {
        assert!(names.is_sorted_by(|a, b| a < b));
    }
    for name in shard.label_names() {
        for selection in [shard.everything(), few.clone()] {
            if let Ok(values) = answer(files, shard.label_values_of(selection, name)) {
                assert!(values.is_sorted_by(|a, b| a < b));
            }
        }
    }
}

fn search(files: &Files, shard: &Shard) {
    for (op, name, value) in [
        (MatchOp::Equal, "__name__", "up"),
        (MatchOp::Regex, "__name__", "u.*|x"),
        (MatchOp::NotEqual, "a", "b"),
        (MatchOp::NotRegex, "a", ".+"),
        (MatchOp::Equal, "missing", ""),
    ] {
        let matcher = Matcher::new(op, name, value).expect("a matcher");
        let Ok(found) = answer(files, shard.search(&[matcher])) else {
            continue;
        };
        for (group, rows) in found {
            let all = shard.rows(group);
            assert!(
                rows.iter()
                    .all(|range| range.start < range.end && range.end <= all)
            );
        }
    }
}
