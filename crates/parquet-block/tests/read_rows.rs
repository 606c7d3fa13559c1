//! Rows as ids against rows as text: the same labels and chunks, whatever rows are asked for.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{AggregateSet, Labels, ParquetShard, TimeRange};
use parquet_block::{
    Contents, LabelIds, LocalShard, Projection, RowRanges, RowReader, SharedGroup, labels_file,
};
use tsdb::Chunk;

fn golden() -> PathBuf {
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests");
    Path::new(tests).join("fixtures/golden/parquet-common")
}

/// All shards of parquet-common's blocks.
fn shards() -> Vec<LocalShard> {
    let mut shards = Vec::new();
    for block in std::fs::read_dir(golden()).unwrap() {
        let dir = block.unwrap().path().join("block");
        for number in 0.. {
            if !dir.join(labels_file(number)).try_exists().unwrap() {
                break;
            }
            let listed = ParquetShard::default();
            shards.push(LocalShard::open(&dir, number, Contents::Chunks, &listed).unwrap());
        }
    }
    shards
}

/// Every name and value of a shard, in byte order.
fn symbols(shard: &LocalShard) -> Vec<Vec<u8>> {
    let names = shard.shard().label_names().map(<[u8]>::to_vec);
    let mut symbols: BTreeSet<Vec<u8>> = names.collect();
    for group in 0..shard.shard().row_groups() {
        for dictionary in shard.dictionaries(group).unwrap() {
            symbols.extend(dictionary.iter().map(<[u8]>::to_vec));
        }
    }
    symbols.into_iter().collect()
}

fn ids(shard: &LocalShard, group: usize, symbols: &[Vec<u8>]) -> Vec<LabelIds> {
    let id = |text: &[u8]| {
        let found = symbols.binary_search_by(|symbol| symbol.as_slice().cmp(text));
        u32::try_from(found.unwrap()).unwrap()
    };
    let dictionaries = shard.dictionaries(group).unwrap();
    let labels = shard.shard().label_names().zip(dictionaries);
    let translated = labels.map(|(name, dictionary)| LabelIds {
        name: id(name),
        values: dictionary.iter().map(id).collect(),
    });
    translated.collect()
}

/// The rows of a row group, as lookups give them.
fn rows_of(local: &LocalShard, group: usize) -> Vec<(Labels, Vec<Chunk>)> {
    let shard = local.shard();
    let rows = RowRanges::all(shard.rows(group));
    let labels = shard.labels(group, rows.clone(), Projection::All);
    let chunks = shard.chunks(group, rows, TimeRange::ALL, AggregateSet::ALL);
    let labels = local.answer(labels).unwrap().into_iter();
    labels.zip(local.answer(chunks).unwrap()).collect()
}

/// What a reader has that shares with none.
fn alone() -> Arc<SharedGroup> {
    Arc::new(SharedGroup::new(usize::MAX, 0))
}

#[test]
fn rows_have_the_same_labels_and_chunks_as_ids_and_as_text() {
    let mut compared = 0;
    for shard in shards() {
        let symbols = symbols(&shard);
        let text = |pairs: &[(u32, u32)]| {
            let text = |id: u32| symbols[id as usize].as_slice();
            Labels::from_sorted(pairs.iter().map(|(n, v)| (text(*n), text(*v))))
        };
        for group in 0..shard.shard().row_groups() {
            let rows = shard.shard().rows(group);
            let expected = rows_of(&shard, group);
            let ids = ids(&shard, group, &symbols);
            for (start, step) in [(0, 1), (1, 3), (rows / 2, 7), (rows, 1)] {
                let mut reader = shard.read_rows(group, start..rows, &ids, alone());
                for row in (start..rows).step_by(step) {
                    let (labels, chunks) = &expected[row as usize];
                    assert_eq!(text(reader.labels(row).unwrap()), *labels);
                    // Chunks of a row may be left unread.
                    if row % 2 == 0 {
                        assert!(reader.chunks(row).unwrap().eq(chunks.iter().cloned()));
                    }
                    compared += 1;
                }
                assert_eq!(reader.chunks(rows).unwrap().count(), 0);
            }
        }
    }
    assert!(compared > 100, "{compared} rows");
}

#[test]
fn readers_of_parts_of_a_row_group_give_what_one_of_the_whole_does() {
    let mut borders = 0;
    for shard in shards() {
        let symbols = symbols(&shard);
        for group in 0..shard.shard().row_groups() {
            let rows = shard.shard().rows(group);
            let ids = ids(&shard, group, &symbols);
            let read = |reader: &mut RowReader<'_>, row: u32| {
                let labels = reader.labels(row).unwrap().to_vec();
                (labels, reader.chunks(row).unwrap().collect::<Vec<_>>())
            };
            let mut whole = shard.read_rows(group, 0..rows, &ids, alone());
            let expected: Vec<_> = (0..rows).map(|row| read(&mut whole, row)).collect();
            for (part, limit) in [(1, 1 << 20), (7, 1 << 20), (40, 3000), (40, 0)] {
                let shared = Arc::new(SharedGroup::new(rows as usize, limit));
                let starts = (0..rows).step_by(part);
                let mut readers: Vec<_> = starts
                    .map(|start| {
                        let end = rows.min(start + u32::try_from(part).unwrap());
                        let reader = shard.read_rows(group, start..end, &ids, Arc::clone(&shared));
                        (start..end, reader)
                    })
                    .collect();
                borders += readers.len() - 1;
                // All at once, one row of each at a time, the last one first.
                readers.reverse();
                while !readers.is_empty() {
                    readers.retain_mut(|(left, reader)| {
                        let row = left.next();
                        if let Some(row) = row {
                            assert!(read(reader, row) == expected[row as usize], "row {row}");
                        }
                        row.is_some()
                    });
                }
            }
        }
    }
    assert!(borders > 100, "{borders} borders");
}

#[test]
fn a_value_that_stands_for_none_is_left_out() {
    let shard = shards().remove(0);
    let symbols = symbols(&shard);
    let mut ids = ids(&shard, 0, &symbols);
    let name = shard.shard().label_names().position(|n| n == b"__name__");
    let name = &mut ids[name.unwrap()];
    let id = name.name;
    name.values.fill(LabelIds::NONE);
    let mut reader = shard.read_rows(0, 0..1, &ids, alone());
    let labels = reader.labels(0).unwrap();
    assert!(!labels.is_empty() && labels.iter().all(|(n, _)| *n != id));
}

#[test]
fn ids_of_other_labels_are_refused() {
    let shard = shards().remove(0);
    let mut reader = shard.read_rows(0, 0..1, &[], alone());
    let error = reader.labels(0).unwrap_err().to_string();
    assert!(
        error.contains("one of the 0 labels that have ids"),
        "{error}"
    );
}
