//! How lookups ask for bytes: each tells the ranges it needs, is given them, and goes on.
//!
//! ```text
//! loop {
//!     match lookup.next()? {
//!         Step::Fetch { file, ranges } => lookup.supply(fetch(file, ranges)?)?,
//!         Step::Done(answer) => break answer,
//!     }
//! }
//! ```
//! One loop that waits (a gateway's) and one that does not (a compactor's) drive all lookups. Each range is
//! one page, or one dictionary: a unit to cache. Who fetches joins neighbours.

use std::ops::Range;

use bytes::Bytes;
use hashbrown::HashMap;

use crate::error::Error;

/// A file of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShardFile {
    /// `N.labels.parquet`
    Labels,
    /// `N.chunks.parquet`, or `N.aggregates.parquet`.
    Chunks,
}

/// The next step of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Bytes, to be given to [`Lookup::supply`] before [`Lookup::next`] is called again.
    Fetch {
        /// The file.
        file: ShardFile,
        /// Its ranges: ascending, not empty, not overlapping.
        ranges: Vec<Range<u64>>,
    },
    /// Nothing: the answer is complete.
    Done(T),
}

/// A query to a shard, answered in steps.
pub trait Lookup {
    /// The answer.
    type Answer;

    /// Goes on as far as the supplied bytes allow. It decodes, so it is work for a CPU pool.
    ///
    /// After [`Step::Done`] the lookup is used up, and gives empty answers.
    ///
    /// # Errors
    /// When the supplied bytes are damaged, or fewer than asked for.
    fn next(&mut self) -> Result<Step<Self::Answer>, Error>;

    /// Takes the bytes of each range of the last [`Step::Fetch`], in its order.
    ///
    /// # Errors
    /// When they are not as many, or not as long, as asked for.
    fn supply(&mut self, bytes: Vec<Bytes>) -> Result<(), Error>;
}

/// Decoding fewer bytes than this takes less time than handing it to other threads.
const PARALLEL_BYTES: usize = 256 << 10;

/// How many of `tasks`, which decode so many `bytes` together, are done by one thread at least.
pub(crate) const fn tasks_per_thread(tasks: usize, bytes: usize) -> usize {
    match bytes < PARALLEL_BYTES {
        true => tasks,
        false => 1,
    }
}

/// Requested and supplied bytes.
#[derive(Debug, Default)]
pub(crate) struct Supply {
    asked: Vec<Range<u64>>,
    /// By their offset in the file.
    pages: HashMap<u64, Bytes>,
}

impl Supply {
    /// The bytes of `range`, if they were supplied.
    pub(crate) fn get(&self, range: &Range<u64>) -> Option<&Bytes> {
        let bytes = self.pages.get(&range.start)?;
        (bytes.len() as u64 == range.end - range.start).then_some(bytes)
    }

    /// Asks for those of `ranges` that are not supplied yet. No request may be outstanding.
    pub(crate) fn ask(&mut self, ranges: impl IntoIterator<Item = Range<u64>>) {
        self.asked = ranges
            .into_iter()
            .filter(|range| !range.is_empty() && self.get(range).is_none())
            .collect();
        self.asked.sort_unstable_by_key(|range| range.start);
        self.asked.dedup();
    }

    /// As [`Self::ask`]; returns the step that fetches the missing ranges of `file`, if any.
    pub(crate) fn fetch<T>(
        &mut self,
        file: ShardFile,
        ranges: impl IntoIterator<Item = Range<u64>>,
    ) -> Option<Step<T>> {
        self.ask(ranges);
        (!self.asked.is_empty()).then(|| Step::Fetch {
            file,
            ranges: self.asked.clone(),
        })
    }

    /// The number of supplied bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.values().map(Bytes::len).sum()
    }

    /// The requested ranges that are not supplied.
    pub(crate) fn asked(&self) -> &[Range<u64>] {
        &self.asked
    }

    /// Takes the requested ranges off the front of `bytes`.
    pub(crate) fn supply(&mut self, bytes: &mut impl Iterator<Item = Bytes>) -> Result<(), Error> {
        for range in std::mem::take(&mut self.asked) {
            match bytes.next() {
                Some(bytes) if bytes.len() as u64 == range.end - range.start => {
                    self.pages.insert(range.start, bytes);
                }
                other => {
                    return Err(Error::Supply {
                        found: other.map(|bytes| bytes.len()),
                        range,
                    });
                }
            }
        }
        Ok(())
    }

    /// Frees all bytes.
    pub(crate) fn clear(&mut self) {
        self.asked.clear();
        self.pages.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_by_the_range_that_asked_for_them() {
        let mut supply = Supply::default();
        supply.ask([5..8, 0..2, 5..8, 3..3]);
        assert_eq!(supply.asked(), [0..2, 5..8]);
        let mut bytes = [Bytes::from("ab"), Bytes::from("cde")].into_iter();
        supply.supply(&mut bytes).unwrap();
        assert_eq!(supply.get(&(5..8)).unwrap(), "cde");
        assert!(supply.get(&(5..7)).is_none() && supply.asked().is_empty());
        supply.ask([0..2, 9..10]);
        assert_eq!(supply.asked(), vec![9..10]);
    }

    #[test]
    fn too_few_and_too_short_bytes_are_refused() {
        for bytes in [vec![], vec![Bytes::from("a")]] {
            let mut supply = Supply::default();
            supply.ask(std::iter::once(5..7));
            assert!(supply.supply(&mut bytes.into_iter()).is_err());
        }
    }
}
