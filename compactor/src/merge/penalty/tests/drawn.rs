//! Replicas and results drawn as lines: a column is five seconds, a digit a float, a letter a
//! histogram (small: integer counts, capital: fractions), and at `|`, which takes no time, a chunk ends.

use ::model::Timestamp;

use super::*;

const COLUMN: i64 = 5000;

fn read(line: &str) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut time = 0;
    for part in line.split('|') {
        let mut samples = Vec::new();
        for letter in part.chars() {
            let value = match letter {
                '0'..='9' => Some(value(Kind::Float, letter.to_digit(10).unwrap())),
                'a'..='z' => Some(value(Kind::Integer, u32::from(letter))),
                'A'..='Z' => Some(value(Kind::Fraction, u32::from(letter))),
                _ => None,
            };
            samples.extend(value.map(|value| Sample {
                time: Timestamp(time),
                value,
            }));
            time += COLUMN;
        }
        chunks.extend(encoded(&samples));
    }
    chunks
}

fn draw(chunks: &[Chunk]) -> String {
    let mut line = String::new();
    for (time, kind, number) in keys(chunks) {
        while i64::try_from(line.len()).unwrap() < time / COLUMN {
            line.push('.');
        }
        let number = u8::try_from(number).unwrap();
        line.push(char::from(if kind == Kind::Float {
            b'0' + number
        } else {
            number
        }));
    }
    line
}

/// Draws the merge of replicas, which have this number each.
fn merge(replicas: &[&str]) -> String {
    let chunks = replicas.iter().enumerate().flat_map(|(source, line)| {
        let chunks = read(line.trim_end_matches('.'));
        chunks.into_iter().map(move |chunk| (source, chunk))
    });
    draw(&merged(chunks.collect()))
}

macro_rules! drawn {
    ($($name:ident: [$($replica:literal),+] => $result:literal;)+) => {$(
        #[test]
        fn $name() {
            assert_eq!(merge(&[$($replica),+]), $result);
        }
    )+};
}

drawn! {
    a_replica_is_followed_while_it_has_samples: [
        "1..1..1..1..1..1..1",
        ".2..2..2..2..2..2"
    ] => "1..1..1..1..1..1..1";

    the_first_that_has_a_sample_is_followed: [
        ".1..1..1..1..1",
        "2..2..2..2..2"
    ] => "2..2..2..2..2";

    // After 1 at column 9 the other is passed over for 30 seconds, to column 15.
    in_a_gap_another_replica_is_followed: [
        "1..1..1..1..............1..1..1",
        ".2..2..2..2..2..2..2..2..2..2..2"
    ] => "1..1..1..1......2..2..2..2..2..2";

    // When the second ends, the first is passed over for 30 seconds more, to column 31.
    a_replica_that_comes_back_is_followed_once_the_other_ends: [
        "1..1..1..1...............1..1..1..1..1..1",
        ".2..2..2..2..2..2..2..2..2"
    ] => "1..1..1..1......2..2..2..2........1..1..1";

    where_both_have_a_gap_there_is_one: [
        "1..1..1..............1..1..1",
        ".2..2..2..............2..2..2"
    ] => "1..1..1..............1..1..1";

    of_three_with_gaps_one_after_another_each_is_followed_in_turn: [
        "1..1..1",
        ".2..2..2..2..2..2",
        ".3..3..3..3..3..3..3..3..3..3..3..3"
    ] => "1..1..1......2..2...........3..3..3";

    // What the step is, is not known after one sample: five seconds are passed over.
    after_the_first_sample_another_replica_may_be_followed: [
        "1..1..1..1",
        "..2..2..2..2"
    ] => "1.2..2..2..2";

    a_replica_that_starts_late_is_not_followed_while_the_first_goes_on: [
        "1..1..1..1..1..1",
        ".......2..2..2..2..2..2..2"
    ] => "1..1..1..1..1..1......2..2";

    // A counter of the second replica that is behind makes no step back while the first is there.
    counters_of_different_value_are_not_mixed: [
        "5..6..7..8..9",
        ".1..2..3..4..5"
    ] => "5..6..7..8..9";

    at_equal_times_the_first_counts: [
        "1..1..1..1",
        "2..2..2..2",
        "3..3..3..3"
    ] => "1..1..1..1";

    // Which is the first depends, as in Thanos, on how a heap moves what is equal: here 0 2 1, then 2 1 0.
    at_equal_times_another_may_be_the_first_later: [
        "1..1..1|.....1..1..1",
        "2..2..2|.....2..2..2",
        "3..3..3|.....3..3..3"
    ] => "1..1..1.....3..3..3";

    the_same_samples_are_kept_once: [
        "1..2..3..4",
        "1..2..3..4"
    ] => "1..2..3..4";

    chunks_that_do_not_overlap_are_not_merged: [
        "1..1..1|.............1..1|",
        ".........2..2..2"
    ] => "1..1..1..2..2..2....1..1";

    // Chunk by chunk, not replica by replica: the chunk that goes on with the first replica is
    // passed over as much as the other replica is.
    the_end_of_a_chunk_may_cost_samples_as_in_thanos: [
        "1..1..1..1|..1..1..1..1",
        ".2..2..2..2..2|..2..2"
    ] => "1..1..1..1......2..2";

    histograms_are_merged_as_floats_are: [
        "a..b..c..d..............e..f",
        ".b..c..d..e..f..g..h..i..j"
    ] => "a..b..c..d......g..h..i..j";

    fractions_take_the_place_of_integers_in_a_gap: [
        "a..b..c..d..............e..f",
        ".B..C..D..E..F..G..H..I..J"
    ] => "a..b..c..d......G..H..I..J";

    // Thanos gives the floats only.
    histograms_take_the_place_of_floats_in_a_gap: [
        "1..1..1..1",
        ".b..c..d..e..f..g..h..i"
    ] => "1..1..1..1......g..h..i";

    // Thanos loses the second half.
    floats_that_become_histograms_are_followed_into_them: [
        "1..1..1..a..b..c..d",
        ".2..2..2..2..c..d"
    ] => "1..1..1......c..d";
}

