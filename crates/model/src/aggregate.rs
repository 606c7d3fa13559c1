//! Thanos's aggregates: what a downsampled block has for the samples of a window.

use std::ops::BitOr;

/// An aggregate of the samples of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Aggregate {
    /// The number of samples.
    Count = 0,
    /// Their sum.
    Sum = 1,
    /// The least sample; not of histograms.
    Min = 2,
    /// The greatest sample; not of histograms.
    Max = 3,
    /// The counter's increase since the chunk's first sample, with resets removed.
    Counter = 4,
}

impl Aggregate {
    /// All of them, in the order of a downsampled chunk.
    pub const ALL: [Self; 5] = [Self::Count, Self::Sum, Self::Min, Self::Max, Self::Counter];

    /// The name in lower case, as in Thanos's wire types and in names of columns.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Counter => "counter",
        }
    }
}

/// A set of aggregates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AggregateSet(u8);

impl AggregateSet {
    /// All of them.
    pub const ALL: Self = Self(0b1_1111);

    /// Whether `one` is in the set.
    #[must_use]
    pub const fn contains(self, one: Aggregate) -> bool {
        self.0 & (1 << one as u8) != 0
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in the set, in the order of [`Aggregate::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Aggregate> {
        Aggregate::ALL
            .into_iter()
            .filter(move |one| self.contains(*one))
    }
}

impl From<Aggregate> for AggregateSet {
    fn from(one: Aggregate) -> Self {
        Self(1 << one as u8)
    }
}

impl BitOr for AggregateSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Aggregate> for AggregateSet {
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
        let some: AggregateSet = [Aggregate::Counter, Aggregate::Min].into_iter().collect();
        assert_eq!(
            some.iter().collect::<Vec<_>>(),
            [Aggregate::Min, Aggregate::Counter]
        );
        assert!(AggregateSet::default().is_empty() && !some.is_empty());
        let all: AggregateSet = Aggregate::ALL.into_iter().collect();
        assert_eq!(all, AggregateSet::ALL);
    }
}
