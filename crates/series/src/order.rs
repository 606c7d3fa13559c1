//! Puts the series of one source in the order of their final labels, and holds back as few as can be.
//!
//! A source gives its series in the order of their own labels. Where nothing is removed or replaced, adding labels
//! changes the order of two series s < t only if s is a beginning of t: all labels of s, then others. Else they differ
//! at a first place, and there
//! - both have the same name, and t the greater value; or
//! - t has a greater name (or s a label and t none, but then t would come first), and what t has next is greater than
//!   this label of s: t's own label, or an added one.
//!
//! What is added before that place is the same in both, so the difference decides as before. If s is a beginning of t,
//! then s has next an added label or nothing, and t comes first exactly if its next own label sorts before the last
//! added one. So a series waits for those that begin with it, which follow it at once, and for nothing else: what is
//! held is a chain of series, each a beginning of the next, as long as a series has labels at most.
//!
//! An own label that is removed or replaced no longer decides. Series that are the same up to such a label are held
//! together, with those that come later and are the same up to there, and sorted:
//!
//! ```text
//! own labels        final labels, b removed, x added
//! {a=1}             {a=1, x=9}       waits for what begins with it
//! {a=1, a2=5}       {a=1, a2=5, x=9} leaves first
//! {a=1, b=1, c=2}   {a=1, c=2, x=9}  ┐
//! {a=1, b=2, c=1}   {a=1, c=1, x=9}  ├ held with {a=1}
//! {a=1, c=0}        {a=1, c=0, x=9}  ┘
//! {a=2}             …                ends the run
//! ```
//! One case is left: t loses all that it has from the first difference on, and nothing is added behind it. It becomes a
//! beginning of s, which has left. That takes a removed label behind all added ones. If series may have one, whole
//! metrics are held, since they keep their names; and everything, if the label sorts before `__name__`.

use std::mem;

use model::{Labels, METRIC_NAME};

use super::FinalLabels;

/// What a held series takes besides the bytes of its labels and its item.
const OVERHEAD: usize = 128;

/// The series for which memory is kept.
const SPARE: usize = 64;

/// Sorts the series of one source by their final labels. `T` is the rest of a series.
#[derive(Debug)]
pub struct FinalOrder<T> {
    labels: FinalLabels,
    depth: Depth,
    budget: Option<Budget>,
    size: fn(&T) -> usize,
    /// Runs of held series. Each begins with the common labels of the one before.
    runs: Vec<Run<T>>,
    held: Held,
    /// Memory of a run that was given, for the next one.
    spare: Vec<(Labels, T)>,
    /// The final labels of the last series that was given.
    given: Option<Labels>,
}

/// The limit of what is held back, and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The flag of the limit.
    pub name: &'static str,
    /// Bytes of labels and items. One series alone may have more.
    pub bytes: usize,
}

/// Why series cannot be put in order.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// A series should have come before others that were given.
    #[error("series out of order: expected one after {after}, found {found}")]
    Unsorted {
        /// The series before.
        after: Labels,
        /// The series that should have come before it.
        found: Labels,
    },
    /// More series must be held back than the limit allows.
    #[error(
        "exceeded {} limit: limit {} violated ({series} series of {held} bytes wait to be sorted, the last {last})",
        budget.name, budget.bytes
    )]
    Budget {
        /// The limit.
        budget: Budget,
        /// The number of held series.
        series: usize,
        /// Their bytes.
        held: usize,
        /// The own labels of the last one.
        last: Labels,
    },
}

/// From which label on series may come in any order, besides labels that are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// From none, and all labels are kept.
    Kept,
    /// From none.
    Changes,
    /// From the first one behind `__name__`.
    Metric,
    /// From the first one.
    Everything,
}

/// Series that begin with the same labels.
#[derive(Debug)]
struct Run<T> {
    /// Own labels and items, at least one.
    series: Vec<(Labels, T)>,
    /// The number of common labels.
    stem: usize,
    /// Whether series have labels besides the common ones, in any order.
    mixed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    series: usize,
    bytes: usize,
}

impl<T> FinalOrder<T> {
    /// For series in ascending order of their own labels. `may_have` tells whether one of them may have an own label
    /// of that name; `size` gives the bytes of an item.
    #[must_use]
    pub fn new(
        labels: FinalLabels,
        may_have: impl Fn(&[u8]) -> bool,
        budget: Option<Budget>,
        size: fn(&T) -> usize,
    ) -> Self {
        let depth = Depth::of(&labels, may_have);
        Self::at(depth, labels, budget, size)
    }

    /// For series in ascending order of their own labels, all of which are kept, so far as is known: if nothing is
    /// removed, that is not checked for each.
    #[must_use]
    pub fn of_kept(labels: FinalLabels, budget: Option<Budget>, size: fn(&T) -> usize) -> Self {
        let depth = match labels.removed().next() {
            None => Depth::Kept,
            Some(_) => Depth::Changes,
        };
        Self::at(depth, labels, budget, size)
    }

    /// For series in any order. All are held.
    #[must_use]
    pub fn unsorted(labels: FinalLabels, budget: Option<Budget>, size: fn(&T) -> usize) -> Self {
        Self::at(Depth::Everything, labels, budget, size)
    }

