//! Chunks merged, against a map from times to samples.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{super::samples, *};

/// Chunks of one encoding or several, which may overlap.
fn chunks() -> impl Strategy<Value = Vec<Chunk>> {
    let floats = samples::times(1..200).prop_flat_map(|times| {
        prop::collection::vec(samples::float(), times.len()).prop_map(move |values| {
            let mut chunks = Vec::new();
            let timestamps = times.clone();
            float_chunks(&Floats { timestamps, values }, &mut chunks);
            chunks
        })
    });
    let histograms = samples::histograms(1..200).prop_map(|samples| encode_histograms(&samples));
    let source = prop_oneof![floats, histograms];
    prop::collection::vec(source, 0..4).prop_map(|sources| sources.concat())
}

/// Each sample as text that tells any two apart.
fn texts(chunk: &Chunk) -> Vec<(i64, String)> {
    if chunk.encoding == Encoding::Xor {
        let mut floats = Floats::default();
        decode_xor(&chunk.data, &mut floats).unwrap();
        let values = floats.values.iter().map(|v| format!("{:x}", v.to_bits()));
        return floats.timestamps.iter().copied().zip(values).collect();
    }
    let samples = decode_histograms(chunk.encoding, &chunk.data).unwrap();
    let text = |(time, h): &(Timestamp, Histogram)| (time.0, samples::meaning(h));
    samples.iter().map(text).collect()
}

proptest! {
    #[test]
    fn the_first_chunk_with_a_time_counts_and_no_sample_is_lost(
        chunks in chunks(), mut boundaries in samples::times(0..4),
    ) {
        let mut expected: BTreeMap<i64, String> = BTreeMap::new();
        for (time, text) in chunks.iter().flat_map(texts) {
            expected.entry(time).or_insert(text);
        }
        // Half of them where samples are.
        boundaries.extend(expected.keys().step_by(37));
        boundaries.sort_unstable();
        let boundaries: Vec<_> = boundaries.into_iter().map(Timestamp).collect();

        let out = reencode(&chunks, &boundaries).unwrap();
        let found: Vec<_> = out.iter().flat_map(texts).collect();
        prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        prop_assert!(out.is_sorted_by(|a, b| a.max < b.min));
        for chunk in &out {
            let times = texts(chunk);
            prop_assert!(times.len() <= 120);
            prop_assert_eq!(Some(chunk.min.0), times.first().map(|(t, _)| *t));
            prop_assert_eq!(Some(chunk.max.0), times.last().map(|(t, _)| *t));
            let crossed = boundaries.iter().find(|b| chunk.min < **b && **b <= chunk.max);
            prop_assert_eq!(crossed, None);
        }
    }
}

fn floats(samples: &[(i64, f64)]) -> Chunk {
    let (timestamps, values) = samples.iter().copied().unzip();
    let mut chunks = Vec::new();
    float_chunks(&Floats { timestamps, values }, &mut chunks);
    chunks.remove(0)
}

#[test]
fn a_histogram_between_floats_cuts_their_chunk() {
    let around = floats(&[(0, 1.0), (10, 1.0), (20, 1.0), (30, 1.0)]);
    let histogram = Histogram {
        reset: model::CounterReset::Unknown,
        schema: 0,
        zero_threshold: 0.0,
        sum: 1.0,
        positive_spans: [].into(),
        negative_spans: [].into(),
        custom_bounds: [].into(),
        counts: model::HistogramCounts::Integer(model::Counts::default()),
    };
    // The one at 20 is hidden by the float.
    let between = [15, 20].map(|time| (Timestamp(time), histogram.clone()));
    let mut chunks = vec![around];
    chunks.extend(encode_histograms(&between));
    let out = reencode(&chunks, &[]).unwrap();
    let shape: Vec<_> = out.iter().map(|c| (c.encoding, c.min.0, c.max.0)).collect();
    let expected = [
        (Encoding::Xor, 0, 10),
        (Encoding::Histogram, 15, 15),
        (Encoding::Xor, 20, 30),
    ];
    assert_eq!(shape, expected);
}

#[test]
fn a_sample_at_a_boundary_starts_a_chunk() {
    let chunk = floats(&[(98, 1.0), (99, 1.0), (100, 1.0), (150, 1.0)]);
    let out = reencode(&[chunk], &[Timestamp(100), Timestamp(120), Timestamp(130)]).unwrap();
    let shape: Vec<_> = out.iter().map(|c| (c.min.0, c.max.0)).collect();
    assert_eq!(shape, [(98, 99), (100, 100), (150, 150)]);
}

#[test]
fn downsampled_data_is_not_merged() {
    let aggregates = Chunk {
        encoding: Encoding::Aggr,
        ..floats(&[(0, 1.0)])
    };
    let error = reencode(&[aggregates], &[]).unwrap_err();
    assert!(matches!(
        error,
        ChunkError::Kind {
            found: Encoding::Aggr,
            ..
        }
    ));
}
