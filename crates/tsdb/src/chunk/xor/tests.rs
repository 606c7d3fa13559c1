//! Floats written and read back; damaged chunks.

mod bitwise;

use proptest::prelude::*;

use super::{
    super::{ChunkError, samples, writer::BitWriter},
    encode::write_difference,
    *,
};

fn floats(len: std::ops::Range<usize>) -> impl Strategy<Value = Floats> {
    samples::times(len).prop_flat_map(|timestamps| {
        let values = prop::collection::vec(samples::float(), timestamps.len());
        // Runs of the same float, as gauges have.
        (values, any::<u64>()).prop_map(move |(mut values, keep)| {
            for i in 1..values.len() {
                if keep >> (i % 64) & 1 == 1 {
                    values[i] = values[i - 1];
                }
            }
            let timestamps = timestamps.clone();
            Floats { timestamps, values }
        })
    })
}

fn bits(floats: &Floats) -> Vec<(i64, u64)> {
    let values = floats.values.iter().map(|value| value.to_bits());
    floats.timestamps.iter().copied().zip(values).collect()
}

fn decode(data: &[u8]) -> Result<Floats, ChunkError> {
    let mut floats = Floats {
        timestamps: vec![9],
        values: vec![9.0],
    };
    decode_xor(data, &mut floats).map(|()| floats)
}

proptest! {
    #[test]
    fn floats_are_read_back(floats in floats(0..300)) {
        let data = encode_xor(&floats.timestamps, &floats.values);
        prop_assert_eq!(bits(&decode(&data).unwrap()), bits(&floats));
    }

    #[test]
    fn a_chunk_cut_short_is_an_error(floats in floats(1..20)) {
        let data = encode_xor(&floats.timestamps, &floats.values);
        for len in 0..data.len() {
            prop_assert!(decode(&data[..len]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(floats) = decode(&data) {
            prop_assert!(floats.timestamps.len() <= data.len() * 4);
        }
    }
}

/// Written by Prometheus 3.9.1's `chunkenc.XORChunk`.
const OF_PROMETHEUS: &str = "0009003ff00000000000009875309bffd2000717bffa0000000000019ffec1ffff8000\
    000000001d0000c004000000000000000f4000057faaaaaaaaaaaaa9e0007ffffffd5568700000000000000018";

#[test]
fn steps_in_time_of_every_width_and_special_floats_are_written_as_prometheus_does() {
    let timestamps = [
        0,
        15_000,
        30_000,
        45_000,
        60_001,
        83_192,
        171_919,
        784_934,
        1 << 50,
    ];
    let third = -1.0_f64 / 3.0;
    let values = [
        1.0,
        1.0,
        2.5,
        2.5,
        f64::from_bits(model::STALE_NAN),
        -0.0,
        5e-324,
        third,
        f64::from_bits(third.to_bits() + 1),
    ];
    let data = encode_xor(&timestamps, &values);
    assert_eq!(samples::hex(&data), OF_PROMETHEUS);
    let floats = decode(&data).unwrap();
    assert_eq!(floats.timestamps, timestamps);
    assert_eq!(
        floats
            .values
            .iter()
            .map(|v| v.to_bits())
            .collect::<Vec<_>>(),
        values.map(f64::to_bits)
    );
}

#[test]
fn a_step_in_time_takes_the_least_width_that_holds_it() {
    let length = |difference: i64| {
        let mut bytes = Vec::new();
        let mut out = write_difference(BitWriter::new(&mut bytes), difference);
        // A one behind it tells where it ends.
        out.bits(1, 1);
        out.finish();
        bytes.len() * 8 - bytes.last().unwrap().trailing_zeros() as usize - 1
    };
    assert_eq!(length(0), 1);
    for (width, bits, more) in [(14, 16, 20), (17, 20, 24), (20, 24, 68)] {
        let half = 1_i64 << (width - 1);
        assert_eq!([length(half), length(1 - half)], [bits; 2]);
        assert_eq!([length(half + 1), length(-half)], [more; 2]);
        for difference in [half, 1 - half, half + 1, -half] {
            let timestamps = [0, 1 << 21, (2 << 21) + difference];
            let data = encode_xor(&timestamps, &[0.0; 3]);
            assert_eq!(decode(&data).unwrap().timestamps, timestamps);
        }
    }
}

#[test]
fn a_chunk_without_samples_holds_none() {
    let data = encode_xor(&[], &[]);
    assert_eq!(data, [0, 0].as_slice());
    assert_eq!(decode(&data), Ok(Floats::default()));
}

#[test]
fn a_count_that_the_data_cannot_hold_is_an_error_before_memory_is_taken() {
    let mut data = encode_xor(&[1, 2, 3], &[1.0; 3]).to_vec();
    data[..2].copy_from_slice(&[0xff, 0xff]);
    let error = decode(&data).unwrap_err().to_string();
    let expected = "chunk data at byte 0 bit 0: expected a count of samples that fit, \
        found a count of 65535 in 13 bytes";
    assert_eq!(error, expected);
}

#[test]
fn an_error_names_the_place_where_the_data_ends() {
    let data = encode_xor(&[1, 2, 3], &[1.0, 2.0, 3.0]);
    let error = decode(&data[..12]).unwrap_err().to_string();
    let expected =
        "chunk data at byte 12 bit 0: expected a float and its time, found the end of the data";
    assert_eq!(error, expected);
}
