//! The search within one row group.

use std::ops::Range;

use super::constraint::{Constraint, Verdict};
use crate::{
    error::Error,
    format::{
        bloom::BloomFilter, footer::Footer, ids::NULL, page::check_crc, page_index::PageBounds,
        row_ranges::RowRanges, values::Dictionary,
    },
    layout::schema::EAGER_BYTES,
    query::{
        column::{ColumnPages, rows_of_page, supplied},
        lookup::Supply,
    },
};

/// A constraint and the column it is about.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) constraint: Constraint,
    pub(crate) column: usize,
}

/// The rows of a row group that may still match.
#[derive(Debug)]
pub(crate) struct GroupSearch {
    pub(crate) group: usize,
    pub(crate) alive: RowRanges,
    pub(crate) supply: Supply,
    /// The number of applied conditions.
    applied: usize,
    /// The state of the next condition, once it is begun.
    open: Option<Open>,
}

/// A condition that bounds alone did not decide.
#[derive(Debug)]
struct Open {
    /// Rows that match by the bounds alone.
    kept: RowRanges,
    /// Rows whose values must be read.
    undecided: RowRanges,
    /// The pages of these rows.
    pages: ColumnPages,
    /// The bloom filter, until it has been used.
    bloom: Option<Range<u64>>,
    values: Option<Values>,
    /// Whether only the presence of a value counts.
    presence_only: bool,
}

/// The dictionary's values, each tested once.
#[derive(Debug)]
struct Values {
    dictionary: Dictionary,
    matches: Vec<bool>,
}

impl GroupSearch {
    pub(crate) fn new(group: usize, rows: u32) -> Self {
        Self {
            group,
            alive: RowRanges::all(rows),
            supply: Supply::default(),
            applied: 0,
            open: None,
        }
    }

    /// Applies conditions until bytes are missing; then asks for them.
    pub(crate) fn advance(
        &mut self,
        footer: &Footer,
        conditions: &[Condition],
    ) -> Result<(), Error> {
        while let Some(condition) = conditions.get(self.applied) {
            if self.alive.is_empty() {
                break;
            }
            let mut open = match self.open.take() {
                Some(open) => open,
                None => Open::new(footer, self.group, condition, &self.alive)?,
            };
            match open.apply(footer, condition, &self.supply)? {
                Some(rows) => {
                    self.alive = rows;
                    self.applied += 1;
                    continue;
                }
                None => {
                    let wanted = self.wanted(footer, conditions, &open)?;
                    self.supply.ask(wanted);
                    self.open = Some(open);
                    return Ok(());
                }
            }
        }
        // Nothing more is read here.
        self.supply.clear();
        Ok(())
    }

    /// The ranges that the open condition needs, and those that the next ones are likely to need if they are small.
    fn wanted(
        &self,
        footer: &Footer,
        conditions: &[Condition],
        open: &Open,
    ) -> Result<Vec<Range<u64>>, Error> {
        let mut wanted = open.wanted();
        let mut size: u64 = wanted.iter().map(|range| range.end - range.start).sum();
        for condition in conditions.iter().skip(self.applied + 1) {
            let next = Open::new(footer, self.group, condition, &self.alive)?;
            size += next.pages.size();
            if size > EAGER_BYTES {
                break;
            }
            wanted.extend(next.pages.ranges());
        }
        Ok(wanted)
    }
}

impl Open {
    /// Decides what bounds can decide.
    fn new(
        footer: &Footer,
        group: usize,
        condition: &Condition,
        alive: &RowRanges,
    ) -> Result<Self, Error> {
        let Condition { constraint, column } = condition;
        let (rows, chunk) = footer.chunk(group, *column)?;
        let (min, max) = footer.chunk_bounds(chunk);
        let nulls = chunk.bounds.nulls;
        let whole = PageBounds {
            all_null: nulls == Some(u64::from(rows)),
            min: min.unwrap_or_default(),
            max: max.unwrap_or_default(),
            nulls,
        };
        let mut open = Self {
            kept: RowRanges::none(),
            undecided: RowRanges::none(),
            pages: ColumnPages::none(group, *column),
            bloom: None,
            values: None,
            presence_only: constraint.any_value && !whole.min.is_empty(),
        };
        match constraint.judge(&whole) {
            Verdict::None => return Ok(open),
            Verdict::All => {
                open.kept = alive.clone();
                return Ok(open);
            }
            Verdict::Some => {}
        }
        open.pages = ColumnPages::of(footer, group, *column)?;
        let bounds = footer.page_bounds(group, *column, open.pages.pages.len())?;
        let (mut kept, mut undecided) = (RowRanges::none(), RowRanges::none());
        for (i, page) in open.pages.pages.iter().enumerate() {
            let bounds = bounds.as_ref().and_then(|bounds| bounds.get(i));
            match bounds.map_or(Verdict::Some, |bounds| constraint.judge(&bounds)) {
                Verdict::None => {}
                Verdict::All => kept.push(page.rows.clone()),
                Verdict::Some => undecided.push(page.rows.clone()),
            }
        }
        open.kept = kept.intersect(alive);
        open.undecided = undecided.intersect(alive);
        open.pages.retain(&open.undecided);
        if open.presence_only {
            // Only the definition levels count.
            open.pages.dictionary = None;
        }
        if constraint.values().is_some() && open.pages.size() > EAGER_BYTES {
            open.bloom.clone_from(&chunk.bloom_filter);
        }
        Ok(open)
    }

