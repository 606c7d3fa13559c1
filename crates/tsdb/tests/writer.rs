//! Blocks that we write, at the edges of what a block can hold, read back.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

use model::{BlockMeta, Labels, MatchOp, Matcher, Timestamp};
use tsdb::{Block, BlockWriter, Chunk, Encoding, SeriesEntry, encode_xor, segment_file_name};

type Series = (Labels, Vec<Chunk>);

fn meta() -> BlockMeta {
    let text = r#"{"ulid":"01HF8J5JG0RAVB4GMS32W7ZJ2B","minTime":0,"maxTime":7200000,
        "compaction":{"level":1},"version":1,"thanos":{"labels":{"cluster":"eu"}}}"#;
    BlockMeta::decode(text.as_bytes()).unwrap()
}

/// Where segments end in all but the tests of that.
const FAR: u64 = 512 << 20;

fn write(dir: &Path, series: &[Series], segment_size: u64) -> BlockMeta {
    let symbols: BTreeSet<&[u8]> = series
        .iter()
        .flat_map(|(labels, _)| labels.iter())
        .flat_map(|(name, value)| [name, value])
        .collect();
    let mut writer = BlockWriter::create(dir, symbols)
        .unwrap()
        .with_segment_size(segment_size);
    for (labels, chunks) in series {
        writer.add_series(labels, chunks).unwrap();
    }
    writer.finish(meta()).unwrap()
}

fn read(block: &Block) -> Vec<Series> {
    let mut all = block.refs_by_name().unwrap();
    all.sort();
    let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let mut entry = SeriesEntry::default();
    all.into_iter()
        .map(|reference| {
            series.read(reference, &mut entry).unwrap();
            let text = |symbol| block.symbols().get(symbol);
            let labels = entry.labels.iter().map(|(n, v)| (text(*n), text(*v)));
            let read = entry.chunks.iter().map(|meta| chunks.read(meta).unwrap());
            (Labels::from_sorted(labels), read.collect())
        })
        .collect()
}

/// A chunk of 100 samples, a millisecond apart.
fn chunk(min: i64) -> Chunk {
    let times: Vec<i64> = (min..min + 100).collect();
    let values: Vec<f64> = times.iter().map(|t| (*t as f64).sqrt()).collect();
    Chunk {
        encoding: Encoding::Xor,
        min: Timestamp(min),
        max: Timestamp(min + 99),
        data: encode_xor(&times, &values),
    }
}

fn equal(name: &str, value: &str) -> Matcher {
    Matcher::new(MatchOp::Equal, name, value).unwrap()
}

#[test]
fn a_segment_ends_before_the_chunk_that_would_pass_its_limit() {
    let series: Vec<Series> = (0..40)
        .map(|i| {
            let labels = Labels::from_pairs([("__name__", format!("m{i:02}"))]);
            (labels, (0..5).map(|c| chunk(i * 7 + c * 1000)).collect())
        })
        .collect();
    let limit = 16_000;
    let dir = tempfile::tempdir().unwrap();
    let meta = write(dir.path(), &series, limit);
    assert_eq!((meta.stats.num_series, meta.stats.num_chunks), (40, 200));

    let sizes: Vec<u64> = (0..)
        .map_while(|segment| fs::metadata(dir.path().join(segment_file_name(segment))).ok())
        .map(|metadata| metadata.len())
        .collect();
    assert!(sizes.len() > 5, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= limit), "{sizes:?}");
    let longest = meta.thanos.unwrap().index_stats.chunk_max_size;
    let full = sizes.split_last().unwrap().1;
    assert!(
        full.iter().all(|size| size + longest + 10 > limit),
        "{sizes:?}"
    );

    let block = Block::open(dir.path()).unwrap();
    assert!(read(&block) == series);
    assert_eq!(block.chunk_bytes(), sizes.iter().sum::<u64>());
}

#[test]
fn a_chunk_larger_than_a_segment_may_be_has_one_of_its_own() {
    let labels = |name| Labels::from_pairs([("__name__", name)]);
    let series = [
        (labels("a"), vec![chunk(0)]),
        (labels("b"), vec![chunk(5), chunk(500)]),
    ];
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &series, 64);
    for segment in 0..3 {
        assert!(dir.path().join(segment_file_name(segment)).is_file());
    }
    assert!(!dir.path().join(segment_file_name(3)).is_file());
    assert!(read(&Block::open(dir.path()).unwrap()) == series);
}

#[test]
fn a_block_may_be_empty() {
    let dir = tempfile::tempdir().unwrap();
    let meta = write(dir.path(), &[], FAR);
    assert_eq!(meta.stats, model::BlockStats::default());
    let block = Block::open(dir.path()).unwrap();
    assert_eq!(block.refs_by_name().unwrap(), []);
    assert_eq!(block.select(&[]).unwrap(), []);
    assert_eq!(block.select(&[equal("a", "")]).unwrap(), []);
    assert_eq!(block.label_names().count(), 0);
    assert_eq!((block.symbols().len(), block.chunk_bytes()), (0, 0));
}

