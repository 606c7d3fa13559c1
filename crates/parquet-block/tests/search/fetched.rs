//! What a lookup fetches: no more than it needs.

use std::path::Path;

use bytes::Bytes;
use model::{Labels, MatchOp, Matcher};
use parquet::{basic::Compression, file::properties::WriterVersion};
use parquet_block::{LocalShard, Lookup, Projection, RowRanges, ShardFile, Step};

use crate::{
    layout::{Layout, Values, write_shard},
    rows_of,
};

#[test]
fn a_projection_and_a_few_rows_read_only_what_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout {
        version: WriterVersion::PARQUET_2_0,
        compression: Compression::UNCOMPRESSED,
        encoding: Values::Dictionary,
        page_rows: 10,
        group_rows: 1000,
        bound_bytes: 16,
        bloom: false,
    };
    let series: Vec<_> = (0..100)
        .map(|i| Labels::from_pairs([("__name__", "m".to_owned()), ("a", format!("{i:03}"))]))
        .collect();
    let local = write_shard(dir.path(), &layout, &series);
    let rows: RowRanges = [7..9, 42..43].into_iter().collect();
    let only = Projection::Only(vec!["a".into()]);
    let labels = local.answer(local.shard().labels(0, rows, only)).unwrap();
    let values: Vec<_> = labels
        .iter()
        .map(|l| (l.len(), l.get("a").unwrap()))
        .collect();
    assert_eq!(values, ["007", "008", "042"].map(|a| (1, a.as_bytes())));
}

/// Answers a lookup from the labels file, and tells how many bytes each step fetched.
fn fetched<L: Lookup>(dir: &Path, mut lookup: L) -> (L::Answer, Vec<usize>) {
    let file = Bytes::from(std::fs::read(dir.join("0.labels.parquet")).unwrap());
    let mut steps = Vec::new();
    loop {
        match lookup.next().unwrap() {
            Step::Done(answer) => return (answer, steps),
            Step::Fetch { file: of, ranges } => {
                assert_eq!(of, ShardFile::Labels);
                let bytes: Vec<Bytes> = ranges
                    .into_iter()
                    .map(|range| {
                        let at = |place| usize::try_from(place).unwrap();
                        file.slice(at(range.start)..at(range.end))
                    })
                    .collect();
                steps.push(bytes.iter().map(Bytes::len).sum());
                lookup.supply(bytes).unwrap();
            }
        }
    }
}

enum Bloom {
    None,
    Filter,
}

/// 20 metrics of 1,000 series each; `id` differs in all of them, `odd` is on every other one of one metric.
fn large_shard(dir: &Path, bloom: Bloom) -> (LocalShard, Vec<Labels>) {
    let layout = Layout {
        version: WriterVersion::PARQUET_2_0,
        compression: Compression::UNCOMPRESSED,
        encoding: Values::Dictionary,
        page_rows: 500,
        group_rows: 20_000,
        bound_bytes: 16,
        bloom: matches!(bloom, Bloom::Filter),
    };
    let series: Vec<_> = (0..20_000)
        .map(|i| {
            let odd = if i / 1000 == 7 && i % 2 == 1 {
                "yes"
            } else {
                ""
            };
            Labels::from_pairs([
                ("__name__", format!("metric_{:02}", i / 1000)),
                ("id", format!("{:020}", (i * 7919) % 20_011)),
                ("odd", odd.to_owned()),
            ])
        })
        .collect();
    (write_shard(dir, &layout, &series), series)
}

#[test]
fn a_large_dictionary_is_read_before_the_pages_it_may_spare() {
    let dir = tempfile::tempdir().unwrap();
    let (local, series) = large_shard(dir.path(), Bloom::None);
    let shard = local.shard();
    let equal = |name: &str, value: &str| Matcher::new(MatchOp::Equal, name, value).unwrap();

    let (found, steps) = fetched(
        dir.path(),
        shard.search(&[equal("id", "00000000000000005000+")]),
    );
    assert!(found.is_empty());
    assert!(
        matches!(steps[..], [dictionary] if dictionary >= 20_000 * 24),
        "{steps:?}"
    );

    let id = str::from_utf8(series[12_345].get("id").unwrap()).unwrap();
    let (found, steps) = fetched(dir.path(), shard.search(&[equal("id", id)]));
    assert_eq!(rows_of(&found, 20_000), [12_345]);
    assert_eq!(steps.len(), 2, "{steps:?}");

    // The name is decided by bounds, and leaves two pages of ids.
    let matchers = [equal("id", id), equal("__name__", "metric_12")];
    let (found, steps) = fetched(dir.path(), shard.search(&matchers));
    assert_eq!(rows_of(&found, 20_000), [12_345]);
    assert!(steps.len() == 2 && steps[1] < 5_000, "{steps:?}");

    let other = [equal("id", id), equal("__name__", "metric_11")];
    assert!(fetched(dir.path(), shard.search(&other)).0.is_empty());
    let none = [equal("id", id), equal("__name__", "metric_20")];
    assert_eq!(fetched(dir.path(), shard.search(&none)), (vec![], vec![]));
}

#[test]
fn a_bloom_filter_spares_the_dictionary_of_values_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (local, series) = large_shard(dir.path(), Bloom::Filter);
    let search = |value: &str| {
        let equal = Matcher::new(MatchOp::Equal, "id", value).unwrap();
        fetched(dir.path(), local.shard().search(&[equal]))
    };
    let (found, steps) = search("00000000000000005000+");
    assert!(found.is_empty());
    assert!(matches!(steps[..], [bloom] if bloom < 150_000), "{steps:?}");
    for row in (0..20_000).step_by(1_111) {
        let (found, steps) = search(str::from_utf8(series[row].get("id").unwrap()).unwrap());
        assert_eq!(rows_of(&found, 20_000), [row]);
        assert_eq!(steps.len(), 3, "{steps:?}");
    }
}

#[test]
fn columns_that_are_large_are_read_only_if_the_rows_have_them() {
    let dir = tempfile::tempdir().unwrap();
    let (local, series) = large_shard(dir.path(), Bloom::None);
    let read = |rows: RowRanges, projection: Projection| {
        fetched(dir.path(), local.shard().labels(0, rows, projection))
    };
    for rows in [
        RowRanges::from(3..5),
        [7_000..7_003, 19_999..20_000].into_iter().collect(),
        RowRanges::from(6_998..7_002),
    ] {
        let (labels, steps) = read(rows.clone(), Projection::All);
        assert!(
            labels
                .iter()
                .eq(rows.rows().map(|row| &series[row as usize]))
        );
        assert_eq!(steps.len(), 2, "{steps:?}");
    }
    let only = |name: &str| Projection::Only(vec![name.into()]);
    let (labels, steps) = read(RowRanges::all(7_002), only("odd"));
    assert_eq!(labels.iter().filter(|l| !l.is_empty()).count(), 1);
    // Small, so it is read without asking, and pages of nulls are not.
    assert!(matches!(steps[..], [read] if read < 1_000), "{steps:?}");
    let (labels, steps) = read(RowRanges::all(7_000), only("odd"));
    assert!(steps.is_empty() && labels.len() == 7_000, "{steps:?}");
}
