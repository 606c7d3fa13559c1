//! Each bit of small files flipped, one by one, with what `meta.json` says of the files: whoever reads them gets the right
//! answer, or an error that names the file.

mod ways;

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use model::{FileSum, Labels, MatchOp, ParquetShard, Timestamp};
use parquet_block::{
    BloomFilters, Contents, Error, Footer, FooterRead, LocalShard, Lookup, PageOptions, Shard,
    Slices, Step, WriteOptions, envelope,
};
use rayon::prelude::*;
use tsdb::{AggregateChunk, Chunk, DownsampledChunk, Encoding};

use self::ways::{Answer, Way, matcher, ways};
use super::{Files, Series, filters::series_with_ids, labels};

const GROUP_ROWS: usize = 5;

/// Pages of a few rows, of which some are compressed.
fn options() -> WriteOptions {
    let page = PageOptions {
        bytes: 200,
        rows: 4,
        zstd_level: 1,
        least_saving: 10,
    };
    WriteOptions {
        labels: page,
        chunks: page,
        bloom_filters: BloomFilters::All,
    }
}

fn slices() -> Slices {
    Slices::new(Timestamp(0), Timestamp(2000), 1000)
}

/// Eight series of three metrics, some without a label that others have.
fn series(contents: Contents) -> Vec<Series> {
    let of_row = |i: u8| {
        let (name, instance) = (format!("metric_{}", i / 3), format!("10.0.0.{i:03}:9090"));
        let mut pairs = vec![("__name__", &*name), ("instance", &*instance)];
        if i.is_multiple_of(3) {
            pairs.push(("job", "a long name that many rows have"));
        }
        if i == 6 {
            pairs.push(("rare", "once"));
        }
        (Labels::from_pairs(pairs), values(contents, i))
    };
    (0..8).map(of_row).collect()
}

fn values(contents: Contents, i: u8) -> Vec<Vec<u8>> {
    let data = move |slice: u8, n: u8| -> Vec<u8> { vec![i, slice, n, i.wrapping_mul(31)] };
    let times = |slice: u8| [0, 900].map(|at| Timestamp(i64::from(slice) * 1000 + at));
    let mut values = Vec::new();
    match contents {
        Contents::Chunks => {
            for slice in 0..2 {
                let [min, max] = times(slice);
                let encoding = Encoding::Xor;
                let data = data(slice, 0).into();
                let chunk = Chunk {
                    encoding,
                    min,
                    max,
                    data,
                };
                let mut value = Vec::new();
                envelope::encode(&[chunk], &mut value);
                values.push(value);
            }
        }
        Contents::Aggregates => {
            let chunks = [0, 1].map(|slice| {
                let [min, max] = times(slice);
                let aggregates = [0, 1, 2, 3, 4].map(|n| {
                    let encoding = Encoding::Xor;
                    let data = data(slice, n).into();
                    Some(AggregateChunk { encoding, data })
                });
                DownsampledChunk {
                    min,
                    max,
                    aggregates,
                }
            });
            envelope::encode_aggregates(&chunks, &slices(), &mut values);
        }
    }
    values
}

/// Files in a folder, of which a bit may be another.
struct Flipping {
    dir: PathBuf,
    contents: Contents,
    paths: [PathBuf; 2],
    handles: [File; 2],
    listed: ParquetShard,
}

impl Flipping {
    fn new(dir: &Path, files: &Files) -> Self {
        files.put(dir);
        let paths = files.contents.files(0).map(|name| dir.join(name));
        let open = |path: &PathBuf| OpenOptions::new().read(true).write(true).open(path);
        Self {
            dir: dir.to_owned(),
            contents: files.contents,
            handles: paths.each_ref().map(|path| open(path).unwrap()),
            paths,
            listed: files.shard.clone(),
        }
    }

    fn flip(&self, file: usize, bit: usize) {
        let at = u64::try_from(bit / 8).unwrap();
        let mut byte = [0];
        self.handles[file].read_exact_at(&mut byte, at).unwrap();
        byte[0] ^= 1 << (bit % 8);
        self.handles[file].write_all_at(&byte, at).unwrap();
    }

