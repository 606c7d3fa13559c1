//! How the series of a cluster move, and what a scrape sees of it.

use std::ops::Range;

use model::Timestamp;
use tsdb::{Chunk, Encoding, encode_xor};

use crate::{block::CHUNK, random::Random};

/// Time between two samples, ms.
const INTERVAL: i64 = 30_000;
/// Scrapes in a block.
const SCRAPES: usize = 240;

/// How a series moves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    IntegerGauge,
    FloatGauge,
    Constant,
}

/// One of two Prometheus that scrape the same cluster, some seconds apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replica {
    /// The first.
    A,
    /// The second.
    B,
}

/// A Prometheus at work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scraper {
    /// It misses nothing.
    Alone,
    /// It misses a scrape now and then, and all of them while it restarts.
    Replica(Replica),
}

impl Scraper {
    /// The scrapes of a pod that are missing in a block: in every fourth block those of 2 to 20 minutes; in every
    /// sixth block those of the ten minutes of a restart, of all pods.
    pub(super) fn gap(self, pod: usize, block: usize) -> Range<usize> {
        let Self::Replica(replica) = self else {
            return 0..0;
        };
        let restarts = match replica {
            Replica::A => 2,
            Replica::B => 5,
        };
        if block % 6 == restarts {
            return 100..120;
        }
        let seed = ((pod as u64) << 20) + ((block as u64) << 2) + replica as u64;
        let mut random = Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if random.below(4) != 0 {
            return 0..0;
        }
        let first = usize::try_from(random.below(200)).unwrap_or_default();
        let missing = usize::try_from(4 + random.below(37)).unwrap_or_default();
        first..first + missing
    }

    /// How much later than the first this one scrapes a target that the first scrapes `offset` into the interval.
    fn late(self, offset: i64) -> i64 {
        match self {
            Self::Replica(Replica::B) => (INTERVAL - offset) / 2,
            Self::Alone | Self::Replica(Replica::A) => 0,
        }
    }
}

/// The chunks of a series in the block that starts at `start`, without the scrapes of `gap`.
pub(super) fn series_chunks(
    kind: Kind,
    seed: u64,
    start: i64,
    scraper: Scraper,
    gap: &Range<usize>,
) -> Vec<Chunk> {
    let mut random = Random(seed | 1);
    let offset = i64::try_from(random.below(29_000)).unwrap_or_default();
    let late = scraper.late(offset);
    let first = start + offset + late;
    let values = walk(kind, &mut random);
    let (mut times, mut seen) = (Vec::with_capacity(SCRAPES), Vec::with_capacity(SCRAPES));
    for (i, pair) in values.windows(2).enumerate() {
        if let [value, next] = pair
            && !gap.contains(&i)
        {
            times.push(first + INTERVAL * i64::try_from(i).unwrap_or_default());
            seen.push(between(kind, *value, *next, late));
        }
    }
    times
        .chunks(CHUNK)
        .zip(seen.chunks(CHUNK))
        .filter_map(|(times, values)| {
            Some(Chunk {
                encoding: Encoding::Xor,
                min: Timestamp(*times.first()?),
                max: Timestamp(*times.last()?),
                data: encode_xor(times, values),
            })
        })
        .collect()
}

/// The values at the scrapes of a block, and at the one after it.
fn walk(kind: Kind, random: &mut Random) -> Vec<f64> {
    let mut value = 0.0;
    let mut step = || {
        let mut up_to = |end| f64::from(u32::try_from(random.below(end)).unwrap_or_default());
        value = match kind {
            Kind::Counter => value + up_to(100),
            Kind::IntegerGauge if value == 0.0 => up_to(1000),
            Kind::IntegerGauge => (value + up_to(21) - 10.0).abs(),
            Kind::FloatGauge => random.fraction(),
            Kind::Constant => 1.0,
        };
        value
    };
    (0..=SCRAPES).map(|_| step()).collect()
}

/// The value `late` ms after `value`.
fn between(kind: Kind, value: f64, next: f64, late: i64) -> f64 {
    if late == 0 {
        return value;
    }
    let late = f64::from(u32::try_from(late).unwrap_or_default());
    let moved = (next - value) * late / f64::from(u32::try_from(INTERVAL).unwrap_or(1));
    match kind {
        Kind::FloatGauge => value + moved,
        _ => value + moved.floor(),
    }
}

#[cfg(test)]
mod tests {
    use tsdb::{Floats, decode_xor};

    use super::*;
    use crate::block::{BLOCK, START};

    fn samples(kind: Kind, seed: u64, scraper: Scraper, gap: &Range<usize>) -> Vec<(i64, f64)> {
        let (mut floats, mut out) = (Floats::default(), Vec::new());
        for chunk in series_chunks(kind, seed, START, scraper, gap) {
            decode_xor(&chunk.data, &mut floats).unwrap();
            out.extend(floats.timestamps.iter().copied().zip(floats.values.clone()));
        }
        out
    }

    #[test]
    fn the_second_replica_sees_a_counter_later_and_not_beyond_the_next_scrape() {
        for seed in 0..50 {
            let see = |replica| samples(Kind::Counter, seed, Scraper::Replica(replica), &(0..0));
            let (a, b) = (see(Replica::A), see(Replica::B));
            assert_eq!((a.len(), b.len()), (SCRAPES, SCRAPES));
            assert!(b.last().unwrap().0 < START + BLOCK);
            let next = a.iter().skip(1).chain([&(i64::MAX, f64::MAX)]);
            for ((a, b), next) in a.iter().zip(&b).zip(next) {
                assert!(a.0 < b.0 && b.0 < next.0, "{a:?} {b:?} {next:?}");
                assert!(a.1 <= b.1 && b.1 <= next.1, "{a:?} {b:?} {next:?}");
            }
        }
    }

    #[test]
    fn a_gap_takes_samples_away_and_leaves_the_others_as_they_are() {
        let scraper = Scraper::Replica(Replica::A);
        let whole = samples(Kind::FloatGauge, 7, scraper, &(0..0));
        let mut expected = whole.clone();
        expected.drain(100..120);
        assert_eq!(samples(Kind::FloatGauge, 7, scraper, &(100..120)), expected);
    }

    #[test]
    fn no_pod_is_missed_by_both_replicas_all_the_time() {
        let gaps = |replica| (0..1000).map(move |pod| Scraper::Replica(replica).gap(pod, 0));
        let missed = |replica| gaps(replica).filter(|gap| !gap.is_empty()).count();
        for replica in [Replica::A, Replica::B] {
            assert!((150..350).contains(&missed(replica)), "{}", missed(replica));
            assert!(gaps(replica).all(|gap| gap.end <= SCRAPES));
        }
        assert!(gaps(Replica::A).ne(gaps(Replica::B)));
        assert_eq!(Scraper::Replica(Replica::A).gap(1, 8), 100..120);
        assert!((0..1000).all(|pod| Scraper::Alone.gap(pod, 2).is_empty()));
    }
}
