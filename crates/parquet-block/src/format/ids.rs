//! The values of a label's rows, as ids into the column's dictionary.
//!
//! ```text
//! definition levels   hybrid of 1 bit a row: 1 if the row has a value
//! dictionary ids      u8 width, hybrid of the ids of the rows that have a value
//! ```

use bytes::Bytes;

use super::{
    fault::Fault,
    hybrid::Hybrid,
    page::{Encoding, Page},
    row_ranges::RowRanges,
    values::{ByteArrays, Dictionary},
};

/// Stands for no value.
pub(crate) const NULL: u32 = u32::MAX;

/// The rows of one page of a label's column.
#[derive(Clone, Debug)]
pub(crate) struct IdPage {
    rows: usize,
    levels: Option<Bytes>,
    ids: Ids,
}

#[derive(Clone, Debug)]
enum Ids {
    /// A hybrid of `width` bits; ids are below `limit`.
    Stored { data: Bytes, width: u8, limit: u32 },
    /// One a value, of a page that held the values themselves.
    Given(Vec<u32>),
}

impl IdPage {
    /// Reads a page. The values of a page that is not of ids are added to `dictionary`, whose first
    /// `stored` values are those of the dictionary page.
    pub(crate) fn decode(
        page: Page,
        dictionary: &mut Dictionary,
        stored: usize,
    ) -> Result<Self, Fault> {
        let ids = if page.encoding == Encoding::Dictionary {
            let mut data = page.data;
            // A page of nulls may have no ids at all.
            let width = data.first().copied().unwrap_or_default();
            if !data.is_empty() {
                let _ = data.split_to(1);
            }
            Hybrid::new(&data, width)?;
            Ids::Stored {
                data,
                width,
                limit: u32::try_from(stored).unwrap_or(NULL),
            }
        } else {
            let present = match &page.levels {
                Some(levels) => Hybrid::new(levels, 1)?.count_ones(page.values)?,
                None => page.values,
            };
            Ids::Given(add(&ByteArrays::decode(&page, present)?, dictionary)?)
        };
        Ok(Self {
            rows: page.values,
            levels: page.levels,
            ids,
        })
    }

    /// Bytes that it takes.
    pub(crate) fn memory_size(&self) -> usize {
        let ids = match &self.ids {
            Ids::Stored { data, .. } => data.len(),
            Ids::Given(ids) => size_of_val(ids.as_slice()),
        };
        self.levels.as_ref().map_or(0, Bytes::len) + ids
    }

    /// Appends the id of each of `rows`, counted within the page.
    pub(crate) fn read(&self, rows: &RowRanges, out: &mut Vec<u32>) -> Result<(), Fault> {
        let mut cursor = self.cursor()?;
        let mut at = 0;
        for range in rows.iter() {
            let (start, len) = (range.start as usize, range.len());
            if start + len > self.rows {
                return Err(Fault::new(0, format!("rows {range:?} of {}", self.rows)));
            }
            cursor.skip(start - at)?;
            cursor.read(len, out)?;
            at = start + len;
        }
        Ok(())
    }

    /// Calls `take(first row, rows, id)` for runs of equal ids of `rows`, counted within the page.
    pub(crate) fn runs(
        &self,
        rows: &RowRanges,
        mut take: impl FnMut(u32, u32, u32),
    ) -> Result<(), Fault> {
        let mut cursor = self.cursor()?;
        let mut scratch = Vec::new();
        let mut at = 0;
        for range in rows.iter() {
            let (start, len) = (range.start as usize, range.len());
            if start + len > self.rows {
                return Err(Fault::new(0, format!("rows {range:?} of {}", self.rows)));
            }
            cursor.skip(start - at)?;
            at = start + len;
            let mut row = range.start;
            let mut run = |id, n: usize| {
                // No longer than `range`, whose ends are 32-bit.
                let n = u32::try_from(n).unwrap_or(u32::MAX);
                take(row, n, id);
                row = row.saturating_add(n);
            };
            if cursor.all_present(len)? {
                cursor.runs(len, run)?;
            } else {
                scratch.clear();
                cursor.read(len, &mut scratch)?;
                for same in scratch.chunk_by(|a, b| a == b) {
                    run(same.first().copied().unwrap_or(NULL), same.len());
                }
            }
        }
        Ok(())
    }

