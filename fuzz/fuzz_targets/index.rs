//! The index of a TSDB block: table of contents, symbols, postings offset table, postings and series,
//! read as from a bucket. Checksums are put right on the way.

#![no_main]

use std::{collections::BTreeSet, ops::Range};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use model::{MatchOp, Matcher};
use tsdb::{Error, Fetched, IndexHeader, SeriesRef, SymbolRef, Toc};
use varve_fuzz::{bounded, seal_section, seal_series, seal_toc};

/// So much of an index is looked into, for the sake of speed.
const LOOKED_INTO: usize = 64;

fuzz_target!(|data: &[u8]| {
    let mut file = data.to_vec();
    let Some((toc, header)) = header(&mut file) else {
        return;
    };
    assert_eq!(header.toc(), &toc);
    look_up_symbols(&header);
    for (name, value) in names_and_values(&header) {
        if let Some(range) = made(header.postings_range(&name, &value)) {
            seal_section(&mut file[place(&range)]);
        }
    }
    let mut found = BTreeSet::new();
    for matchers in selections(&header) {
        let plan = made(header.select(&matchers));
        let ranges = plan.ranges();
        let read: Vec<Bytes> = ranges.iter().map(|range| slice(&file, range)).collect();
        assert!(!plan.is_empty() || plan.evaluate(&read).is_ok_and(|s| s.is_empty()));
        // Lists may overlap in a damaged table, and are then read more than once.
        let size = read.iter().map(Bytes::len).sum::<usize>() + file.len();
        if let Ok(series) = bounded(size, 64, || plan.evaluate(&read)) {
            assert!(series.is_sorted_by(|a, b| a < b));
            found.extend(series.into_iter().take(LOOKED_INTO));
        }
    }
    for reference in found {
        read_series(&header, &mut file, reference);
    }
});

fn header(file: &mut [u8]) -> Option<(Toc, IndexHeader)> {
    let size = file.len() as u64;
    let end = &mut file[place(&Toc::range(size))];
    seal_toc(end);
    let toc = Toc::decode(end, size).ok()?;
    let ranges = toc.header_ranges();
    let sealed = |range: &Range<u64>| {
        let mut section = file[place(range)].to_vec();
        seal_section(&mut section);
        section
    };
    let (symbols, table) = (sealed(&ranges.symbols), sealed(&ranges.postings_table));
    let head = &file[place(&ranges.head)];
    let header = bounded(file.len(), 64, || {
        IndexHeader::decode(toc, head, &symbols, &table)
    });
    Some((toc, header.ok()?))
}

/// What a header that was just made says.
fn made<T>(said: Result<T, Error>) -> T {
    said.expect("it was made of sections that were whole")
}

fn look_up_symbols(header: &IndexHeader) {
    let mut symbols = header.symbols();
    let number = |n: usize| SymbolRef(u32::try_from(n).expect("counted by 32 bits"));
    let mut last: Option<Vec<u8>> = None;
    for n in 0..header.symbol_count() {
        let text = made(symbols.text(number(n)));
        assert!(last.is_none_or(|last| last.as_slice() < text));
        last = Some(text.to_vec());
    }
    assert!(symbols.text(number(header.symbol_count())).is_err());
}

fn names_and_values(header: &IndexHeader) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = vec![(Vec::new(), Vec::new())];
    let names = made(header.label_names());
    assert!(names.is_sorted_by(|a, b| a < b));
    for name in names {
        let values = made(header.label_values(&name));
        assert_eq!(values.len() as u64, made(header.label_value_count(&name)));
        assert!(values.is_sorted_by(|a, b| a < b));
        pairs.extend(values.into_iter().map(|value| (name.clone(), value)));
    }
    pairs
}

fn selections(header: &IndexHeader) -> Vec<Vec<Matcher>> {
    let matcher = |op, name: &str, value: &[u8]| Matcher::new(op, name, value).expect("a matcher");
    let mut all = vec![Vec::new()];
    for name in made(header.label_names()).iter().take(LOOKED_INTO) {
        let value = &made(header.label_values(name)).pop().unwrap_or_default();
        // Matchers name labels in UTF-8.
        let Ok(name) = str::from_utf8(name) else {
            continue;
        };
        all.push(vec![matcher(MatchOp::Equal, name, value)]);
        all.push(vec![
            matcher(MatchOp::NotEqual, name, value),
            matcher(MatchOp::Regex, "__name__", b".+"),
        ]);
        all.push(vec![matcher(MatchOp::NotRegex, name, b"a.*|b")]);
    }
    all
}

fn read_series(header: &IndexHeader, file: &mut [u8], reference: SeriesRef) {
    let start = header.series_offset(reference);
    if let Some(series) = usize::try_from(start)
        .ok()
        .and_then(|at| file.get_mut(at..))
    {
        seal_series(series);
    }
    let mut guess = 16;
    loop {
        let bytes = slice(file, &header.series_range(reference, guess));
        let read = bounded(bytes.len(), 64, || header.decode_series(&bytes, reference));
        match read {
            Ok(Fetched::Short { needed }) => {
                assert!(needed > bytes.len() as u64, "{needed} of {}", bytes.len());
                guess = needed;
            }
            Ok(Fetched::Done(entry)) => {
                made(header.symbols().labels(&entry));
                assert!(entry.chunks.iter().all(|chunk| chunk.min <= chunk.max));
                return;
            }
            Err(_) => return,
        }
    }
}

fn slice(file: &[u8], range: &Range<u64>) -> Bytes {
    Bytes::copy_from_slice(&file[place(range)])
}

fn place(range: &Range<u64>) -> Range<usize> {
    let fit = |at: u64| usize::try_from(at).expect("a place in the file");
    fit(range.start)..fit(range.end)
}
