//! Parquet's hybrid of run lengths and bit packing: definition levels and dictionary ids.
//!
//! ```text
//! run*
//! run  varint header; lowest bit 0: header >> 1 times the value that follows, ⌈width / 8⌉ bytes little-endian
//!                     lowest bit 1: (header >> 1) × 8 values, `width` bits each, least significant bit first
//! ```

use crate::format::fault::Fault;

/// Reads values of a hybrid run by run.
#[derive(Clone, Debug)]
pub(crate) struct Hybrid<'a> {
    bytes: &'a [u8],
    at: usize,
    width: u32,
    run: Run<'a>,
}

/// The rest of the current run.
#[derive(Clone, Copy, Debug)]
enum Run<'a> {
    Same {
        value: u32,
        left: usize,
    },
    Packed {
        /// From the run to the end of all: what follows makes it quicker to read.
        bytes: &'a [u8],
        next: usize,
        left: usize,
    },
}

impl<'a> Hybrid<'a> {
    /// Values of `width` bits, at most 32.
    pub(crate) fn new(bytes: &'a [u8], width: u8) -> Result<Self, Fault> {
        if width > 32 {
            return Err(Fault::new(
                0,
                format!("values: expected at most 32 bits, found {width}"),
            ));
        }
        Ok(Self {
            bytes,
            at: 0,
            width: u32::from(width),
            run: Run::Same { value: 0, left: 0 },
        })
    }

    /// Calls `take(value, count)` for the next `n` values, in order; stored runs are given as one.
    pub(crate) fn runs(&mut self, n: usize, mut take: impl FnMut(u32, usize)) -> Result<(), Fault> {
        self.each_run(n, |run, count, width| match *run {
            Run::Same { value, .. } => take(value, count),
            Run::Packed { bytes, next, .. } => {
                unpack(bytes, width, next, count, |value| take(value, 1));
            }
        })
    }

    /// Appends the next `n` values.
    pub(crate) fn read(&mut self, n: usize, out: &mut Vec<u32>) -> Result<(), Fault> {
        self.each_run(n, |run, count, width| match *run {
            Run::Same { value, .. } => out.resize(out.len() + count, value),
            Run::Packed { bytes, next, .. } => {
                out.reserve(count);
                unpack(bytes, width, next, count, |value| out.push(value));
            }
        })
    }

    /// Skips the next `n` values.
    pub(crate) fn skip(&mut self, n: usize) -> Result<(), Fault> {
        self.each_run(n, |_, _, _| ())
    }

    /// Skips the next `n` values of one bit, and returns how many of them are 1.
    pub(crate) fn count_ones(&mut self, n: usize) -> Result<usize, Fault> {
        let mut ones = 0;
        self.each_run(n, |run, count, width| match *run {
            Run::Same { value, .. } => ones += if value == 0 { 0 } else { count },
            Run::Packed { bytes, next, .. } => {
                // Byte by byte where the values begin with one.
                let (whole, head) = if width == 1 && next % 8 == 0 {
                    (count / 8, next / 8)
                } else {
                    (0, 0)
                };
                let counted = bytes.get(head..head + whole).unwrap_or_default();
                ones += counted
                    .iter()
                    .map(|b| b.count_ones() as usize)
                    .sum::<usize>();
                let done = counted.len() * 8;
                unpack(bytes, width, next + done, count - done, |value| {
                    ones += usize::from(value != 0);
                });
            }
        })?;
        Ok(ones)
    }

    /// Whether the next `n` values are one run of `value`.
    pub(crate) fn is_run_of(&mut self, value: u32, n: usize) -> Result<bool, Fault> {
        if n > 0 && self.left() == 0 {
            self.run = self.next_run()?;
        }
        Ok(n == 0 || matches!(self.run, Run::Same { value: v, left } if v == value && left >= n))
    }

    fn each_run(
        &mut self,
        n: usize,
        mut visit: impl FnMut(&Run<'a>, usize, u32),
    ) -> Result<(), Fault> {
        let mut wanted = n;
        while wanted > 0 {
            if self.left() == 0 {
                self.run = self.next_run()?;
                continue;
            }
            let count = wanted.min(self.left());
            visit(&self.run, count, self.width);
            wanted -= count;
            match &mut self.run {
                Run::Same { left, .. } => *left -= count,
                Run::Packed { next, left, .. } => {
                    *next += count;
                    *left -= count;
                }
            }
        }
        Ok(())
    }

    fn left(&self) -> usize {
        match self.run {
            Run::Same { left, .. } | Run::Packed { left, .. } => left,
        }
    }

    fn next_run(&mut self) -> Result<Run<'a>, Fault> {
        let start = self.at;
        let header = self.header()?;
        let count = usize::try_from(header >> 1).unwrap_or(usize::MAX);
        if count == 0 {
            return Err(Fault::new(start, "run: expected values, found none"));
        }
        if header & 1 == 0 {
            let mut value = 0u32;
            for (i, byte) in self
                .take(self.width.div_ceil(8) as usize)?
                .iter()
                .enumerate()
            {
                value |= u32::from(*byte) << (8 * i);
            }
            return Ok(Run::Same { value, left: count });
        }
        // Eight values of `width` bits are `width` bytes. A writer may omit the bytes of the last run that hold no
        // values of the page.
        let len = count.saturating_mul(self.width as usize);
        let rest = self.bytes.len().saturating_sub(self.at);
        let (len, left) = if len <= rest {
            (len, count.saturating_mul(8))
        } else {
            (
                rest,
                (rest * 8).checked_div(self.width as usize).unwrap_or(0),
            )
        };
        if left == 0 {
            return Err(Fault::new(
                start,
                "bit-packed run: expected bytes, found none",
            ));
        }
        let bytes = self.bytes.get(self.at..).unwrap_or_default();
        self.take(len)?;
        Ok(Run::Packed {
            bytes,
            next: 0,
            left,
        })
    }

