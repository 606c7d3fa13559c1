//! Faults at random: what one number makes is always the same.

use super::{Failure, Fault, Operation, When};

/// The ends of keys whose reads may fail: all, one kind of file, or what the caller adds.
const ENDS: [&str; 5] = ["", "meta.json", "index", "000001", "-mark.json"];

/// Makes faults of a number.
#[derive(Clone, Debug)]
pub struct FaultScript {
    state: u64,
    ends: Vec<String>,
}

impl FaultScript {
    /// The script of this number; `keys` are objects of which one alone may fail.
    #[must_use]
    pub fn new(seed: u64, keys: impl IntoIterator<Item = String>) -> Self {
        let ends = ENDS.map(str::to_owned).into_iter().chain(keys);
        Self {
            // The generator stays at 0 if it is ever there.
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            ends: ends.collect(),
        }
    }

    /// The faults from now to the next call: none, or some.
    pub fn step(&mut self) -> Vec<Fault> {
        let count = self.below(4);
        (0..count).map(|_| self.fault()).collect()
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        // Marsaglia's xorshift.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).unwrap_or_default() % end.max(1)
    }

    fn fault(&mut self) -> Fault {
        let failure = match self.below(7) {
            0 => Failure::Refused,
            1 => Failure::Unavailable,
            2 => Failure::TooMany,
            3 => Failure::CutOff(self.below(300)),
            4 => Failure::Slow(1 + self.below(100)),
            5 => Failure::Flipped(self.below(1 << 20)),
            _ => Failure::Chunked,
        };
        let at = self.below(self.ends.len());
        let end = self.ends.get(at).cloned().unwrap_or_default();
        let when = match self.below(5) {
            0 => When::Next(Operation::List, 1 + self.below(8)),
            // For good, until the next step.
            1 | 2 => When::NextGets(end, usize::MAX),
            _ => When::NextGets(end, 1 + self.below(30)),
        };
        Fault { when, failure }
    }
}
