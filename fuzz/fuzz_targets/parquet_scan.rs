//! A shard of a Parquet block in local files, all rows in order.

#![no_main]

use std::{fs, path::Path, process};

use libfuzzer_sys::fuzz_target;
use parquet_block::LocalShard;
use varve_fuzz::{bounded, open, split_files};

fuzz_target!(|data: &[u8]| {
    let Some(files) = split_files(data) else {
        return;
    };
    // Not worth a file.
    let Some(shard) = open(&files) else {
        return;
    };
    let path = |kind: &str| {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            memory.into()
        } else {
            std::env::temp_dir()
        };
        dir.join(format!("varve-fuzz-{}.{kind}", process::id()))
    };
    let (labels, chunks) = (path("labels"), path("chunks"));
    fs::write(&labels, &files.labels).expect("a file is written");
    fs::write(&chunks, &files.chunks).expect("a file is written");
    bounded(data.len(), 1024, || {
        let local = LocalShard::open(&labels, &chunks).expect("as opened from memory");
        let rows: u32 = (0..shard.row_groups()).map(|group| shard.rows(group)).sum();
        let read = local.scan().take_while(Result::is_ok).count();
        assert!(read <= rows as usize, "{read} rows of {rows}");
    });
    for file in [&labels, &chunks] {
        fs::remove_file(file).expect("the file is there");
    }
});
