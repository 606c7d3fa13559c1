//! The header of an index whose series have a value each of their own, as container ids are: made, opened, and asked.
//!
//! `VARVE_BENCH_SERIES` sets how many series.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    fs::{self, File},
    hint::black_box,
    io::BufWriter,
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use benches::{cost, make_ids, median_cpu_ms, setting};
use model::{MatchOp, Matcher};
use tsdb::{Block, HeaderFile, HeaderIdentity, HeaderWriter, IndexHeader, SeriesEntry, Toc};

fn main() -> anyhow::Result<()> {
    let series = setting("VARVE_BENCH_SERIES", 100_000);
    let dir = tempfile::tempdir()?;
    make_ids(dir.path(), series, &[])?;
    let (block, open) = cost(|| Ok(Block::open(dir.path())?))?;
    println!(
        "{series} series: the block opened in {open}, {} KiB in memory",
        block.header().heap_size() >> 10
    );
    let path = dir.path().join("header");
    let index = fs::read(dir.path().join("index"))?;
    let (toc, made) = cost(|| make(&index, &path))?;
    println!(
        "header file: {} KiB, made in {made}",
        fs::metadata(&path)?.len() >> 10
    );
    let made_of = HeaderIdentity {
        index_size: toc.end + Toc::LEN,
        stamp: 0,
    };
    let (header, open) = cost(|| {
        let file = HeaderFile::open(&path, made_of)?;
        Ok(IndexHeader::new(file.root().clone(), Arc::new(file)))
    })?;
    println!(
        "header file: opened in {:.3} ms, {} bytes in memory",
        open.wall_ms,
        header.heap_size()
    );
    lookups(&block, &header)
}

/// Makes a header file of an index.
fn make(index: &[u8], path: &Path) -> anyhow::Result<Toc> {
    let size = index.len() as u64;
    let bytes = |range: std::ops::Range<u64>| {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        index
            .get(place(range.start)..place(range.end))
            .context("a part of the index")
    };
    let toc = Toc::decode(bytes(Toc::range(size))?, size)?;
    let ranges = toc.header_ranges();
    let out = BufWriter::new(File::create(path)?);
    let mut writer = HeaderWriter::new(out, path, toc, 0, bytes(ranges.head)?)?;
    for section in [ranges.symbols, ranges.postings_table] {
        for piece in bytes(section)?.chunks(4 << 20) {
            writer.push(piece)?;
        }
    }
    writer.finish()?;
    Ok(toc)
}

fn lookups(block: &Block, file: &IndexHeader) -> anyhow::Result<()> {
    let (mut cursor, mut entries) = (block.series_cursor(), Vec::new());
    for series in block.select(&[])? {
        let mut entry = SeriesEntry::default();
        cursor.read(series, &mut entry)?;
        entries.push(entry);
    }
    let some: Vec<&SeriesEntry> = entries.iter().step_by(10).collect();
    for (name, header) in [("memory", block.header()), ("file", file)] {
        // As a gateway decodes them: in groups.
        let ((), labels) = median_cpu_ms(|| {
            for group in entries.chunks(4096) {
                let mut symbols = header.symbols();
                for entry in group {
                    black_box(symbols.labels(entry)?);
                }
            }
            Ok(())
        })?;
        let one = |entry: &&SeriesEntry| {
            let value = header
                .symbols()
                .text(entry.labels.first().context("a label")?.1)?
                .to_owned();
            let matcher = Matcher::new(MatchOp::Equal, "__name__", value)?;
            Ok::<_, anyhow::Error>(header.select(&[matcher])?)
        };
        let ((), select) = median_cpu_ms(|| {
            for entry in &some {
                black_box(one(entry)?);
            }
            Ok(())
        })?;
        let (found, values) = median_cpu_ms(|| Ok(header.label_values("id")?.len()))?;
        println!(
            "{name}: labels {:.0} ns a series, one value {:.2} µs, {found} values {values:.1} ms",
            labels * 1e6 / entries.len() as f64,
            select * 1e3 / some.len() as f64,
        );
    }
    Ok(())
}
