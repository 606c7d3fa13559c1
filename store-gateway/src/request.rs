//! What is asked, in the vocabulary of `model`: what [`crate::api`] makes of the messages of the wire.

use std::{collections::BTreeSet, ops::BitOr};

use model::{Matcher, TimeRange};

use crate::series::Shard;

/// Asks for series.
#[derive(Clone, Debug)]
pub(crate) struct SeriesRequest {
    /// Which blocks and series.
    pub(crate) selector: Selector,
    /// The coarsest resolution that may answer, in milliseconds between samples.
    pub(crate) max_resolution: i64,
    /// What is wanted of downsampled blocks.
    pub(crate) aggregates: Aggregates,
    /// Whether labels are enough; the series given still have a chunk in the range.
    pub(crate) skip_chunks: bool,
    /// The share of all series that is wanted.
    pub(crate) shard: Option<Shard>,
}

/// Asks for names of labels.
#[derive(Clone, Debug)]
pub(crate) struct NamesRequest {
    /// Of which series.
    pub(crate) selector: Selector,
}

/// Asks for the values of a label.
#[derive(Clone, Debug)]
pub(crate) struct ValuesRequest {
    /// The label.
    pub(crate) label: String,
    /// Of which series.
    pub(crate) selector: Selector,
}

/// What all requests have.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// All must match a series' final labels.
    pub(crate) matchers: Vec<Matcher>,
    /// Both ends included.
    pub(crate) range: TimeRange,
    /// All must match a block's external labels and its `__block_id`.
    pub(crate) block_matchers: Vec<Matcher>,
    /// Labels that are removed from the answer.
    pub(crate) without: BTreeSet<String>,
    /// The most series, names or values wanted; 0 for all.
    pub(crate) limit: usize,
    /// What to do about a block that cannot be read.
    pub(crate) on_failure: OnFailure,
}

/// What to do about a block that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Say so, and answer from the others.
    Warn,
    /// Answer with an error.
    Abort,
}

/// One aggregate of a downsampled series, in the order in which a chunk holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Count,
    Sum,
    Min,
    Max,
    Counter,
}

/// A set of aggregates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Aggregates(u8);

impl Aggregate {
    pub(crate) const ALL: [Self; 5] = [Self::Count, Self::Sum, Self::Min, Self::Max, Self::Counter];
}

impl Aggregates {
    /// All of them.
    pub(crate) const ALL: Self = Self(0b1_1111);

    pub(crate) const fn contains(self, one: Aggregate) -> bool {
        self.0 & (1 << one as u8) != 0
    }
}

impl From<Aggregate> for Aggregates {
    fn from(one: Aggregate) -> Self {
        Self(1 << one as u8)
    }
}

impl BitOr for Aggregates {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Aggregate> for Aggregates {
    fn from_iter<I: IntoIterator<Item = Aggregate>>(all: I) -> Self {
        all.into_iter()
            .fold(Self::default(), |set, one| set | one.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_aggregates_holds_what_was_put_in() {
        let some: Aggregates = [Aggregate::Counter, Aggregate::Min].into_iter().collect();
        let held: Vec<_> = Aggregate::ALL
            .into_iter()
            .filter(|a| some.contains(*a))
            .collect();
        assert_eq!(held, [Aggregate::Min, Aggregate::Counter]);
        assert_eq!(
            Aggregate::ALL.into_iter().collect::<Aggregates>(),
            Aggregates::ALL
        );
    }
}
