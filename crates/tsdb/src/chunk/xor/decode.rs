//! Reading a chunk of floats.

use super::{
    super::{
        ChunkError,
        reader::{BitReader, PEEK},
        sample_count,
        varbit::sign,
        window::Window,
    },
    Floats,
    stretch::{progress, repeat},
};

const SAMPLE: &str = "a float and its time";

/// The last sample read.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) time: i64,
    /// How far it is from the one before.
    pub(super) delta: i64,
    pub(super) bits: u64,
    pub(super) window: Window,
}

/// Where samples go: as many times as floats, of which so many are there.
#[derive(Debug)]
pub(super) struct Slots<'a> {
    pub(super) times: &'a mut [i64],
    pub(super) values: &'a mut [f64],
    pub(super) filled: usize,
}

/// Reads the floats of a chunk into `out`, whose memory is used again.
///
/// # Errors
/// When the data is damaged; `out` then holds nothing of use.
pub fn decode_xor(data: &[u8], out: &mut Floats) -> Result<(), ChunkError> {
    let count = checked_count(data)?;
    // What is there already need not be cleared, for all of it is written over.
    out.timestamps.resize(count, 0);
    out.values.resize(count, 0.0);
    decode_into(data, count, &mut out.timestamps, &mut out.values)
}

/// Reads the floats of a chunk into `out` from the place `start` on, and says how many they are. What is there
/// already is written over or stays; `out` grows where it is too short.
///
/// # Errors
/// When the data is damaged; `out` then holds nothing of use from `start` on.
pub fn decode_xor_at(data: &[u8], start: usize, out: &mut Floats) -> Result<usize, ChunkError> {
    let count = checked_count(data)?;
    let end = start.saturating_add(count);
    if out.timestamps.len() < end {
        out.timestamps.resize(end, 0);
    }
    if out.values.len() < end {
        out.values.resize(end, 0.0);
    }
    let times = out.timestamps.get_mut(start..end).unwrap_or_default();
    let values = out.values.get_mut(start..end).unwrap_or_default();
    decode_into(data, count, times, values)?;
    Ok(count)
}

fn checked_count(data: &[u8]) -> Result<usize, ChunkError> {
    let count = usize::from(sample_count(data)?);
    // All samples but two take at least two bits, so the count cannot make us take more memory
    // than sixteen bytes for each two bits of the data.
    if count > data.len() * 4 {
        let found = format!("a count of {count} in {} bytes", data.len());
        return Err(ChunkError::corrupt(0, "a count of samples that fit", found));
    }
    Ok(count)
}

fn decode_into(
    data: &[u8],
    count: usize,
    times: &mut [i64],
    values: &mut [f64],
) -> Result<(), ChunkError> {
    let mut out = Slots {
        times,
        values,
        filled: 0,
    };
    let mut input = BitReader::new(data, 2);
    if count == 0 {
        return Ok(());
    }
    let time = input.varint(SAMPLE)?;
    let bits = input.bits(64, SAMPLE)?;
    out.put(time, bits);
    if count == 1 {
        return Ok(());
    }
    let delta = input.uvarint(SAMPLE)?.cast_signed();
    let mut last = Last {
        time: time.wrapping_add(delta),
        delta,
        bits,
        window: Window::READ,
    };
    last.window.read(&mut input, &mut last.bits, SAMPLE)?;
    out.put(last.time, last.bits);
    while out.filled < count {
        last.read_stretch(&mut input, &mut out);
        if out.filled < count {
            last.read(&mut input, &mut out)?;
        }
    }
    // What is read behind the end is noticed when all are read.
    input.check_end(SAMPLE)
}

impl Slots<'_> {
    #[inline]
    fn put(&mut self, time: i64, bits: u64) {
        let slots = (
            self.times.get_mut(self.filled),
            self.values.get_mut(self.filled),
        );
        if let (Some(t), Some(v)) = slots {
            (*t, *v) = (time, f64::from_bits(bits));
            self.filled += 1;
        }
    }
}

impl Last {
    /// Reads the next sample, whatever it is, or all that a run of zero bits stands for.
    #[cold]
    pub(super) fn read(
        &mut self,
        input: &mut BitReader<'_>,
        out: &mut Slots<'_>,
    ) -> Result<(), ChunkError> {
        let word = input.peek();
        // Two zero bits are the same step in time and the same float once more.
        let run = word.leading_zeros().min(PEEK) / 2;
        if run == 0 {
            self.read_one(word, input)?;
            out.put(self.time, self.bits);
            return Ok(());
        }
        let start = out.filled;
        let len = (run as usize).min(out.values.len() - start);
        out.filled += len;
        repeat(out.values, start, len, f64::from_bits(self.bits));
        self.time = progress(out.times, start, out.filled, self.time, self.delta);
        input.skip_bits(2 * len);
        Ok(())
    }

    fn read_one(&mut self, word: u64, input: &mut BitReader<'_>) -> Result<(), ChunkError> {
        if word >> 63 == 0 {
            input.skip(1);
        } else {
            self.delta = self.delta.wrapping_add(read_difference(word, input));
        }
        self.time = self.time.wrapping_add(self.delta);
        let word = input.peek();
        if word >> 63 == 0 {
            input.skip(1);
            return Ok(());
        }
        let (window, header) = self.window.next(word);
        let trailing = window.trailing(input.at())?;
        self.window = window;
        input.skip(header);
        self.bits ^= input.unchecked_bits(window.significant) << trailing;
        Ok(())
    }
}

/// Reads how much farther a time is, which is not 0; `word` is what comes next.
fn read_difference(word: u64, input: &mut BitReader<'_>) -> i64 {
    let (header, width) = match word.leading_ones() {
        1 => (2, 14),
        2 => (3, 17),
        3 => (4, 20),
        _ => {
            input.skip(4);
            return input.unchecked_bits(64).cast_signed();
        }
    };
    input.skip(header + width);
    sign(word << header >> (64 - width), width)
}