    fn header(&mut self) -> Result<u64, Fault> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?.first().copied().unwrap_or_default();
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::new(
            self.at,
            "run header: expected at most 5 bytes, found more",
        ))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        let slice = self
            .at
            .checked_add(n)
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or_else(|| Fault::new(self.at, "values end early"))?;
        self.at += n;
        Ok(slice)
    }
}

/// Calls `push` with the values `first` to `first + n` of `bytes`, which must hold them.
///
/// Values are read eight bytes at once, so it is quicker if `bytes` goes on behind them.
#[inline]
pub(crate) fn unpack(bytes: &[u8], width: u32, first: usize, n: usize, mut push: impl FnMut(u32)) {
    let mask = (1u64 << width) - 1;
    let width = width as usize;
    let mut bit = first * width;
    for _ in 0..n {
        // At most 7 + 32 bits are wanted, so eight bytes hold them.
        let word = word_at(bytes, bit / 8) >> (bit % 8);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the mask leaves at most 32 bits"
        )]
        push((word & mask) as u32);
        bit += width;
    }
}

/// Eight bytes from `at`, little-endian; those past the end are zero.
#[inline]
fn word_at(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    if let Some(word) = rest.first_chunk::<8>() {
        return u64::from_le_bytes(*word);
    }
    rest.iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Encodes values, runs of eight and more equal ones as such.
    pub(crate) fn encode(values: &[u32], width: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = values;
        while let Some(&value) = rest.first() {
            let same = rest.iter().take_while(|v| **v == value).count();
            if same >= 8 {
                header(&mut bytes, (same as u64) << 1);
                bytes.extend(&value.to_le_bytes()[..usize::from(width).div_ceil(8)]);
                rest = &rest[same..];
            } else {
                header(&mut bytes, 1 << 1 | 1);
                let mut packed = vec![0u8; usize::from(width)];
                for (i, value) in rest.iter().take(8).enumerate() {
                    for b in 0..usize::from(width) {
                        let bit = i * usize::from(width) + b;
                        packed[bit / 8] |= u8::try_from(value >> b & 1).unwrap() << (bit % 8);
                    }
                }
                bytes.extend(packed);
                rest = &rest[rest.len().min(8)..];
            }
        }
        bytes
    }

    fn header(bytes: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
    }

    fn any_values() -> impl Strategy<Value = (u8, Vec<u32>)> {
        (1..=32u8).prop_flat_map(|width| {
            let max = u32::try_from((1u64 << width) - 1).unwrap();
            let run = (0..=max, prop_oneof![Just(1), Just(3), 8..40usize]);
            let values = prop::collection::vec(run, 0..30)
                .prop_map(|runs| runs.into_iter().flat_map(|(v, n)| vec![v; n]).collect());
            (Just(width), values)
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_and_skipped((width, values) in any_values(), steps in prop::collection::vec((0..30usize, 0..30usize), 0..10)) {
            let bytes = encode(&values, width);
            let mut all = Vec::new();
            Hybrid::new(&bytes, width).unwrap().read(values.len(), &mut all).unwrap();
            prop_assert_eq!(&all, &values);

            let mut by_run = Vec::new();
            Hybrid::new(&bytes, width).unwrap()
                .runs(values.len(), |value, n| by_run.resize(by_run.len() + n, value)).unwrap();
            prop_assert_eq!(&by_run, &values);

            let ones = |some: &[u32]| some.iter().filter(|v| **v != 0).count();
            let mut counter = Hybrid::new(&bytes, width).unwrap();
            let half = values.len() / 2;
            prop_assert_eq!(counter.count_ones(half).unwrap(), ones(&values[..half]));
            prop_assert_eq!(counter.count_ones(values.len() - half).unwrap(), ones(&values[half..]));

            let mut hybrid = Hybrid::new(&bytes, width).unwrap();
            let mut at = 0;
            for (skip, take) in steps {
                if at + skip + take > values.len() {
                    break;
                }
                hybrid.skip(skip).unwrap();
                let mut some = Vec::new();
                hybrid.read(take, &mut some).unwrap();
                prop_assert_eq!(&some, &values[at + skip..at + skip + take]);
                at += skip + take;
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), width in 0..=40u8, n in 0..500usize) {
            if let Ok(mut hybrid) = Hybrid::new(&bytes, width) {
                let mut out = Vec::new();
                if hybrid.read(n, &mut out).is_ok() {
                    prop_assert_eq!(out.len(), n);
                }
            }
        }
    }

    #[test]
    fn a_width_of_zero_means_zeroes() {
        let mut out = Vec::new();
        Hybrid::new(&[0x0a], 0).unwrap().read(5, &mut out).unwrap();
        assert_eq!(out, [0; 5]);
    }
}
