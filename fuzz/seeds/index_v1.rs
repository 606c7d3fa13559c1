//! A small index of version 1, which nothing here writes. The target puts its checksums right.

/// Stands for a checksum.
const NO_CRC: [u8; 4] = [0; 4];

/// Two series, `a="b"` and `a="c"`, with a chunk each.
pub fn small() -> Vec<u8> {
    let mut file = vec![0xba, 0xaa, 0xd7, 0x00, 1];
    let symbols = file.len();
    section(&mut file, &[0, 0, 0, 3, 1, b'a', 1, b'b', 1, b'c']);
    // Series name symbols by offset, behind the length and the count of their section.
    let symbol = |n: usize| byte(symbols + 8 + 2 * n);
    let series: Vec<usize> = [1, 2]
        .into_iter()
        .map(|value| {
            let start = file.len();
            // One label; one chunk from 0 to 9, at 8.
            let body = [1, symbol(0), symbol(value), 1, 0, 9, 8];
            file.push(byte(body.len()));
            file.extend(body);
            file.extend(NO_CRC);
            start
        })
        .collect();
    let mut lists = Vec::new();
    for (value, refs) in [("", &series[..]), ("b", &series[..1]), ("c", &series[1..])] {
        lists.push((value, file.len()));
        let numbers = std::iter::once(refs.len()).chain(refs.iter().copied());
        let list: Vec<u8> = numbers.flat_map(|n| [0, 0, 0, byte(n)]).collect();
        section(&mut file, &list);
    }
    let table = file.len();
    let mut entries = vec![0, 0, 0, byte(lists.len())];
    for (value, at) in &lists {
        let name = if value.is_empty() { "" } else { "a" };
        entries.push(2);
        for text in [name, value] {
            entries.push(byte(text.len()));
            entries.extend(text.bytes());
        }
        // A uvarint of two bytes.
        entries.extend([byte(at & 0x7f) | 0x80, byte(at >> 7)]);
    }
    section(&mut file, &entries);
    // No label indices.
    for start in [symbols, series[0], 0, 0, lists[0].1, table] {
        file.extend((start as u64).to_be_bytes());
    }
    file.extend(NO_CRC);
    file
}

fn section(file: &mut Vec<u8>, body: &[u8]) {
    file.extend([0, 0, 0, byte(body.len())]);
    file.extend(body);
    file.extend(NO_CRC);
}

fn byte(n: usize) -> u8 {
    u8::try_from(n).expect("a small index")
}
