//! The decoder beside one that reads bit after bit, on chunks of what it has ways of its own for.

use proptest::prelude::*;

use super::*;

/// Some samples that follow others.
#[derive(Clone, Debug)]
enum Part {
    /// The same float after the same step, so many times.
    Run(usize),
    /// Floats that differ in these bits, by these.
    Floats { leading: u32, bits: Vec<u64> },
    /// Other steps in time, each with or without another float.
    Steps(Vec<(i64, u64)>),
    /// Steps of any size.
    Leap(i64),
}

fn part() -> impl Strategy<Value = Part> {
    let floats = (
        0..64_u32,
        prop::collection::vec(any::<u64>(), 1..12),
        0..64_u32,
    );
    let difference = prop_oneof![
        8 => -8_191..=8_192_i64,
        2 => prop::sample::select(vec![-8_192_i64, -8_191, 8_192, 8_193, 1]),
        1 => -600_000..600_000_i64,
    ];
    let xor = prop_oneof![2 => Just(0), 1 => any::<u64>().prop_map(|bits| bits >> 14 << 30)];
    prop_oneof![
        4 => (0..40_usize).prop_map(Part::Run),
        1 => (40..300_usize).prop_map(Part::Run),
        4 => floats.prop_map(|(leading, bits, trailing)| Part::Floats {
            leading,
            bits: bits.into_iter().map(|b| b >> trailing << trailing).collect(),
        }),
        4 => prop::collection::vec((difference, xor), 1..20).prop_map(Part::Steps),
        1 => any::<i64>().prop_map(Part::Leap),
    ]
}

/// Samples of some parts; they need not ascend.
fn samples() -> impl Strategy<Value = Floats> {
    let start = (any::<i64>(), any::<u64>(), 0..100_000_i64);
    let parts = prop::collection::vec(part(), 0..12);
    (start, parts).prop_map(|((mut time, mut bits, mut step), parts)| {
        let mut floats = Floats::default();
        let mut put = |difference: i64, xor: u64| {
            step = step.wrapping_add(difference);
            time = time.wrapping_add(step);
            bits ^= xor;
            floats.timestamps.push(time);
            floats.values.push(f64::from_bits(bits));
        };
        for part in parts {
            match part {
                Part::Run(len) => (0..len).for_each(|_| put(0, 0)),
                Part::Floats { leading, bits } => {
                    bits.into_iter().for_each(|bits| put(0, bits >> leading));
                }
                Part::Steps(steps) => steps.into_iter().for_each(|(d, xor)| put(d, xor)),
                Part::Leap(difference) => put(difference, 0),
            }
        }
        floats
    })
}

/// Bits, one after the other; nothing behind the end.
struct Bits<'a>(&'a [u8], usize);

impl Bits<'_> {
    fn bit(&mut self) -> Option<u64> {
        let byte = self.0.get(self.1 / 8)?;
        let bit = byte >> (7 - self.1 % 8) & 1;
        self.1 += 1;
        Some(u64::from(bit))
    }

    fn bits(&mut self, n: u32) -> Option<u64> {
        (0..n).try_fold(0, |value, _| Some(value << 1 | self.bit()?))
    }

    fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.bits(8)?;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn step(&mut self) -> Option<i64> {
        let mut ones = 0;
        while ones < 4 && self.bit()? == 1 {
            ones += 1;
        }
        let width = [0, 14, 17, 20, 64][ones];
        let raw = self.bits(width)?;
        let value = raw.cast_signed();
        if width == 0 || width == 64 {
            return Some(value);
        }
        let half = 1 << (width - 1);
        Some(if value > half {
            value - 2 * half
        } else {
            value
        })
    }

    fn float(&mut self, last: u64, window: &mut (u64, u64)) -> Option<u64> {
        if self.bit()? == 0 {
            return Some(last);
        }
        if self.bit()? == 1 {
            let leading = self.bits(5)?;
            let significant = self.bits(6)?;
            *window = (leading, if significant == 0 { 64 } else { significant });
        }
        let trailing = 64_u64.checked_sub(window.0 + window.1)?;
        let xor = self.bits(u32::try_from(window.1).unwrap())?;
        Some(last ^ xor << trailing)
    }
}

/// What the chunk holds, unless it is damaged.
fn read(data: &[u8]) -> Option<Vec<(i64, u64)>> {
    let count = u16::from_be_bytes(*data.first_chunk()?);
    let mut input = Bits(data, 16);
    let (mut time, mut step, mut bits) = (0_i64, 0_i64, 0);
    let mut window = (0, 64);
    let mut out = Vec::new();
    for i in 0..count {
        match i {
            0 => {
                let zigzag = input.uvarint()?;
                time = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
                bits = input.bits(64)?;
            }
            1 => {
                step = input.uvarint()? as i64;
                time = time.wrapping_add(step);
                bits = input.float(bits, &mut window)?;
            }
            _ => {
                step = step.wrapping_add(input.step()?);
                time = time.wrapping_add(step);
                bits = input.float(bits, &mut window)?;
            }
        }
        out.push((time, bits));
    }
    Some(out)
}

fn assert_reads_alike(data: &[u8]) {
    assert_eq!(decode(data).ok().as_ref().map(bits), read(data));
}

proptest! {
    #[test]
    fn runs_steps_and_floats_in_any_order_are_read_back(samples in samples()) {
        let data = encode_xor(&samples.timestamps, &samples.values);
        prop_assert_eq!(bits(&decode(&data).unwrap()), bits(&samples));
        assert_reads_alike(&data);
    }

    #[test]
    fn damaged_bits_are_read_as_bit_after_bit(
        samples in samples(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut data = encode_xor(&samples.timestamps, &samples.values).to_vec();
        for (index, byte) in damage {
            let place = index.index(data.len());
            data[place] = byte;
        }
        assert_reads_alike(&data);
    }

    #[test]
    fn a_chunk_that_is_cut_or_says_another_count_is_read_as_bit_after_bit(
        samples in samples(), cut in any::<prop::sample::Index>(), count: u8,
    ) {
        let mut data = encode_xor(&samples.timestamps, &samples.values).to_vec();
        data.truncate(cut.index(data.len() + 1));
        assert_reads_alike(&data);
        if let Some(low) = data.get_mut(1) {
            *low = count;
        }
        assert_reads_alike(&data);
    }

    #[test]
    fn samples_are_read_between_others(samples in samples(), start in 0..30_usize, len in 0..400_usize) {
        let data = encode_xor(&samples.timestamps, &samples.values);
        let mut floats = Floats { timestamps: vec![7; len], values: vec![7.0; len] };
        let count = samples.values.len();
        prop_assert_eq!(decode_xor_at(&data, start, &mut floats), Ok(count));
        let all = bits(&floats);
        prop_assert_eq!(all.len(), len.max(start + count));
        let (before, rest) = all.split_at(start);
        prop_assert_eq!(&rest[..count], bits(&samples));
        let kept = before.iter().take(len).chain(&rest[count..]);
        prop_assert!(kept.eq(&vec![(7, 7.0_f64.to_bits()); len.min(start) + len.saturating_sub(start + count)]));
    }

    #[test]
    fn chunks_are_written_behind_what_is_there(samples in samples(), before in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut out = before.clone();
        encode_xor_onto(&samples.timestamps, &samples.values, &mut out);
        let chunk = encode_xor(&samples.timestamps, &samples.values);
        prop_assert_eq!(out, [before.as_slice(), &chunk].concat());
    }
}
