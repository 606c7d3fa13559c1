//! A header file: its tail, whose checksum is put right, and its pages, whose checksums nobody looks at in memory.
//! What such a header says may be wrong, but it says it within bounds.

#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use model::{MatchOp, Matcher};
use tsdb::{HeaderRoot, IndexHeader, SeriesRef, SymbolRef, Toc};
use varve_fuzz::{bounded, seal_toc};

/// Length of the tail, and where the table of contents is in it.
const TAIL: usize = 114;
const TOC: usize = 21;

/// So much of a header is looked into, for the sake of speed.
const LOOKED_INTO: usize = 16;

fuzz_target!(|data: &[u8]| {
    let mut file = data.to_vec();
    let start = file.len().saturating_sub(TAIL);
    let tail = &mut file[start..];
    if let Some(toc) = tail.get_mut(TOC..TOC + Toc::LEN as usize) {
        seal_toc(toc);
    }
    seal_toc(tail);
    let Ok(root) = HeaderRoot::decode(tail, data.len() as u64, "header") else {
        return;
    };
    let pages = Bytes::from(file);
    let header = IndexHeader::new(root, Arc::new(pages));
    // A leaf is seen once, whatever is wrong: entries of two bytes become strings.
    let names = bounded(data.len(), 64, || header.label_names()).unwrap_or_default();
    for name in names.iter().take(LOOKED_INTO) {
        let _ = header.label_value_count(name);
        let ranges = bounded(data.len(), 64, || header.postings_ranges(name));
        assert!(
            ranges
                .iter()
                .flatten()
                .all(|range| range.start <= range.end)
        );
        let values = bounded(data.len(), 64, || header.label_values(name)).unwrap_or_default();
        for value in values.iter().take(LOOKED_INTO) {
            let _ = header.postings_range(name, value);
        }
        let value = values.last().map_or(&[][..], Vec::as_slice);
        // Matchers name labels in UTF-8.
        let Ok(name) = str::from_utf8(name) else {
            continue;
        };
        for op in [MatchOp::Equal, MatchOp::NotEqual, MatchOp::NotRegex] {
            if let Ok(matcher) = Matcher::new(op, name, value) {
                let _ = bounded(data.len(), 128, || header.select(&[matcher]));
            }
        }
    }
    let mut symbols = header.symbols();
    let count = u32::try_from(header.symbol_count()).expect("counted by 32 bits");
    let some = (0..count).take(LOOKED_INTO);
    for number in some.chain([count / 2, count.saturating_sub(1), count]) {
        let _ = symbols.text(SymbolRef(number));
    }
    // One label, of the first symbol's number or offset, and no chunk.
    let body = [1, 0, 5, 0];
    let record = [&[4], &body[..], &crc32c::crc32c(&body).to_be_bytes()].concat();
    let series = header.toc().series_range().start;
    for at in [series, series.div_ceil(16)] {
        let _ = header.decode_series(&record, SeriesRef(at as u32));
    }
});
