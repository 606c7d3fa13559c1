//! Any replicas: against the plainest form of the algorithm, and what is true of the result.

use std::collections::BTreeSet;

use ::model::Timestamp;
use proptest::prelude::*;

use super::*;

/// What one replica does at each scrape, and when.
#[derive(Clone, Debug)]
struct Scrape {
    /// After the one before, in milliseconds.
    step: i64,
    /// A chunk ends here.
    cut: bool,
    kind: Kind,
}

fn scrapes(
    len: std::ops::Range<usize>,
    cuts: u32,
    kinds: &'static [Kind],
) -> impl Strategy<Value = Vec<Scrape>> {
    let step = prop_oneof![
        20 => Just(15_000_i64),
        4 => 14_000..16_000_i64,
        1 => 1..15_000_i64,
        1 => 15_000..600_000_i64,
    ];
    let kind = prop::sample::select(kinds);
    // The kind changes seldom.
    let switch = prop_oneof![10 => Just(None), 1 => kind.prop_map(Some)];
    let scrape = (step, 0..100_u32, switch);
    prop::collection::vec(scrape, len).prop_map(move |scrapes| {
        let mut kind = kinds[0];
        let scrape = |(step, cut, switch): (i64, u32, Option<Kind>)| {
            kind = switch.unwrap_or(kind);
            Scrape {
                step,
                cut: cut < cuts,
                kind,
            }
        };
        scrapes.into_iter().map(scrape).collect()
    })
}

/// The chunks of a replica whose number is in each of its values.
fn chunks_of(replica: u32, start: i64, scrapes: &[Scrape]) -> Vec<Chunk> {
    let mut time = start;
    let mut chunks = Vec::new();
    let mut samples = Vec::new();
    for (at, scrape) in scrapes.iter().enumerate() {
        time += scrape.step;
        let number = replica * 10_000 + u32::try_from(at).unwrap();
        samples.push(Sample {
            time: Timestamp(time),
            value: value(scrape.kind, number),
        });
        if scrape.cut {
            chunks.extend(encoded(&samples));
            samples.clear();
        }
    }
    chunks.extend(encoded(&samples));
    chunks
}

const ALL: &[Kind] = &[Kind::Float, Kind::Integer, Kind::Fraction];

/// Two or three replicas.
fn replicas(
    len: std::ops::Range<usize>,
    cuts: u32,
    kinds: &'static [Kind],
) -> impl Strategy<Value = Vec<Vec<Chunk>>> {
    let replica = (0..60_000_i64, scrapes(len, cuts, kinds));
    prop::collection::vec(replica, 2..4).prop_map(|replicas| {
        let numbered = (1..).zip(replicas);
        numbered
            .map(|(n, (start, scrapes))| chunks_of(n, start, &scrapes))
            .collect()
    })
}

fn source_chunks(replicas: &[Vec<Chunk>]) -> Vec<SourceChunk> {
    let numbered = replicas.iter().enumerate();
    numbered
        .flat_map(|(n, chunks)| chunks.iter().map(move |chunk| (n, chunk.clone())))
        .collect()
}

proptest! {
    #[test]
    fn the_result_is_that_of_the_plainest_form(
        replicas in prop_oneof![replicas(1..300, 2, ALL), replicas(1..60, 30, &[Kind::Float])],
        shuffle in any::<prop::sample::Index>(),
    ) {
        let mut chunks = source_chunks(&replicas);
        let ends: BTreeSet<_> = chunks.iter().map(|(_, c)| (c.min, c.max)).collect();
        prop_assume!(ends.len() == chunks.len());
        let expected = model::merge(chunks.iter().map(|(_, chunk)| chunk.clone()).collect());
        // The order in which they are given is nothing to it.
        let middle = shuffle.index(chunks.len());
        chunks.rotate_left(middle);
        prop_assert_eq!(keys(&merged(chunks)), expected);
    }

    #[test]
    fn each_sample_is_one_of_a_replica_and_none_comes_twice(replicas in replicas(1..200, 5, ALL)) {
        let all: BTreeSet<Key> = replicas.iter().flat_map(|chunks| keys(chunks)).collect();
        let out = keys(&merged(source_chunks(&replicas)));
        prop_assert!(out.is_sorted_by(|a, b| a.0 < b.0));
        prop_assert!(out.iter().all(|key| all.contains(key)));
        // The first there is, is there.
        prop_assert_eq!(out.first().map(|key| key.0), all.first().map(|key| key.0));
    }

    #[test]
    fn of_two_replicas_no_sample_is_passed_over_for_longer_than_twice_a_step_before_it(
        replicas in (scrapes(1..120, 0, &[Kind::Float]), scrapes(1..120, 0, &[Kind::Float]), 0..60_000_i64)
            .prop_map(|(a, b, start)| [chunks_of(1, 0, &a), chunks_of(2, start, &b)]),
    ) {
        let out = keys(&merged(source_chunks(&replicas)));
        prop_assume!(replicas[0][0].max >= replicas[1][0].min && replicas[1][0].max >= replicas[0][0].min);
        for (time, kind, number) in replicas.iter().flat_map(|chunks| keys(chunks)) {
            if out.contains(&(time, kind, number)) {
                continue;
            }
            let before = out.iter().take_while(|key| key.0 <= time);
            let times: Vec<i64> = before.map(|key| key.0).collect();
            let first = times[0] + 5000;
            let steps = times.windows(2).map(|t| t[1] + 2 * (t[1] - t[0]));
            prop_assert!(time <= steps.fold(first, i64::max), "{time} is missing");
        }
    }

    #[test]
    fn of_a_single_replica_nothing_is_lost_even_if_its_chunks_overlap(
        parts in replicas(1..200, 5, ALL),
    ) {
        let one: Vec<SourceChunk> = source_chunks(&parts).into_iter().map(|(_, chunk)| (7, chunk)).collect();
        let times = |keys: Vec<Key>| keys.into_iter().map(|key| key.0).collect::<BTreeSet<_>>();
        let all = times(parts.iter().flat_map(|chunks| keys(chunks)).collect());
        prop_assert_eq!(times(keys(&merged(one))), all);
        // Where they do not, not a byte changes.
        let part = &parts[..1];
        prop_assert_eq!(&merged(source_chunks(part)), &part[0]);
    }

    #[test]
    fn replicas_that_are_the_same_are_one_to_the_byte(
        parts in replicas(1..200, 5, ALL), copies in 2..5_usize,
    ) {
        let copies = vec![parts[0].clone(); copies];
        prop_assert_eq!(&merged(source_chunks(&copies)), &parts[0]);
    }
}