#[test]
fn a_chunk_that_nothing_overlaps_keeps_its_bytes() {
    // A longer chunk than would be written.
    let long: String = "1".repeat(130);
    let samples = keys(&read(&long));
    let times: Vec<i64> = samples.iter().map(|(time, ..)| *time).collect();
    let data = tsdb::encode_xor(&times, &vec![1.0; times.len()]);
    let long = Chunk {
        encoding: tsdb::Encoding::Xor,
        min: Timestamp(times[0]),
        max: Timestamp(times[129]),
        data,
    };
    let others = read(&format!("{}2..2..2|2..2", ".".repeat(130)));
    let between = read(&format!("{}.3..3", ".".repeat(130)));
    let mut chunks = vec![(0, long.clone())];
    chunks.extend(others.iter().cloned().map(|chunk| (0, chunk)));
    chunks.extend(between.into_iter().map(|chunk| (1, chunk)));
    let out = merged(chunks);
    assert_eq!(out.first(), Some(&long));
    assert_eq!(out.last(), others.last());
    assert_eq!(out.len(), 3);
}

#[test]
fn a_counter_reset_between_replicas_is_in_the_header() {
    // The second counts from later on, so the change to it is a step back.
    let out = merged(
        [(0, "m..n..o..p"), (1, ".a..b..c..d..e..f..g")]
            .into_iter()
            .flat_map(|(source, line)| read(line).into_iter().map(move |chunk| (source, chunk)))
            .collect(),
    );
    assert_eq!(draw(&out), "m..n..o..p......f..g");
    let headers: Vec<u8> = out.iter().map(|chunk| chunk.data[2]).collect();
    assert_eq!(headers, [0, 0x80], "unknown, and a reset");
}

#[test]
fn stale_markers_are_samples() {
    let stale = f64::from_bits(::model::STALE_NAN);
    let series = |times: &[i64], values: &[f64]| Chunk {
        encoding: tsdb::Encoding::Xor,
        min: Timestamp(times[0]),
        max: Timestamp(times[times.len() - 1]),
        data: tsdb::encode_xor(times, values),
    };
    let a = series(&[0, 15_000, 30_000], &[1.0, 1.0, stale]);
    let b = series(&[1_000, 16_000, 31_000], &[2.0, 2.0, stale]);
    let out = decoded(&merged(vec![(0, a.clone()), (1, b)]));
    let bits = |samples: &[Sample]| {
        let bits = samples.iter().map(|sample| match &sample.value {
            Value::Float(value) => (sample.time.0, value.to_bits()),
            Value::Histogram(_) => unreachable!("floats only"),
        });
        bits.collect::<Vec<_>>()
    };
    assert_eq!(bits(&out), bits(&decoded(&[a])));
}

#[test]
fn downsampled_chunks_that_overlap_are_refused() {
    let aggregates = |line| Chunk {
        encoding: tsdb::Encoding::Aggr,
        ..read(line).remove(0)
    };
    let mut chunks = vec![(0, aggregates("1..1")), (1, aggregates(".1..1"))];
    let error = penalty(&mut chunks, &mut Vec::new()).unwrap_err();
    assert!(matches!(
        error,
        ChunkError::Kind {
            found: tsdb::Encoding::Aggr,
            ..
        }
    ));
}
