//! Pages that are kept decoded: they answer without the stored bytes, and only where they belong.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{collections::HashMap, ops::Range, path::Path, sync::Arc};

use bytes::Bytes;
use model::{AggregateSet, Labels, MatchOp, Matcher, TimeRange};
use parking_lot::Mutex;
use parquet_block::{
    DecodedPage, DecodedPages, Footer, FooterRead, Lookup, Projection, Shard, ShardFile, Step,
};
use tsdb::Chunk;

/// Keeps all pages of a file.
#[derive(Debug, Default)]
struct Kept(Mutex<HashMap<Range<u64>, DecodedPage>>);

/// Gives a page of another kind than is wanted.
#[derive(Debug)]
struct Mistaken(HashMap<Range<u64>, DecodedPage>);

impl DecodedPages for Kept {
    fn get(&self, range: &Range<u64>) -> Option<DecodedPage> {
        self.0.lock().get(range).cloned()
    }

    fn put(&self, range: &Range<u64>, stored: &Bytes, page: &DecodedPage) {
        assert_eq!(stored.len() as u64, range.end - range.start);
        let before = self.0.lock().insert(range.clone(), page.clone());
        assert!(before.is_none(), "{range:?} was decoded twice");
    }
}

impl Mistaken {
    fn is_dictionary(page: &DecodedPage) -> bool {
        format!("{page:?}").contains("role: Dictionary")
    }
}

impl DecodedPages for Mistaken {
    fn get(&self, range: &Range<u64>) -> Option<DecodedPage> {
        let wanted = Self::is_dictionary(self.0.get(range)?);
        let others = self.0.values();
        let mut others = others.filter(|page| Self::is_dictionary(page) != wanted);
        Some(others.next().unwrap().clone())
    }

    fn put(&self, _: &Range<u64>, _: &Bytes, _: &DecodedPage) {}
}

type Answers = (usize, Vec<Labels>, Vec<Vec<Chunk>>);

fn footer(name: &str, file: &Bytes) -> Footer {
    let size = file.len() as u64;
    let footer = match Footer::decode(name, size, file.clone()).unwrap() {
        FooterRead::Done(footer) => Some(footer),
        FooterRead::Short { .. } => None,
    };
    footer.unwrap()
}

fn answer<L: Lookup>(files: &[Bytes; 2], mut lookup: L) -> L::Answer {
    loop {
        match lookup.next().unwrap() {
            Step::Done(answer) => return answer,
            Step::Fetch { file, ranges } => {
                let file = match file {
                    ShardFile::Labels => &files[0],
                    ShardFile::Chunks => &files[1],
                };
                let place = |at: u64| usize::try_from(at).unwrap();
                let bytes = ranges.iter();
                let bytes = bytes.map(|range| file.slice(place(range.start)..place(range.end)));
                lookup.supply(bytes.collect()).unwrap();
            }
        }
    }
}

/// A search, and labels and chunks of the first row group.
fn answers(shard: &Shard, files: &[Bytes; 2]) -> Answers {
    let names = [Matcher::new(MatchOp::Regex, "__name__", ".*e.*").unwrap()];
    let found = answer(files, shard.search(&names));
    let (group, rows) = shard.everything().remove(0);
    let labels = shard.labels(group, rows.clone(), Projection::All);
    let chunks = shard.chunks(group, rows, TimeRange::ALL, AggregateSet::ALL);
    (
        found.iter().map(|(_, rows)| rows.len()).sum(),
        answer(files, labels),
        answer(files, chunks),
    )
}

#[test]
fn each_page_is_decoded_once_and_taken_only_for_what_it_is() {
    let block = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/golden/parquet-common/floats/block"
    ));
    let files = ["labels", "chunks"]
        .map(|kind| Bytes::from(std::fs::read(block.join(format!("0.{kind}.parquet"))).unwrap()));
    let footers = || [footer("labels", &files[0]), footer("chunks", &files[1])];
    let [labels, chunks] = footers();
    let expected = answers(&Shard::open(labels, chunks).unwrap(), &files);
    assert!(expected.0 > 0 && !expected.2.is_empty());

    let kept = [Arc::new(Kept::default()), Arc::new(Kept::default())];
    let [labels, chunks] = footers();
    let shard = Shard::open(
        labels.with_decoded(Arc::<Kept>::clone(&kept[0])),
        chunks.with_decoded(Arc::<Kept>::clone(&kept[1])),
    )
    .unwrap();
    assert_eq!(answers(&shard, &files), expected);
    // The stored bytes are not looked at again.
    let nothing = files.clone().map(|file| Bytes::from(vec![0; file.len()]));
    assert_eq!(answers(&shard, &nothing), expected);

    let [labels, chunks] = footers();
    let mistaken = kept.map(|kept| Mistaken(kept.0.lock().clone()));
    let [of_labels, _] = mistaken.map(Arc::new);
    let shard = Shard::open(labels.with_decoded(of_labels), chunks).unwrap();
    assert_eq!(answers(&shard, &files), expected);
}
