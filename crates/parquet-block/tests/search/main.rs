//! Random series in files of every encoding that Parquet has for strings, random matchers, and the answers
//! a full scan of the series gives.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]

mod both_formats;
mod condition;
mod fetched;
mod layout;

use std::{collections::BTreeSet, path::Path};

use model::{AggregateSet, Labels, MatchOp, Matcher, ParquetShard, TimeRange};
use parquet_block::{Contents, Error, LocalShard, Projection, Selection};
use proptest::prelude::*;
use tsdb::Chunk;

use crate::{
    condition::any_question,
    layout::{any_layout, write_shard},
};

fn names_of_chunks(chunks: &[Chunk]) -> Vec<String> {
    let names = chunks.iter().map(|c| String::from_utf8(c.data.to_vec()));
    names.map(Result::unwrap).collect()
}

const NAMES: [&str; 6] = ["Z", "__name__", "a", "b", "pod.name", "é"];

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}",
        "a very long common prefix [ab]{1,2}",
        Just("\u{10ffff}\u{10ffff}".to_owned()),
        Just(String::new()),
    ]
}

fn any_series() -> impl Strategy<Value = Vec<Labels>> {
    let labels = prop::collection::vec((prop::sample::select(&NAMES[..]), any_value()), 0..6)
        .prop_map(Labels::from_pairs);
    prop::collection::vec(labels, 1..80).prop_map(|mut series| {
        series.sort_by(|a, b| {
            a.get("__name__")
                .cmp(&b.get("__name__"))
                .then_with(|| a.cmp(b))
        });
        series
    })
}

fn rows_of(selection: &Selection, group_rows: usize) -> Vec<usize> {
    selection
        .iter()
        .flat_map(|(group, rows)| {
            rows.rows()
                .map(move |row| group * group_rows + row as usize)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn searches_find_what_a_full_scan_finds(
        layout in any_layout(),
        series in any_series(),
        queries in prop::collection::vec(prop::collection::vec(any_question(), 1..4), 1..8),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let local = write_shard(dir.path(), &layout, &series);
        let shard = local.shard();

        let scanned = local.read_all().unwrap();
        prop_assert_eq!(scanned.len(), series.len());
        for (row, ((labels, chunks), expected)) in scanned.iter().zip(&series).enumerate() {
            prop_assert_eq!(labels, expected);
            prop_assert_eq!(names_of_chunks(chunks), [format!("{row}/0"), format!("{row}/1")]);
        }

        for asked in queries {
            let matchers: Vec<Matcher> = asked.iter().map(|q| q.matcher.clone()).collect();
            let found = local.answer(shard.search(&matchers)).unwrap();
            let matches = |labels: &Labels| asked.iter().all(|question| question.matches(labels));
            let expected: Vec<usize> = (0..series.len()).filter(|row| matches(&series[*row])).collect();
            prop_assert_eq!(rows_of(&found, layout.group_rows), expected.clone(), "{:?}", matchers);

            let (mut labels, mut chunks) = (Vec::new(), Vec::new());
            for (group, rows) in &found {
                let read = shard.labels(*group, rows.clone(), Projection::All);
                labels.extend(local.answer(read).unwrap());
                let read = shard.chunks(*group, rows.clone(), TimeRange::new(1000, 1099), AggregateSet::ALL);
                prop_assert!(local.answer(read).unwrap().iter().all(Vec::is_empty));
                let read = shard.chunks(*group, rows.clone(), TimeRange::new(1000, 1100), AggregateSet::ALL);
                chunks.extend(local.answer(read).unwrap().iter().map(|c| names_of_chunks(c)));
            }
            prop_assert!(labels.iter().eq(expected.iter().map(|row| &series[*row])));
            let second: Vec<_> = expected.iter().map(|row| vec![format!("{row}/1")]).collect();
            prop_assert_eq!(chunks, second);

            let names: BTreeSet<&[u8]> =
                labels.iter().flat_map(|l| l.iter().map(|(name, _)| name)).collect();
            let read = shard.label_names_of(found.clone());
            prop_assert!(local.answer(read).unwrap().iter().eq(names.iter()));
            for name in NAMES {
                let values: BTreeSet<&[u8]> = labels.iter().filter_map(|l| l.get(name)).collect();
                let read = shard.label_values_of(found.clone(), name);
                prop_assert!(local.answer(read).unwrap().iter().eq(values.iter()));
            }
        }
        for name in NAMES {
            let values: BTreeSet<&[u8]> = series.iter().filter_map(|l| l.get(name)).collect();
            let read = shard.label_values_of(shard.everything(), name);
            prop_assert!(local.answer(read).unwrap().iter().eq(values.iter()));
        }
    }
}

/// Asks for everything there is, and gives up at the first error.
fn ask_everything(dir: &Path) -> Result<usize, Error> {
    let local = LocalShard::open(dir, 0, Contents::Chunks, &ParquetShard::default())?;
    let shard = local.shard();
    let mut answers = 0;
    for name in NAMES {
        answers += local
            .answer(shard.label_values_of(shard.everything(), name))?
            .len();
        for (op, value) in [
            (MatchOp::NotEqual, ""),
            (MatchOp::Regex, "a.*|"),
            (MatchOp::Equal, "b"),
        ] {
            let matcher = Matcher::new(op, name, value).unwrap();
            let found = local.answer(shard.search(&[matcher]))?;
            answers += found.len() + local.answer(shard.label_names_of(found))?.len();
        }
    }
    let rows = local.read_all()?;
    answers += rows.iter().map(|(_, chunks)| chunks.len()).sum::<usize>();
    Ok(answers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// These files carry no checksums, so damage reaches every decoder.
    #[test]
    fn damage_anywhere_is_an_error_or_a_wrong_answer_but_no_panic(
        layout in any_layout(),
        series in any_series(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        write_shard(dir.path(), &layout, &series);
        for (place, change) in damage {
            for name in Contents::Chunks.files(0) {
                let file = dir.path().join(name);
                let good = std::fs::read(&file).unwrap();
                let mut bytes = good.clone();
                bytes[place.index(good.len())] ^= change;
                std::fs::write(&file, bytes).unwrap();
                if let Err(error) = ask_everything(dir.path()) {
                    prop_assert!(error.to_string().contains(".parquet"), "{}", error);
                }
                std::fs::write(&file, good).unwrap();
            }
        }
        prop_assert!(ask_everything(dir.path()).is_ok());
    }
}
