//! The lookups that a shard offers.

use model::{AggregateSet, Matcher, TimeRange};

use super::{
    chunks::ReadChunks,
    label_values::{ReadLabelNames, ReadLabelValues},
    labels::{Projection, ReadLabels},
    search::Search,
    shard::{Selection, Shard},
};
use crate::format::row_ranges::RowRanges;

impl Shard {
    /// Finds the rows that all `matchers` match.
    #[must_use]
    pub fn search(&self, matchers: &[Matcher]) -> Search {
        Search::new(self.clone(), matchers)
    }

    /// Reads the labels of rows of a row group, in the order of the rows. Rows past its end are left out, as
    /// they are by all lookups.
    #[must_use]
    pub fn labels(&self, group: usize, rows: RowRanges, projection: Projection) -> ReadLabels {
        let rows = rows.within(0..self.rows(group));
        ReadLabels::new(self.clone(), group, rows, projection)
    }

    /// Reads the chunks of rows of a row group that overlap `range`, in the order of the rows. Those of downsampled
    /// samples have the wanted aggregates only, and one that has none of them is left out.
    #[must_use]
    pub fn chunks(
        &self,
        group: usize,
        rows: RowRanges,
        range: TimeRange,
        aggregates: AggregateSet,
    ) -> ReadChunks {
        let rows = rows.within(0..self.rows(group));
        ReadChunks::new(self.clone(), group, rows, range, aggregates)
    }

    /// Reads the names of the labels that the rows of `selection` have.
    #[must_use]
    pub fn label_names_of(&self, selection: Selection) -> ReadLabelNames {
        ReadLabelNames::new(self.clone(), self.existing(selection))
    }

    /// Reads the values that a label has in the rows of `selection`.
    #[must_use]
    pub fn label_values_of(&self, selection: Selection, name: impl AsRef<[u8]>) -> ReadLabelValues {
        ReadLabelValues::new(self.clone(), self.existing(selection), name.as_ref())
    }

    /// The rows of a selection that exist.
    fn existing(&self, selection: Selection) -> Selection {
        selection
            .into_iter()
            .map(|(group, rows)| (group, rows.within(0..self.rows(group))))
            .filter(|(_, rows)| !rows.is_empty())
            .collect()
    }
}
