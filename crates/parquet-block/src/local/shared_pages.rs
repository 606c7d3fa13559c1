//! Pages that have rows of several readers, decoded once.
//!
//! ```text
//! pages     |      a      |      b      |      c      |
//! readers   |    first    |      second      | third  |     b goes from the first to the second, c to the third
//! ```
//! Which of them comes first does not matter: it leaves the page for the others. The last takes it away.

use std::{ops::Range, sync::Arc};

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::error::Error;

/// Decoded pages that are passed from reader to reader.
#[derive(Debug)]
pub(super) struct SharedPages<T> {
    /// The most bytes that may be held.
    limit: usize,
    held: Mutex<Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    bytes: usize,
    /// By column, and index in the column.
    pages: HashMap<(usize, usize), Asked<T>>,
}

/// A page that one reader has asked for and another one will.
#[derive(Debug)]
struct Asked<T> {
    /// Its rows whose readers have not asked for it.
    left: usize,
    bytes: usize,
    /// `None` while it is decoded, or if there is no room for it.
    page: Option<Arc<T>>,
}

/// A reader's request of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share<'a> {
    pub(super) column: usize,
    /// Its index in the column.
    pub(super) place: usize,
    /// The rows of the page.
    pub(super) page: &'a Range<u32>,
    /// The rows of the reader.
    pub(super) rows: &'a Range<u32>,
}

impl<T> SharedPages<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Mutex::new(Held {
                bytes: 0,
                pages: HashMap::new(),
            }),
        }
    }

    /// The page. `decode` makes and measures it if no other reader has left it. A reader asks for a page once.
    pub(super) fn page(
        &self,
        share: Share<'_>,
        decode: impl FnOnce() -> Result<(T, usize), Error>,
    ) -> Result<Arc<T>, Error> {
        let (rows, page) = (share.rows, share.page);
        let own = (rows.start.max(page.start)..rows.end.min(page.end)).len();
        let others = page.len().saturating_sub(own);
        if others == 0 {
            return Ok(Arc::new(decode()?.0));
        }
        let key = (share.column, share.place);
        if let Some(page) = self.held.lock().ask(key, page.len(), own) {
            return Ok(page);
        }
        // Not under the lock: readers of other pages need not wait.
        let (page, bytes) = decode()?;
        let page = Arc::new(page);
        self.held.lock().leave(key, &page, bytes, self.limit);
        Ok(page)
    }

    /// Frees all pages.
    pub(super) fn clear(&self) {
        let mut held = self.held.lock();
        held.pages.clear();
        held.bytes = 0;
    }

    /// The bytes that are held.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.held.lock().bytes
    }
}

impl<T> Held<T> {
    /// Counts the share of a reader with `own` rows of the page's `rows`.
    fn ask(&mut self, key: (usize, usize), rows: usize, own: usize) -> Option<Arc<T>> {
        let asked = self.pages.entry(key).or_insert(Asked {
            left: rows,
            bytes: 0,
            page: None,
        });
        asked.left = asked.left.saturating_sub(own);
        if asked.left > 0 {
            return asked.page.clone();
        }
        let asked = self.pages.remove(&key)?;
        self.bytes -= asked.bytes;
        asked.page
    }

    /// Leaves a page for those who have not asked yet, if any.
    fn leave(&mut self, key: (usize, usize), page: &Arc<T>, bytes: usize, limit: usize) {
        let Some(asked) = self.pages.get_mut(&key) else {
            return;
        };
        if asked.page.is_none() && self.bytes.saturating_add(bytes) <= limit {
            asked.page = Some(Arc::clone(page));
            asked.bytes = bytes;
            self.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    /// Asks for the page of rows 10 to 20 on behalf of a reader of `rows`; tells whether it was decoded.
    fn ask(pages: &SharedPages<u8>, rows: Range<u32>) -> bool {
        let decoded = Cell::new(false);
        let share = Share {
            column: 3,
            place: 1,
            page: &(10..20),
            rows: &rows,
        };
        let page = pages.page(share, || {
            decoded.set(true);
            Ok((7, 100))
        });
        assert_eq!(*page.unwrap(), 7);
        decoded.get()
    }

    #[test]
    fn a_page_is_decoded_once_for_the_readers_on_both_sides_of_a_border_whichever_is_first() {
        for [first, second] in [[0..13, 13..40], [13..40, 0..13]] {
            let pages = SharedPages::new(1000);
            assert!(ask(&pages, first));
            assert_eq!(pages.bytes(), 100);
            assert!(!ask(&pages, second));
            assert_eq!(pages.bytes(), 0);
        }
    }

    #[test]
    fn a_page_with_rows_of_many_readers_stays_until_the_last_of_them() {
        let pages = SharedPages::new(1000);
        let readers = [0..11, 11..12, 14..20, 12..14];
        assert_eq!(
            readers.map(|rows| ask(&pages, rows)),
            [true, false, false, false]
        );
        assert_eq!(pages.bytes(), 0);
    }

    #[test]
    fn a_page_of_one_reader_is_not_held() {
        let pages = SharedPages::new(1000);
        assert!(ask(&pages, 10..20) && ask(&pages, 5..40));
        assert_eq!(pages.bytes(), 0);
    }

    #[test]
    fn without_room_each_reader_decodes_the_page() {
        let pages = SharedPages::new(99);
        assert!(ask(&pages, 0..13) && ask(&pages, 13..15) && ask(&pages, 15..40));
        assert!(pages.held.lock().pages.is_empty());
    }

    #[test]
    fn a_page_that_does_not_decode_is_tried_again_by_the_next_reader() {
        let pages = SharedPages::new(1000);
        let share = Share {
            column: 3,
            place: 1,
            page: &(10..20),
            rows: &(0..13),
        };
        let error = pages.page(share, || Err(Error::Empty)).unwrap_err();
        assert!(matches!(error, Error::Empty), "{error}");
        assert!(ask(&pages, 13..40));
    }

    proptest! {
        #[test]
        fn nothing_is_left_when_all_rows_have_been_asked_for(
            cuts in prop::collection::btree_set(1..40_u32, 0..9),
            order in any::<prop::sample::Index>(),
            limit in 0..200_usize,
        ) {
            let pages = SharedPages::new(limit);
            let mut ends: Vec<u32> = cuts.into_iter().collect();
            ends.push(40);
            let mut start = 0;
            let mut readers: Vec<Range<u32>> =
                ends.into_iter().map(|end| std::mem::replace(&mut start, end)..end).collect();
            let first = order.index(readers.len());
            readers.rotate_left(first);
            let of_page = readers.iter().filter(|rows| rows.start < 20 && rows.end > 10);
            let decoded = of_page.clone().filter(|rows| ask(&pages, (*rows).clone())).count();
            prop_assert_eq!(decoded, if limit < 100 { of_page.count() } else { 1 });
            prop_assert_eq!(pages.bytes(), 0);
            prop_assert!(pages.held.lock().pages.is_empty());
        }
    }
}