    /// The matching rows; `None` if bytes are missing.
    fn apply(
        &mut self,
        footer: &Footer,
        condition: &Condition,
        supply: &Supply,
    ) -> Result<Option<RowRanges>, Error> {
        if self.undecided.is_empty() {
            return Ok(Some(std::mem::take(&mut self.kept)));
        }
        let Condition { constraint, column } = condition;
        if let Some(range) = &self.bloom {
            let Some(bytes) = supply.get(range) else {
                return Ok(None);
            };
            let bloom = check_crc("bloom filter", bytes, self.pages.bloom_crc)
                .and_then(|()| BloomFilter::decode(bytes))
                .map_err(|fault| footer.damaged(range.start, fault))?;
            let values = constraint.values().unwrap_or_default();
            if !values.iter().any(|value| bloom.may_hold(value)) {
                return Ok(Some(std::mem::take(&mut self.kept)));
            }
            self.bloom = None;
        }
        let mut values = match self.values.take() {
            Some(values) => values,
            None => {
                let missing = |range: &Range<u64>| supply.get(range).is_none();
                if self.pages.dictionary.as_ref().is_some_and(missing) {
                    return Ok(None);
                }
                let dictionary = self.pages.dictionary(footer, supply)?;
                let matches = dictionary
                    .iter()
                    .map(|value| constraint.matches(value))
                    .collect();
                Values {
                    dictionary,
                    matches,
                }
            }
        };
        let (_, chunk) = footer.chunk(self.pages.group, *column)?;
        if chunk.all_dictionary && !self.presence_only {
            let absent = constraint.matches_null && chunk.bounds.nulls != Some(0);
            if !absent && values.matches.iter().all(|matches| !matches) {
                return Ok(Some(std::mem::take(&mut self.kept)));
            }
            let present = constraint.matches_null || chunk.bounds.nulls == Some(0);
            if present && values.matches.iter().all(|matches| *matches) {
                return Ok(Some(self.kept.union(&self.undecided)));
            }
        }
        if self
            .pages
            .pages
            .iter()
            .any(|page| supply.get(&page.bytes).is_none())
        {
            self.values = Some(values);
            return Ok(None);
        }
        let matched = self.look(footer, constraint, supply, &mut values)?;
        Ok(Some(self.kept.union(&matched)))
    }

    /// Reads the undecided rows.
    fn look(
        &self,
        footer: &Footer,
        constraint: &Constraint,
        supply: &Supply,
        values: &mut Values,
    ) -> Result<RowRanges, Error> {
        let mut matched = RowRanges::none();
        let stored = values.dictionary.len();
        for location in &self.pages.pages {
            let bytes = supplied(supply, &location.bytes)?;
            let dictionary = &mut values.dictionary;
            let page = if self.presence_only {
                // Ids are not looked up, so any will do.
                self.pages
                    .id_page(footer, location, bytes, dictionary, NULL as usize)?
            } else {
                self.pages
                    .id_page(footer, location, bytes, dictionary, stored)?
            };
            // Values that came with the page.
            for id in values.matches.len()..values.dictionary.len() {
                let value = values.dictionary.get(id).unwrap_or_default();
                values.matches.push(constraint.matches(value));
            }
            let rows = rows_of_page(&self.undecided, &location.rows);
            page.runs(&rows, |row, n, id| {
                let is_match = if id == NULL {
                    constraint.matches_null
                } else {
                    self.presence_only
                        || values.matches.get(id as usize).copied().unwrap_or_default()
                };
                if is_match {
                    let start = location.rows.start + row;
                    matched.push(start..start + n);
                }
            })
            .map_err(|fault| footer.damaged(location.bytes.start, fault))?;
        }
        Ok(matched)
    }

    /// The ranges to read next: for large columns first those that may show that the rest is not needed.
    fn wanted(&self) -> Vec<Range<u64>> {
        if let Some(bloom) = &self.bloom {
            return vec![bloom.clone()];
        }
        match &self.pages.dictionary {
            Some(range) if self.values.is_none() && self.pages.size() > EAGER_BYTES => {
                vec![range.clone()]
            }
            _ => self.pages.ranges().collect(),
        }
    }
}