    fn cursor(&self) -> Result<Cursor<'_>, Fault> {
        let levels = match &self.levels {
            Some(levels) => Some(Hybrid::new(levels, 1)?),
            None => None,
        };
        let ids = match &self.ids {
            Ids::Stored { data, width, limit } => Source::Stored {
                hybrid: Hybrid::new(data, *width)?,
                limit: *limit,
            },
            Ids::Given(ids) => Source::Given(ids),
        };
        Ok(Cursor {
            levels,
            ids,
            levels_scratch: Vec::new(),
        })
    }
}

/// Adds values to a dictionary, equal ones that follow one another once.
fn add(values: &ByteArrays, dictionary: &mut Dictionary) -> Result<Vec<u32>, Fault> {
    let mut ids = Vec::with_capacity(values.len());
    let mut last: Option<(&[u8], u32)> = None;
    for i in 0..values.len() {
        let value = values.get(i).unwrap_or_default();
        let id = match last {
            Some((before, id)) if before == value => id,
            _ => dictionary.push(value)?,
        };
        last = Some((value, id));
        ids.push(id);
    }
    Ok(ids)
}

struct Cursor<'a> {
    levels: Option<Hybrid<'a>>,
    ids: Source<'a>,
    levels_scratch: Vec<u32>,
}

enum Source<'a> {
    Stored { hybrid: Hybrid<'a>, limit: u32 },
    Given(&'a [u32]),
}

impl Cursor<'_> {
    fn skip(&mut self, n: usize) -> Result<(), Fault> {
        let present = match &mut self.levels {
            Some(levels) => levels.count_ones(n)?,
            None => n,
        };
        self.ids.skip(present)
    }

    /// Whether the next `n` rows are stored as all having a value. False tells nothing.
    fn all_present(&mut self, n: usize) -> Result<bool, Fault> {
        match &mut self.levels {
            Some(levels) => levels.is_run_of(1, n),
            None => Ok(true),
        }
    }

    /// The ids of the next `n` rows, of which it is known that all have a value.
    fn runs(&mut self, n: usize, take: impl FnMut(u32, usize)) -> Result<(), Fault> {
        if let Some(levels) = &mut self.levels {
            levels.skip(n)?;
        }
        self.ids.runs(n, take)
    }

    fn read(&mut self, n: usize, out: &mut Vec<u32>) -> Result<(), Fault> {
        if self.all_present(n)? {
            return self.runs(n, |id, count| out.resize(out.len() + count, id));
        }
        let Some(levels) = &mut self.levels else {
            return Ok(());
        };
        self.levels_scratch.clear();
        levels.read(n, &mut self.levels_scratch)?;
        let present = self
            .levels_scratch
            .iter()
            .filter(|level| **level != 0)
            .count();
        let start = out.len();
        self.ids
            .runs(present, |id, count| out.resize(out.len() + count, id))?;
        // Spread the ids over the rows, from the last on, so that none is overwritten before it is moved.
        out.resize(start + n, NULL);
        let rows = out.get_mut(start..).unwrap_or_default();
        let mut from = present;
        for (row, level) in self.levels_scratch.iter().enumerate().rev() {
            let mut id = NULL;
            if *level != 0 {
                from -= 1;
                id = rows.get(from).copied().unwrap_or(NULL);
            }
            if let Some(slot) = rows.get_mut(row) {
                *slot = id;
            }
        }
        Ok(())
    }
}