    fn at(
        depth: Depth,
        labels: FinalLabels,
        budget: Option<Budget>,
        size: fn(&T) -> usize,
    ) -> Self {
        Self {
            labels,
            depth,
            budget,
            size,
            runs: Vec::new(),
            held: Held::default(),
            spare: Vec::new(),
            given: None,
        }
    }

    /// Takes the next series with their own labels. Gives, in order and with final labels, the series that no later
    /// one can precede. Equal ones keep their order.
    ///
    /// # Errors
    /// When the series are not in the promised order, or the limit is exceeded. Then the order cannot be used any
    /// more.
    pub fn push(
        &mut self,
        batch: impl IntoIterator<Item = (Labels, T)>,
    ) -> Result<Vec<(Labels, T)>, OrderError> {
        let mut out = Vec::new();
        for (own, item) in batch {
            self.take(own, item, &mut out)?;
        }
        self.note_given(&out);
        Ok(out)
    }

    /// The remaining series, in order.
    ///
    /// # Errors
    /// When the series were not in the promised order.
    pub fn finish(mut self) -> Result<Vec<(Labels, T)>, OrderError> {
        let mut out = Vec::new();
        while let Some(run) = self.runs.pop() {
            self.release(run, &mut out)?;
        }
        Ok(out)
    }

    /// The bytes of the held series.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.bytes
    }

    fn take(&mut self, own: Labels, item: T, out: &mut Vec<(Labels, T)>) -> Result<(), OrderError> {
        while let Some(ended) = self.runs.pop_if(|run| !run.begins(&own)) {
            self.release(ended, out)?;
        }
        self.held.series += 1;
        self.held.bytes += self.cost(&own, &item);
        let stem = self.stem(&own);
        match self.runs.last_mut() {
            Some(run) if run.mixed || run.stem == stem => {
                run.mixed |= stem < own.len();
                run.series.push((own, item));
            }
            last => {
                let next = last.and_then(|run| own.iter().nth(run.stem));
                // Nothing is added behind it, so it stays behind the series that it begins with.
                let overtaken = next.is_none_or(|(name, _)| self.labels.last_added() > Some(name));
                if !overtaken && let Some(run) = self.runs.pop() {
                    self.release(run, out)?;
                }
                let mixed = stem < own.len();
                let mut series = mem::take(&mut self.spare);
                series.push((own, item));
                self.runs.push(Run {
                    series,
                    stem,
                    mixed,
                });
            }
        }
        self.heed_budget()
    }

    /// How many of the labels decide unchanged.
    fn stem(&self, own: &Labels) -> usize {
        let changed = || self.labels.first_changed(own).unwrap_or(own.len());
        let behind_name = |(name, _): (&[u8], &[u8])| name > METRIC_NAME.as_bytes();
        match self.depth {
            Depth::Kept => own.len(),
            Depth::Changes => changed(),
            Depth::Metric => own
                .iter()
                .position(behind_name)
                .map_or_else(changed, |at| at.min(changed())),
            Depth::Everything => 0,
        }
    }

    /// Gives a run, sorted.
    fn release(&mut self, mut run: Run<T>, out: &mut Vec<(Labels, T)>) -> Result<(), OrderError> {
        let from = out.len();
        for (own, item) in run.series.drain(..) {
            self.held.series -= 1;
            self.held.bytes -= self.cost(&own, &item);
            out.push((self.labels.apply(own), item));
        }
        if run.series.capacity() <= SPARE {
            self.spare = run.series;
        }
        let (before, sorted) = out.split_at_mut(from);
        // Usually it is sorted already, which costs one comparison each.
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        let after = before.last().map(|(labels, _)| labels);
        if let (Some(after), Some((found, _))) = (after.or(self.given.as_ref()), sorted.first())
            && found < after
        {
            return Err(OrderError::Unsorted {
                after: after.clone(),
                found: found.clone(),
            });
        }
        Ok(())
    }

    fn note_given(&mut self, out: &[(Labels, T)]) {
        if let Some((last, _)) = out.last() {
            self.given = Some(last.clone());
        }
    }

    fn cost(&self, own: &Labels, item: &T) -> usize {
        own.heap_size() + OVERHEAD + (self.size)(item)
    }

    fn heed_budget(&self) -> Result<(), OrderError> {
        let Held { series, bytes } = self.held;
        let Some(budget) = self.budget.filter(|budget| bytes > budget.bytes) else {
            return Ok(());
        };
        let last = self.runs.last().and_then(|run| run.series.last());
        match last {
            Some((last, _)) if series > 1 => Err(OrderError::Budget {
                budget,
                series,
                held: bytes,
                last: last.clone(),
            }),
            _ => Ok(()),
        }
    }
}

impl Depth {
    fn of(labels: &FinalLabels, may_have: impl Fn(&[u8]) -> bool) -> Self {
        let behind_all = |name: &&[u8]| Some(*name) > labels.last_added() && may_have(name);
        match labels.removed().find(behind_all) {
            None => Self::Changes,
            Some(first) if first > METRIC_NAME.as_bytes() => Self::Metric,
            Some(_) => Self::Everything,
        }
    }
}

impl<T> Run<T> {
    /// Whether `own` begins with the common labels.
    fn begins(&self, own: &Labels) -> bool {
        let first = self.series.first();
        first.is_some_and(|(first, _)| first.share_first(own, self.stem))
    }
}

#[cfg(test)]
mod tests;