#[test]
fn a_series_may_have_no_chunks_and_a_chunk_no_samples() {
    let nothing = Chunk {
        data: encode_xor(&[], &[]),
        ..chunk(7)
    };
    let labels = |name| Labels::from_pairs([("__name__", name)]);
    let series = [
        (labels("no chunks"), vec![]),
        (labels("no samples"), vec![nothing]),
        (Labels::from_pairs([("a", "no name")]), vec![chunk(3)]),
    ];
    let dir = tempfile::tempdir().unwrap();
    let stats = write(dir.path(), &series, FAR).stats;
    assert_eq!((stats.num_series, stats.num_chunks), (3, 2));
    assert_eq!(stats.num_samples, 100);
    let block = Block::open(dir.path()).unwrap();
    assert!(read(&block) == series);
    assert_eq!(block.select(&[equal("__name__", "")]).unwrap().len(), 1);
}

#[test]
fn names_and_values_may_be_of_any_characters_and_of_megabytes() {
    let (long, longer) = ("ж".repeat(1 << 19), "x".repeat(1 << 20));
    let mut series: Vec<Series> = [
        vec![
            ("__name__", "größe.東京"),
            ("service.name", "say \"hi\" \\\n"),
        ],
        vec![("__name__", "größe.東京"), ("service.name", &*long)],
        vec![("__name__", "größe.東京"), ("service.name", &*longer)],
        vec![("__name__", "größe.東京"), ("\u{10ffff}", "\0")],
        vec![("__name__", &*longer), (&*long, "a")],
    ]
    .into_iter()
    .zip(0..)
    .map(|(pairs, i)| (Labels::from_pairs(pairs), vec![chunk(i)]))
    .collect();
    series.sort_by(|a, b| a.0.cmp(&b.0));
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &series, FAR);
    let block = Block::open(dir.path()).unwrap();
    assert!(read(&block) == series);

    for (labels, _) in &series {
        let all: Vec<Matcher> = labels
            .iter()
            .map(|(n, v)| Matcher::new(MatchOp::Equal, str::from_utf8(n).unwrap(), v).unwrap())
            .collect();
        assert_eq!(block.select(&all).unwrap().len(), 1);
    }
    let values = block.header().label_values("service.name").unwrap();
    assert!(values == ["say \"hi\" \\\n", &longer, &long].map(str::as_bytes));
    assert!(
        block
            .label_names()
            .eq(["__name__", "service.name", &*long, "\u{10ffff}"].map(str::as_bytes))
    );
    let tokyo = Matcher::new(MatchOp::Regex, "__name__", "gr.+東京").unwrap();
    assert_eq!(block.select(&[tokyo]).unwrap().len(), 4);
}

#[test]
fn names_and_values_need_not_be_utf_8() {
    let mut series: Vec<Series> = [
        vec![(&b"__name__"[..], &b"m"[..]), (b"pod", b"\xffA\xfe")],
        vec![(b"__name__", b"m"), (b"pod", b"a")],
        vec![(b"__name__", b"m\xc3"), (b"\x80\xff", "é".as_bytes())],
    ]
    .into_iter()
    .map(|pairs| (Labels::from_pairs(pairs), vec![chunk(0)]))
    .collect();
    series.sort_by(|a, b| a.0.cmp(&b.0));
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &series, FAR);
    let block = Block::open(dir.path()).unwrap();
    assert!(read(&block) == series);
    let values = block.header().label_values("pod").unwrap();
    assert_eq!(values, [&b"a"[..], b"\xffA\xfe"]);
    let names: Vec<&[u8]> = block.label_names().collect();
    assert_eq!(names, [&b"__name__"[..], b"pod", b"\x80\xff"]);
    let equal = Matcher::new(MatchOp::Equal, "pod", *b"\xffA\xfe").unwrap();
    let pattern = Matcher::new(MatchOp::Regex, "pod", ".A.").unwrap();
    for matcher in [equal, pattern] {
        assert_eq!(block.select(&[matcher]).unwrap().len(), 1);
    }
}

#[test]
fn a_label_with_an_empty_value_is_no_label() {
    let labels = Labels::from_pairs([("__name__", "m"), ("pod", "")]);
    assert_eq!(labels.len(), 1);
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[(labels, vec![chunk(0)])], FAR);
    let block = Block::open(dir.path()).unwrap();
    assert!(block.label_names().eq([b"__name__"]));
    assert_eq!(block.select(&[equal("pod", "")]).unwrap().len(), 1);
    assert_eq!(block.header().label_value_count("pod").unwrap(), 0);
}

#[test]
fn series_and_chunks_out_of_order_are_refused() {
    let labels = |name| Labels::from_pairs([("__name__", name)]);
    let refused = |labels: &Labels, chunks: &[Chunk]| {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = BlockWriter::create(dir.path(), ["__name__", "a", "b"]).unwrap();
        writer.add_series(&labels_b(), &[chunk(0)]).unwrap();
        let error = writer.add_series(labels, chunks).unwrap_err();
        assert!(!dir.path().join(BlockMeta::FILE).is_file());
        error.to_string()
    };
    assert!(refused(&labels("a"), &[]).contains("series"));
    assert!(refused(&labels("b"), &[]).contains("series"));
    assert!(refused(&labels("c"), &[]).contains("symbol"));
    let later = Labels::from_pairs([("__name__", "b"), ("a", "b")]);
    for chunks in [[chunk(100), chunk(0)], [chunk(0), chunk(99)]] {
        assert!(refused(&later, &chunks).contains("chunk"));
    }
}

fn labels_b() -> Labels {
    Labels::from_pairs([("__name__", "b")])
}