    fn open(&self) -> Result<LocalShard, Error> {
        LocalShard::open(&self.dir, 0, self.contents, &self.listed)
    }
}

/// Flips each bit of a file of a shard; tells how many flips no reader noticed.
fn flip_all(contents: Contents, file: usize) -> usize {
    let files = Files::write_contents(
        contents,
        &series(contents),
        slices(),
        &options(),
        GROUP_ROWS,
    )
    .unwrap();
    let ways = ways();
    let dir = tempfile::tempdir().unwrap();
    let local = Flipping::new(dir.path(), &files).open().unwrap();
    let expected: Vec<_> = ways.iter().map(|way| way(&local).unwrap()).collect();
    let bits = [&files.labels, &files.chunks][file].len() * 8;
    let part = bits.div_ceil(8);
    let parts = (0..8_usize).into_par_iter().map(|number| {
        let dir = tempfile::tempdir().unwrap();
        let flipping = Flipping::new(dir.path(), &files);
        let bits = number * part..bits.min((number + 1) * part);
        let unnoticed = bits.filter(|bit| {
            flipping.flip(file, *bit);
            let is_noticed = is_noticed(&flipping, &ways, &expected, (file, *bit));
            flipping.flip(file, *bit);
            !is_noticed
        });
        unnoticed.count()
    });
    parts.sum()
}

/// Whether a reader gets an error. None may get a wrong answer.
fn is_noticed(
    flipping: &Flipping,
    ways: &[Way],
    expected: &[Answer],
    (file, bit): (usize, usize),
) -> bool {
    let named = |error: &Error| {
        let text = error.to_string();
        let path = flipping.paths[file].to_str().unwrap();
        assert!(text.starts_with(path), "{file} {bit}: {text}");
    };
    let local = match flipping.open() {
        Ok(local) => local,
        Err(error) => {
            named(&error);
            return true;
        }
    };
    let mut is_noticed = false;
    for (way, expected) in ways.iter().zip(expected) {
        match way(&local) {
            Ok(answer) => assert_eq!(&answer, expected, "file {file}, bit {bit}"),
            Err(error) => {
                named(&error);
                is_noticed = true;
            }
        }
    }
    is_noticed
}

#[test]
fn no_flipped_bit_of_a_labels_file_makes_another_answer() {
    // Nobody reads the magic at the beginning, and in a file as small as this nor hashes and bloom filters.
    let unnoticed = flip_all(Contents::Chunks, 0);
    assert!(unnoticed < 800 * 8, "{unnoticed}");
}

#[test]
fn no_flipped_bit_of_a_chunks_or_aggregates_file_makes_another_answer() {
    for contents in [Contents::Chunks, Contents::Aggregates] {
        assert_eq!(flip_all(contents, 1), 4 * 8, "{contents:?}");
    }
}

#[test]
fn no_flipped_bit_of_a_bloom_filter_rules_a_value_out() {
    let series = series_with_ids(9000);
    let slices = Slices::new(Timestamp(0), Timestamp(1000), 1000);
    let files = Files::write(&series, slices, &WriteOptions::default(), series.len()).unwrap();
    let (labels, chunks) = (files.labels.into(), files.chunks.into());
    let open = |name: &str, file: &Bytes, listed: Option<FileSum>| {
        let read = Footer::decode_listed(name, file.len() as u64, file.clone(), listed.as_ref());
        match read {
            Ok(FooterRead::Done(footer)) => footer,
            other => panic!("{other:?}"),
        }
    };
    let shard = &files.shard;
    let labels_footer = open("labels", &labels, shard.labels_sum());
    let chunks_footer = open("chunks", &chunks, shard.chunks_sum());
    let shard = Shard::open(labels_footer, chunks_footer).unwrap();
    let id = str::from_utf8(series[4321].0.get("id").unwrap()).unwrap();
    let matchers = [matcher(MatchOp::Equal, "id", id)];
    let asked = |filter: Option<Bytes>| {
        let mut search = shard.search(&matchers);
        let Step::Fetch { ranges, .. } = search.next().unwrap() else {
            panic!("nothing is asked for");
        };
        assert_eq!(ranges.len(), 1);
        let bytes = |at: u64| usize::try_from(at).unwrap();
        let range = bytes(ranges[0].start)..bytes(ranges[0].end);
        let filter = filter.unwrap_or_else(|| labels.slice(range));
        search.supply(vec![filter.clone()]).unwrap();
        (
            filter,
            search.next().map(|step| matches!(step, Step::Fetch { .. })),
        )
    };
    // It may be there: the dictionary is asked for.
    let (filter, next) = asked(None);
    assert!(filter.len() > 10_000 && next.unwrap());
    (0..filter.len()).into_par_iter().for_each(|byte| {
        let bit = byte * 8 + byte % 8;
        let mut flipped = filter.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = asked(Some(flipped.into())).1.unwrap_err().to_string();
        assert!(error.starts_with("labels: at byte "), "{error}");
        assert!(error.contains("bloom filter: checksum "), "{error}");
    });
}