impl Source<'_> {
    fn skip(&mut self, n: usize) -> Result<(), Fault> {
        match self {
            Self::Stored { hybrid, .. } => hybrid.skip(n),
            Self::Given(ids) => take(ids, n).map(drop),
        }
    }

    fn runs(&mut self, n: usize, mut each: impl FnMut(u32, usize)) -> Result<(), Fault> {
        match self {
            Self::Stored { hybrid, limit } => {
                let limit = *limit;
                let mut beyond = None;
                hybrid.runs(n, |id, count| {
                    if id >= limit {
                        beyond = Some(id);
                    }
                    each(id, count);
                })?;
                match beyond {
                    Some(id) => Err(Fault::new(0, format!("id {id} in a dictionary of {limit}"))),
                    None => Ok(()),
                }
            }
            Self::Given(ids) => {
                for id in take(ids, n)? {
                    each(*id, 1);
                }
                Ok(())
            }
        }
    }
}

fn take<'a>(ids: &mut &'a [u32], n: usize) -> Result<&'a [u32], Fault> {
    let (head, rest) = ids
        .split_at_checked(n)
        .ok_or_else(|| Fault::new(0, "fewer values than definition levels tell"))?;
    *ids = rest;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::format::{hybrid::tests::encode, ids::*};

    fn page(rows: &[Option<u32>], values: usize) -> (Page, Dictionary) {
        let levels: Vec<u32> = rows.iter().map(|r| u32::from(r.is_some())).collect();
        let ids: Vec<u32> = rows.iter().flatten().copied().collect();
        let mut data = vec![6];
        data.extend(encode(&ids, 6));
        let mut dictionary = Dictionary::default();
        for i in 0..values {
            dictionary.push(i.to_string().as_bytes()).unwrap();
        }
        let page = Page {
            values: rows.len(),
            encoding: Encoding::Dictionary,
            levels: Some(encode(&levels, 1).into()),
            data: data.into(),
        };
        (page, dictionary)
    }

    fn any_rows() -> impl Strategy<Value = Vec<Option<u32>>> {
        let run = (prop::option::of(0..50u32), prop_oneof![Just(1), 1..30usize]);
        prop::collection::vec(run, 1..20)
            .prop_map(|runs| runs.into_iter().flat_map(|(v, n)| vec![v; n]).collect())
    }

    proptest! {
        #[test]
        fn any_rows_of_a_page_are_read(rows in any_rows(), wanted in prop::collection::vec((0..300u32, 1..20u32), 0..8)) {
            let (page, mut dictionary) = page(&rows, 50);
            let page = IdPage::decode(page, &mut dictionary, 50).unwrap();
            let all = u32::try_from(rows.len()).unwrap();
            let wanted: RowRanges = wanted.into_iter().map(|(s, n)| s.min(all)..(s + n).min(all)).collect();
            let expected: Vec<u32> = wanted.rows().map(|r| rows[r as usize].unwrap_or(NULL)).collect();

            let mut read = Vec::new();
            page.read(&wanted, &mut read).unwrap();
            prop_assert_eq!(&read, &expected);

            let (mut by_run, mut order) = (Vec::new(), Vec::new());
            page.runs(&wanted, |row, n, id| {
                order.extend(row..row + n);
                by_run.resize(by_run.len() + n as usize, id);
            }).unwrap();
            prop_assert_eq!(&by_run, &expected);
            prop_assert_eq!(order, wanted.rows().collect::<Vec<_>>());
        }
    }

    #[test]
    fn ids_past_the_dictionary_and_rows_past_the_page_are_refused() {
        let (bad, mut dictionary) = page(&[Some(1), Some(49)], 49);
        let bad = IdPage::decode(bad, &mut dictionary, 49).unwrap();
        let mut out = Vec::new();
        assert!(bad.read(&RowRanges::all(2), &mut out).is_err());
        assert!(bad.read(&RowRanges::all(1), &mut out).is_ok());
        assert!(bad.read(&RowRanges::all(3), &mut out).is_err());
    }
}
