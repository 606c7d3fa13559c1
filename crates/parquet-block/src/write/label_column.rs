//! The column of a label: a sorted dictionary of its values, and for each row an id or null.

use std::ops::Range;

use model::Quoted;
use rayon::prelude::*;

use super::{
    options::{PageOptions, WriteOptions},
    rows::Symbols,
};
use crate::{
    error::Error,
    format::{
        bloom,
        bounds::Bounds,
        file::ColumnKind,
        hybrid,
        page::{self, DataPage, EncodedColumn, EncodedPage},
    },
};

/// A dictionary is a page, whose size is a 32-bit integer.
const MAX_DICTIONARY: usize = 1 << 30;

/// The rows with a label, ascending, and the symbols of its values.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    rows: Vec<u32>,
    ids: Vec<u32>,
}

/// The distinct values of a column.
struct Dictionary<'a> {
    /// Ascending, as are their strings.
    ids: Vec<u32>,
    symbols: &'a dyn Symbols,
}

/// The rows of a page, and the cells that they have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cut {
    rows: Range<usize>,
    cells: Range<usize>,
}

impl Cells {
    pub(super) fn push(&mut self, row: usize, id: u32) {
        self.rows.push(u32::try_from(row).unwrap_or(u32::MAX));
        self.ids.push(id);
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Cuts `rows` rows into pages of `most` rows; rows without cells after a page without cells join it.
    fn cut(&self, rows: usize, most: usize) -> Vec<Cut> {
        let mut pages: Vec<Cut> = Vec::new();
        let mut cell = 0;
        for start in (0..rows).step_by(most.max(1)) {
            let end = rows.min(start + most.max(1));
            let of_page = self.rows.get(cell..).unwrap_or_default();
            let cells = cell..cell + of_page.partition_point(|row| (*row as usize) < end);
            cell = cells.end;
            match pages.last_mut() {
                Some(last) if last.cells.is_empty() && cells.is_empty() => last.rows.end = end,
                _ => pages.push(Cut {
                    rows: start..end,
                    cells,
                }),
            }
        }
        pages
    }
}

impl<'a> Dictionary<'a> {
    fn of(cells: &Cells, symbols: &'a dyn Symbols) -> Self {
        let mut ids = cells.ids.clone();
        ids.dedup();
        ids.sort_unstable();
        ids.dedup();
        Self { ids, symbols }
    }

    fn get(&self, place: usize) -> &'a [u8] {
        let id = self.ids.get(place);
        id.map_or(&[], |id| self.symbols.get(*id))
    }

    fn values(&self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.ids.iter().map(|id| self.symbols.get(*id))
    }

    /// The dictionary ids of symbols, all of which are in it.
    fn places(&self, ids: &[u32], out: &mut Vec<u32>) {
        let mut last = (None, 0);
        out.extend(ids.iter().map(|id| {
            // Usually the value is that of the row before.
            if last.0 != Some(id) {
                let place = self.ids.partition_point(|known| known < id);
                last = (Some(id), u32::try_from(place).unwrap_or(u32::MAX));
            }
            last.1
        }));
    }

    fn encode(&self, level: i32) -> Result<EncodedPage, Error> {
        let mut plain = Vec::new();
        let mut before = None;
        for value in self.values() {
            if let Some(before) = before.filter(|before| *before >= value) {
                let [value, before] = [value, before].map(Quoted);
                return Err(Error::layout(format!(
                    "symbols: expected in ascending order, found {value} after {before}"
                )));
            }
            before = Some(value);
            let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
            plain.extend_from_slice(&len.to_le_bytes());
            plain.extend_from_slice(value);
        }
        if plain.len() > MAX_DICTIONARY {
            let len = plain.len();
            return Err(Error::layout(format!(
                "row group: expected at most {MAX_DICTIONARY} bytes of values of a label, found {len}"
            )));
        }
        page::dictionary(&plain, self.ids.len(), level)
    }
}

/// Encodes the column of the label `name`, which `rows` rows may have.
pub(super) fn encode(
    name: &[u8],
    cells: &Cells,
    rows: usize,
    symbols: &dyn Symbols,
    options: &WriteOptions,
) -> Result<EncodedColumn, Error> {
    let filters = options.bloom_filters;
    let options = &options.labels;
    let dictionary = Dictionary::of(cells, symbols);
    let width = hybrid::width_of(dictionary.ids.len());
    // A bit for the level, and the id.
    let most = options
        .rows
        .min(options.bytes.saturating_mul(8) / (usize::from(width) + 1));
    let pages = cells
        .cut(rows, most)
        .into_par_iter()
        .map(|cut| encode_page(cells, cut, &dictionary, width, options))
        .collect::<Result<_, _>>()?;
    let last = dictionary.ids.len().checked_sub(1);
    let stored = dictionary.encode(options.zstd_level)?;
    let has_filter = filters.include(name, stored.len());
    Ok(EncodedColumn {
        pages,
        bounds: last.map(|last| Bounds::of(dictionary.get(0), dictionary.get(last))),
        bloom_filter: has_filter
            .then(|| bloom::encode(dictionary.values()))
            .transpose()?,
        dictionary: Some(stored),
    })
}

fn encode_page(
    cells: &Cells,
    cut: Cut,
    dictionary: &Dictionary<'_>,
    width: u8,
    options: &PageOptions,
) -> Result<EncodedPage, Error> {
    let (rows, present) = (cut.rows.len(), cut.cells.len());
    let mut levels = Vec::new();
    if present == 0 || present == rows {
        hybrid::put_run(u32::from(present > 0), rows, 1, &mut levels);
    } else {
        let mut of_rows = vec![0; rows];
        for row in cells.rows.get(cut.cells.clone()).unwrap_or_default() {
            if let Some(level) = of_rows.get_mut(*row as usize - cut.rows.start) {
                *level = 1;
            }
        }
        hybrid::encode(&of_rows, 1, &mut levels);
    }
    let mut places = Vec::with_capacity(present);
    dictionary.places(cells.ids.get(cut.cells).unwrap_or_default(), &mut places);
    let mut values = vec![width];
    hybrid::encode(&places, width, &mut values);
    let bounds = places.iter().min().zip(places.iter().max());
    let bounds = bounds.map(|(min, max)| {
        let [min, max] = [min, max].map(|place| dictionary.get(*place as usize));
        Bounds::of(min, max)
    });
    let contents = DataPage {
        rows,
        nulls: rows - present,
        encoding: ColumnKind::Strings.encoding(),
        levels: &levels,
        made: &values,
        values: Vec::new(),
        bounds,
    };
    contents.encode(options.compression())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_equal_numbers_of_rows_and_those_without_cells_are_joined() {
        let mut cells = Cells::default();
        for row in [1, 2, 31] {
            cells.push(row, 7);
        }
        let cut = |rows, cells| Cut { rows, cells };
        assert_eq!(
            cells.cut(45, 10),
            [
                cut(0..10, 0..2),
                cut(10..30, 2..2),
                cut(30..40, 2..3),
                cut(40..45, 3..3)
            ]
        );
        assert_eq!(Cells::default().cut(45, 10), [cut(0..45, 0..0)]);
        assert!(Cells::default().cut(0, 10).is_empty());
    }
}