#[test]
fn all_heads_are_compared_without_reading_a_value() {
    let contents = Contents::Chunks;
    let files = Files::write(&series(contents), slices(), &options(), GROUP_ROWS).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let flipping = Flipping::new(dir.path(), &files);
    flipping.open().unwrap().check_heads().unwrap();
    let listed = [files.shard.labels_sum(), files.shard.chunks_sum()];
    for (file, listed) in listed.into_iter().enumerate() {
        let listed = listed.unwrap();
        let footer = usize::try_from(listed.size - listed.footer.bytes).unwrap();
        let mut noticed = 0;
        for byte in 4..footer {
            flipping.flip(file, byte * 8 + 3);
            if let Err(error) = flipping.open().unwrap().check_heads() {
                let error = error.to_string();
                assert!(error.contains(["labels", "chunks"][file]), "{error}");
                noticed += 1;
            }
            flipping.flip(file, byte * 8 + 3);
        }
        // Headers and filters take a third of files as small as these, and more.
        let all = footer / 3..footer - 50;
        assert!(all.contains(&noticed), "{noticed} of {footer}");
    }
}

#[test]
fn a_footer_that_is_not_the_one_that_is_listed_is_named_before_it_is_decoded() {
    let contents = Contents::Chunks;
    let files = Files::write(&series(contents), slices(), &options(), GROUP_ROWS).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut flipping = Flipping::new(dir.path(), &files);
    let listed = flipping.listed.labels_footer.unwrap();
    let path = flipping.paths[0].display().to_string();
    let start = files.shard.labels_bytes - listed.bytes;
    let error = |flipping: &Flipping| flipping.open().unwrap_err().to_string();

    // Of the length of the metadata.
    let bit = files.labels.len() * 8 - 40;
    flipping.flip(0, bit);
    let text = error(&flipping);
    let expected = format!(
        "{path}: at byte {start}: footer of {} bytes: XXH64 {} expected as in meta.json, found ",
        listed.bytes, listed.xxh64
    );
    assert!(text.starts_with(&expected), "{text}");
    // As a block is read that does not tell.
    files.reopen(dir.path()).unwrap_err();
    flipping.flip(0, bit);
    flipping.open().unwrap();
    files.reopen(dir.path()).unwrap();

    flipping.listed.labels_bytes += 1;
    let expected = format!(
        "{path}: at byte {start}: a file of {} bytes expected as in meta.json, found one of {}",
        files.labels.len() + 1,
        files.labels.len()
    );
    assert_eq!(error(&flipping), expected);
    flipping.listed.labels_bytes -= 1;
    for bytes in [u64::MAX, files.shard.labels_bytes + 1, 3] {
        flipping.listed.labels_footer.as_mut().unwrap().bytes = bytes;
        let text = error(&flipping);
        assert!(text.contains(&format!("footer of {bytes} bytes")), "{text}");
    }
}

#[test]
fn labels_of_no_series_make_no_difference() {
    // A footer begins at the column indexes, also where there are none of labels.
    let series = [(labels([]), vec![vec![], vec![]])];
    let files = Files::write(&series, slices(), &options(), GROUP_ROWS).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let local = Flipping::new(dir.path(), &files).open().unwrap();
    assert_eq!(local.read_all().unwrap().len(), 1);
}
