//! A shard of a Parquet block in local files, its rows as a merge reads them.

#![no_main]

use std::{fs, path::Path, process, sync::Arc};

use libfuzzer_sys::fuzz_target;
use model::ParquetShard;
use parquet_block::{Error, LabelIds, LocalShard, SharedGroup};
use varve_fuzz::{bounded, open, split_files};

fuzz_target!(|data: &[u8]| {
    let Some(files) = split_files(data) else {
        return;
    };
    // Not worth a file.
    let Some(shard) = open(&files) else {
        return;
    };
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        memory.into()
    } else {
        std::env::temp_dir()
    };
    let dir = dir.join(format!("varve-fuzz-{}", process::id()));
    fs::create_dir_all(&dir).expect("a folder is made");
    let paths = shard.contents().files(0).map(|name| dir.join(name));
    for (path, bytes) in paths.iter().zip([&files.labels, &files.chunks]) {
        fs::write(path, bytes).expect("a file is written");
    }
    bounded(data.len(), 1024, || {
        let local = LocalShard::open(&dir, 0, shard.contents(), &ParquetShard::default());
        let local = local.expect("as opened from memory");
        let _ = local.check_heads();
        for group in 0..shard.row_groups() {
            let _ = read(&local, group);
        }
    });
    fs::remove_dir_all(&dir).expect("the folder is there");
});

/// Reads a row group by two readers, which share its pages.
fn read(local: &LocalShard, group: usize) -> Result<(), Error> {
    let dictionaries = local.dictionaries(group)?;
    let ids = (0..).zip(&dictionaries).map(|(name, dictionary)| LabelIds {
        name,
        values: (0..).take(dictionary.len()).collect(),
    });
    let ids: Vec<LabelIds> = ids.collect();
    let rows = local.shard().rows(group);
    let shared = Arc::new(SharedGroup::new(rows as usize, 1 << 12));
    for part in [0..rows / 2, rows / 2..rows] {
        let mut reader = local.read_rows(group, part.clone(), &ids, Arc::clone(&shared));
        for row in part {
            let labels = reader.labels(row)?;
            assert!(labels.is_sorted_by(|a, b| a.0 < b.0), "{labels:?}");
            reader.chunks(row)?.for_each(drop);
            reader.values(row, drop)?;
        }
    }
    Ok(())
}
