//! Histograms written and read back; where chunks end.

use model::{Counts, STALE_NAN, Span};
use proptest::prelude::*;

use super::{
    super::samples::{buckets, hex, histograms, meaning},
    *,
};

type Samples = Vec<(Timestamp, Histogram)>;

fn decode_all(chunks: &[Chunk]) -> Vec<Samples> {
    let decode = |chunk: &Chunk| decode_histograms(chunk.encoding, &chunk.data).unwrap();
    chunks.iter().map(decode).collect()
}

fn meanings(samples: &[(Timestamp, Histogram)]) -> Vec<(i64, String)> {
    samples.iter().map(|(t, h)| (t.0, meaning(h))).collect()
}

proptest! {
    #[test]
    fn histograms_are_read_back(samples in histograms(0..300)) {
        let chunks = encode_histograms(&samples);
        let read = decode_all(&chunks).concat();
        prop_assert_eq!(meanings(&read), meanings(&samples));
    }

    #[test]
    fn chunks_are_in_order_and_say_how_many_samples_of_which_times_they_hold(
        samples in histograms(1..300),
    ) {
        let chunks = encode_histograms(&samples);
        prop_assert!(chunks.is_sorted_by(|a, b| a.max < b.min));
        for (chunk, read) in chunks.iter().zip(decode_all(&chunks)) {
            prop_assert!(read.len() <= 120);
            prop_assert_eq!(usize::from(chunk.num_samples().unwrap()), read.len());
            prop_assert_eq!(Some(chunk.min), read.first().map(|(t, _)| *t));
            prop_assert_eq!(Some(chunk.max), read.last().map(|(t, _)| *t));
        }
    }

    #[test]
    fn within_a_chunk_of_counters_nothing_goes_down(samples in histograms(0..200)) {
        for read in decode_all(&encode_histograms(&samples)) {
            for pair in read.windows(2) {
                let (before, after) = (&pair[0].1, &pair[1].1);
                if after.reset == CounterReset::Gauge || after.is_stale() {
                    continue;
                }
                prop_assert_eq!(after.reset, CounterReset::NotReset);
                let after = buckets(after);
                for (bucket, count) in buckets(before) {
                    prop_assert!(after.get(&bucket).is_some_and(|after| *after >= count));
                }
            }
        }
    }

    #[test]
    fn what_was_read_is_written_to_the_same_bytes(samples in histograms(1..120)) {
        for chunk in encode_histograms(&samples) {
            let read = decode_histograms(chunk.encoding, &chunk.data).unwrap();
            if read.iter().any(|(_, h)| h.is_stale()) {
                continue;
            }
            let again = encode_histograms(&read);
            prop_assert_eq!(again.len(), 1);
            // What the header says of the chunk before is not known when this one is read alone.
            prop_assert_eq!(&again[0].data[..2], &chunk.data[..2]);
            prop_assert_eq!(&again[0].data[3..], &chunk.data[3..]);
        }
    }

    #[test]
    fn a_chunk_cut_short_is_an_error(samples in histograms(1..6)) {
        for chunk in encode_histograms(&samples) {
            for len in 0..chunk.data.len() {
                prop_assert!(decode_histograms(chunk.encoding, &chunk.data[..len]).is_err());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        mut data in prop::collection::vec(any::<u8>(), 0..200), count in 0..20_u8, float: bool,
    ) {
        if data.len() > 2 {
            data[..2].copy_from_slice(&[0, count]);
        }
        let encoding = if float { Encoding::FloatHistogram } else { Encoding::Histogram };
        if let Ok(samples) = decode_histograms(encoding, &data) {
            prop_assert_eq!(samples.len(), usize::from(count));
            let again = decode_all(&encode_histograms(&samples)).concat();
            prop_assert_eq!(again.len(), samples.len());
        }
    }
}

fn spans(spans: &[(i32, u32)]) -> std::sync::Arc<[Span]> {
    spans
        .iter()
        .map(|(offset, length)| Span {
            offset: *offset,
            length: *length,
        })
        .collect()
}

/// A counter at schema 3.
fn counter(count: u64, zero: u64, positive: &[u64], negative: &[u64], sum: f64) -> Histogram {
    Histogram {
        reset: CounterReset::Unknown,
        schema: 3,
        zero_threshold: 0.001,
        sum,
        positive_spans: spans(&[(0, 4)]),
        negative_spans: spans(&[(-2, 1), (3, 1)]),
        custom_bounds: [].into(),
        counts: HistogramCounts::Integer(Counts {
            count,
            zero,
            positive: positive.to_vec(),
            negative: negative.to_vec(),
        }),
    }
}

#[test]
fn integers_are_written_as_prometheus_does_it() {
    let first = Histogram {
        positive_spans: spans(&[(0, 2), (1, 1)]),
        negative_spans: spans(&[(-2, 1)]),
        ..counter(9, 1, &[3, 1, 2], &[2], 12.0)
    };
    let samples = [
        (Timestamp(-1000), first),
        // Two more buckets.
        (
            Timestamp(14_000),
            counter(3000, 1, &[4, 1, 2950, 2], &[2, 40], 25.0),
        ),
        (
            Timestamp(29_003),
            counter(3101, 2, &[4, 101, 2950, 2], &[2, 40], 26.5),
        ),
        // A bucket goes down.
        (
            Timestamp(44_003),
            counter(3101, 2, &[4, 100, 2951, 2], &[2, 40], 26.5),
        ),
    ];
    let chunks = encode_histograms(&samples);
    // Written by Prometheus 3.9.1's `chunkenc.HistogramChunk`.
    assert_eq!(
        chunks.iter().map(|c| hex(&c.data)).collect::<Vec<_>>(),
        [
            "000300ff3f50624dd2f1a9fc9c68946d19fb06313140280000000000009daf295be0ea63e02ebdac58c6ff\
             0170df7e8f4e144fefd2da3b83f7e32fdfa0b7c05c33bb00",
            "000180ff3f50624dd2f1a9fc9c68946d19fc55f1fb076480750000000000014e307c0591fdfa3dcb84c0",
        ]
    );
}

#[test]
fn gauges_with_different_buckets_are_written_as_prometheus_does_it() {
    let gauge = |count: f64, zero: f64, start: i32, buckets: [f64; 2], sum: f64| Histogram {
        reset: CounterReset::Gauge,
        schema: 0,
        zero_threshold: 0.5_f64.powi(128),
        sum,
        positive_spans: spans(&[(start, 2)]),
        negative_spans: spans(&[]),
        custom_bounds: [].into(),
        counts: HistogramCounts::Float(Counts {
            count,
            zero,
            positive: buckets.to_vec(),
            negative: Vec::new(),
        }),
    };
    let samples = [
        (
            Timestamp(1_700_006_400_000),
            gauge(4.5, 0.0, 1, [1.5, 3.0], 12.5),
        ),
        (
            Timestamp(1_700_006_415_000),
            gauge(2.25, 0.25, 0, [0.5, 1.5], 8.5),
        ),
    ];
    let chunks = encode_histograms(&samples);
    assert_eq!(chunks.len(), 1);
    // Written by Prometheus 3.9.1's `chunkenc.FloatHistogramChunk`.
    assert_eq!(
        hex(&chunks[0].data),
        "0002c0744667f0000c5e823880020090000000000000000000000000000201480000000000000000000000000001\
         ffc00000000000020040000000000007c1d4c6b0788aff7603c44ffd84c801"
    );
}

fn stale() -> Histogram {
    Histogram {
        sum: f64::from_bits(STALE_NAN),
        ..counter(0, 0, &[0; 4], &[0; 2], 0.0)
    }
}

#[test]
fn custom_bounds_and_the_mark_of_the_end_are_written_as_prometheus_does_it() {
    let first = Histogram {
        schema: model::CUSTOM_BUCKETS,
        zero_threshold: 0.0,
        positive_spans: spans(&[(0, 3)]),
        negative_spans: spans(&[]),
        custom_bounds: [0.5, 1.0 / 3.0, 33_554.43].into(),
        ..counter(6, 0, &[1, 2, 3], &[], 3.0)
    };
    let chunks = encode_histograms(&[(Timestamp(5), first), (Timestamp(10), stale())]);
    assert_eq!(chunks.len(), 1);
    // Written by Prometheus 3.9.1's `chunkenc.HistogramChunk`.
    assert_eq!(
        hex(&chunks[0].data),
        "00020000ee5c664fbea3fd5555555555555fdffffffc2d8801000000000000118c70a62f7ff8000000000002"
    );
}

/// The number of samples and the header of each chunk.
fn cuts(samples: &[Histogram]) -> Vec<(u16, u8)> {
    let samples: Samples = (0..).map(Timestamp).zip(samples.iter().cloned()).collect();
    let chunks = encode_histograms(&samples);
    let cut = |c: &Chunk| (c.num_samples().unwrap(), c.data[2]);
    chunks.iter().map(cut).collect()
}

const UNKNOWN: u8 = 0;
const RESET: u8 = 0x80;
const GAUGE: u8 = 0xc0;

#[test]
fn a_chunk_ends_at_each_thing_that_its_layout_cannot_hold() {
    let low = counter(10, 1, &[1, 2, 3, 1], &[1, 1], 1.0);
    let high = counter(20, 2, &[2, 4, 6, 2], &[2, 2], 2.0);
    let with = |change: fn(&mut Histogram)| {
        let mut changed = high.clone();
        change(&mut changed);
        changed
    };
    let pair = |second: Histogram| cuts(&[low.clone(), second]);
    assert_eq!(pair(high.clone()), [(2, UNKNOWN)]);
    assert_eq!(pair(with(|h| h.schema = 2)), [(1, UNKNOWN), (1, UNKNOWN)]);
    assert_eq!(
        pair(with(|h| h.zero_threshold = 0.5)),
        [(1, UNKNOWN), (1, UNKNOWN)]
    );
    assert_eq!(
        pair(with(|h| h.reset = CounterReset::Reset)),
        [(1, UNKNOWN), (1, RESET)]
    );
    assert_eq!(
        pair(with(|h| h.reset = CounterReset::Gauge)),
        [(1, UNKNOWN), (1, GAUGE)]
    );
    assert_eq!(
        pair(counter(5, 1, &[1, 1, 1, 0], &[1, 1], 1.0)),
        [(1, UNKNOWN), (1, RESET)]
    );
    assert_eq!(
        pair(counter(20, 0, &[2, 4, 6, 2], &[2, 2], 1.0)),
        [(1, UNKNOWN), (1, RESET)]
    );
    assert_eq!(
        pair(counter(20, 2, &[2, 4, 6, 2], &[0, 2], 1.0)),
        [(1, UNKNOWN), (1, RESET)]
    );
    // The second goes on after the first's end.
    let ended = [low.clone(), stale(), stale(), high.clone()];
    assert_eq!(cuts(&ended), [(3, UNKNOWN), (1, UNKNOWN)]);
    // A bucket is gone: a reset, unless it was empty.
    let shorter = |h: &Histogram| Histogram {
        positive_spans: spans(&[(0, 3)]),
        counts: match &h.counts {
            HistogramCounts::Integer(c) => HistogramCounts::Integer(Counts {
                positive: c.positive[..3].to_vec(),
                ..c.clone()
            }),
            other => other.clone(),
        },
        ..h.clone()
    };
    assert_eq!(pair(shorter(&high)), [(1, UNKNOWN), (1, RESET)]);
    let empty = counter(9, 1, &[1, 2, 3, 0], &[1, 1], 1.0);
    assert_eq!(cuts(&[empty, shorter(&high)]), [(2, UNKNOWN)]);
}

#[test]
fn a_chunk_ends_after_120_samples() {
    let samples = vec![counter(10, 1, &[1, 2, 3, 1], &[1, 1], 1.0); 250];
    assert_eq!(
        cuts(&samples),
        [(120, UNKNOWN), (120, UNKNOWN), (10, UNKNOWN)]
    );
}

#[test]
fn a_long_chunk_has_more_than_120_samples_and_ends_where_others_do() {
    let mut samples: Vec<_> = (0..300)
        .map(|i| {
            (
                Timestamp(i),
                counter(i.unsigned_abs(), 0, &[0; 4], &[0; 2], 1.0),
            )
        })
        .collect();
    samples.push((Timestamp(300), counter(0, 0, &[0; 4], &[0; 2], 1.0)));
    let chunks = encode_long_histograms(&samples);
    let counts: Vec<_> = chunks.iter().map(|chunk| chunk.num_samples()).collect();
    assert_eq!(counts, [Ok(300), Ok(1)]);
    let read = decode_all(&chunks).concat();
    assert_eq!(meanings(&read), meanings(&samples));
}

#[test]
fn no_memory_is_taken_for_buckets_that_the_data_cannot_hold() {
    let mut data = vec![0, 1, 0];
    let mut out = super::super::writer::BitWriter::new(&mut data);
    layout::Layout {
        positive: spans(&[(0, 1 << 29)]),
        ..layout::Layout::empty()
    }
    .write(&mut out);
    out.finish();
    let error = decode_histograms(Encoding::Histogram, &data).unwrap_err();
    assert!(
        error.to_string().contains("a number of buckets that fit"),
        "{error}"
    );
}

#[test]
fn zero_thresholds_are_read_back() {
    let powers = (-1074..1024).map(|e| 2.0_f64.powi(e));
    for threshold in powers.chain([0.0, 0.001, 1e300, f64::INFINITY]) {
        let layout = layout::Layout {
            zero_threshold: threshold,
            ..layout::Layout::empty()
        };
        let mut data = Vec::new();
        let mut out = super::super::writer::BitWriter::new(&mut data);
        layout.write(&mut out);
        out.finish();
        let short = threshold == 0.0 || (2.0_f64.powi(-243)..=1024.0).contains(&threshold);
        let is_power = threshold.to_bits() << 12 == 0;
        assert_eq!(data.len() < 9, short && is_power, "{threshold:e}");
        let mut input = super::super::reader::BitReader::new(&data, 0);
        assert_eq!(layout::Layout::read(&mut input), Ok(layout));
    }
}

#[test]
fn a_schema_that_is_not_known_is_an_error() {
    for (schema, known) in [
        (-53, true),
        (-54, false),
        (-10, false),
        (-9, true),
        (52, true),
        (53, false),
    ] {
        let mut data = vec![0, 1, 0];
        let mut out = super::super::writer::BitWriter::new(&mut data);
        let layout = layout::Layout {
            schema,
            ..layout::Layout::empty()
        };
        layout.write(&mut out);
        out.bits(0, 3);
        out.bits(0, 64);
        out.finish();
        let read = decode_histograms(Encoding::Histogram, &data);
        assert_eq!(read.is_ok(), known, "{schema}: {read:?}");
    }
}

#[test]
fn floats_and_aggregates_are_no_histograms() {
    for encoding in [Encoding::Xor, Encoding::Aggr] {
        let error = decode_histograms(encoding, &[0, 0, 0]).unwrap_err();
        assert!(matches!(error, ChunkError::Kind { found, .. } if found == encoding));
    }
}
