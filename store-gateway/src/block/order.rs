//! Series in another order than that in which a block stores them, in bounded memory.
//!
//! ```text
//! labels of all that match ─▶ FirstSeries: those that come first, as many as may be held, in the order wanted
//!        ▲                      │
//!        │                      ▼
//!        │              Window: some of them, read as they are stored, given as they are wanted;
//!        │                      │ what does not fit is read again with the next window
//!        └── those behind ◀─────┘
//! ```
//! Where little is known to tell the whole order (labels before `__name__` of a Parquet block), there is no need to
//! look for the first: windows follow one another. The request counts what is held in [`HeldBytes`].

use std::{collections::BTreeMap, mem, sync::Arc};

use bytes::Bytes;
use model::Labels;
use series::FinalLabels;
use tokio::sync::mpsc::Sender;

use super::{BlockError, BlockQuery, BlockSeries, RequestBudget};
use crate::memory::HeldBytes;

/// Bytes of labels and positions that are held in the search for the first series.
pub(super) const FIRST_BYTES: usize = scaled(4 << 20);
/// Bytes of a window's series. One alone may have more.
pub(super) const WINDOW_BYTES: usize = scaled(8 << 20);
/// The most bytes that are held, besides 16 a series for positions.
#[cfg(test)]
pub(crate) const HELD_BYTES: usize = FIRST_BYTES + WINDOW_BYTES;
/// Bytes of series in a batch, unless one alone has more.
const BATCH_BYTES: usize = 2 << 20;
/// Series of the first window: few, so that the first answer is soon there.
const FIRST_SERIES: usize = 64;
/// Series of a window.
const MOST_SERIES: usize = 4096;
/// What a series takes besides labels and chunks, and a chunk besides its data.
const OVERHEAD: usize = 64;

/// Less in tests, so that small blocks exceed it.
pub(super) const fn scaled(bytes: usize) -> usize {
    if cfg!(test) { bytes >> 8 } else { bytes }
}

/// The order in which the series of a block are requested.
#[derive(Clone, Debug)]
pub(crate) enum BlockOrder {
    /// The stored order: in a TSDB block by all labels; in a Parquet block by `__name__`, then by all labels.
    Stored,
    /// First by these labels, which sort before `__name__`, then as stored. For a Parquet block in which each series
    /// has a name.
    BeforeName(Arc<[Vec<u8>]>),
    /// By final labels. The series come under these. Equal ones follow one another.
    Final(Arc<FinalLabels>),
}

/// Finds the first series after those that were taken. Each pass offers all series, in the same order.
#[derive(Debug)]
pub(super) struct FirstSeries<T> {
    labels: Arc<FinalLabels>,
    /// The last series that was taken.
    taken: Option<SortKey>,
    /// With their sizes.
    found: BTreeMap<SortKey, (T, usize)>,
    bytes: usize,
    /// How many series were offered in this pass.
    offered: u64,
    /// Whether some series were left for a later pass.
    more: bool,
    hold: HeldBytes,
}

/// What series are sorted by: their final labels, then the order in which they were offered.
type SortKey = (Labels, u64);

/// Series that are read in another order than the requested one.
#[derive(Debug)]
pub(super) struct Window {
    /// By their positions in the requested order. If there is no room, the last ones are dropped.
    series: Vec<Option<BlockSeries>>,
    bytes: usize,
    hold: HeldBytes,
}

/// Sends windows.
pub(super) struct WindowSender<'a> {
    out: &'a Sender<Vec<BlockSeries>>,
    budget: &'a RequestBudget,
    /// How many series may still be sent.
    left: usize,
    skip_chunks: bool,
    /// How many series the next window has.
    series: usize,
}

impl<T> FirstSeries<T> {
    pub(super) fn new(labels: Arc<FinalLabels>, hold: HeldBytes) -> Self {
        Self {
            labels,
            taken: None,
            found: BTreeMap::new(),
            bytes: 0,
            offered: 0,
            more: false,
            hold,
        }
    }

    /// Offers a series; `size` is the size of `item` in bytes.
    pub(super) fn offer(&mut self, own: Labels, item: T, size: usize) {
        let key = (self.labels.apply(own), self.offered);
        self.offered += 1;
        let last = self.found.last_key_value().filter(|_| self.more);
        if self.taken.as_ref().is_some_and(|taken| key <= *taken)
            || last.is_some_and(|(last, _)| key > *last)
        {
            return;
        }
        let size = key.0.heap_size() + size + OVERHEAD;
        self.bytes += size;
        self.found.insert(key, (item, size));
        while self.bytes > FIRST_BYTES
            && self.found.len() > 1
            && let Some((_, (_, size))) = self.found.pop_last()
        {
            self.bytes -= size;
            self.more = true;
        }
        self.hold.set(self.bytes as u64);
    }

    /// The series that were found, in order, and whether another pass is needed.
    pub(super) fn take(&mut self) -> (Vec<(Labels, T)>, bool) {
        let found = mem::take(&mut self.found);
        if let Some((last, _)) = found.last_key_value() {
            self.taken = Some(last.clone());
        }
        self.offered = 0;
        let found = found
            .into_iter()
            .map(|((labels, _), (item, _))| (labels, item));
        (found.collect(), mem::take(&mut self.more))
    }

    /// The taken series are no longer held.
    pub(super) fn release(&mut self) {
        self.bytes = 0;
        self.hold.set(0);
    }
}

impl Window {
    /// A window of so many series.
    pub(super) fn new(series: usize, hold: HeldBytes) -> Self {
        Self {
            series: vec![None; series],
            bytes: 0,
            hold,
        }
    }

    /// Puts a series at its position. Its chunks are copied, so that it does not hold the pages that it was read from.
    pub(super) fn put(&mut self, place: usize, mut series: BlockSeries) {
        let Some(slot) = self.series.get_mut(place) else {
            return;
        };
        for chunk in &mut series.chunks {
            chunk.data = Bytes::copy_from_slice(&chunk.data);
        }
        self.bytes += size(&series);
        *slot = Some(series);
        while self.bytes > WINDOW_BYTES && self.series.len() > 1 {
            if let Some(series) = self.series.pop().flatten() {
                self.bytes -= size(&series);
            }
        }
        self.hold.set(self.bytes as u64);
    }
}

impl<'a> WindowSender<'a> {
    pub(super) fn new(
        query: &BlockQuery,
        budget: &'a RequestBudget,
        out: &'a Sender<Vec<BlockSeries>>,
    ) -> Self {
        Self {
            out,
            budget,
            left: if query.limit > 0 {
                query.limit
            } else {
                usize::MAX
            },
            skip_chunks: query.skip_chunks,
            series: FIRST_SERIES,
        }
    }

    /// Whether enough series were sent, or the receiver is gone.
    pub(super) fn is_done(&self) -> bool {
        self.left == 0 || self.out.is_closed()
    }

    /// The first series of `rest`, which make a window.
    pub(super) fn window<'r, R>(&self, rest: &'r [R]) -> &'r [R] {
        rest.get(..self.series).unwrap_or(rest)
    }

    /// Sends a window, and returns the part of `rest` still to be read: none if no more are requested.
    pub(super) async fn send<'r, R: Sync>(
        &mut self,
        window: Window,
        rest: &'r [R],
    ) -> Result<&'r [R], BlockError> {
        let taken = window.series.len();
        self.series = next_series(self.series, taken, window.bytes);
        let read = window.series.into_iter().flatten().take(self.left);
        let read: Vec<BlockSeries> = read.collect();
        self.left -= read.len();
        if !self.skip_chunks {
            let chunks = read.iter().map(|series| series.chunks.len() as u64);
            self.budget.add_chunks(chunks.sum())?;
        }
        for batch in batches(read) {
            if self.out.send(batch).await.is_err() {
                return Ok(&[]);
            }
        }
        drop(window.hold);
        match self.left {
            0 => Ok(&[]),
            _ => Ok(rest.get(taken..).unwrap_or_default()),
        }
    }
}

/// How many series to try after `taken` had so many bytes: as many as should fit, and at most four times as many as
/// now.
fn next_series(now: usize, taken: usize, bytes: usize) -> usize {
    let fitting = taken.saturating_mul(WINDOW_BYTES - WINDOW_BYTES / 4) / bytes.max(1);
    fitting.clamp(1, now.saturating_mul(4).min(MOST_SERIES))
}

/// Cuts series into batches.
fn batches(series: Vec<BlockSeries>) -> Vec<Vec<BlockSeries>> {
    let mut batches: Vec<Vec<BlockSeries>> = Vec::new();
    let mut bytes = 0;
    for one in series {
        bytes += size(&one);
        match batches.last_mut() {
            Some(batch) if bytes <= BATCH_BYTES => batch.push(one),
            _ => {
                bytes = size(&one);
                batches.push(vec![one]);
            }
        }
    }
    batches
}

fn size(series: &BlockSeries) -> usize {
    let chunks = series.chunks.iter();
    let chunks: usize = chunks.map(|chunk| chunk.data.len() + OVERHEAD).sum();
    series.labels.heap_size() + chunks + OVERHEAD
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use tsdb::{Chunk, Encoding};

    use super::*;
    use crate::{block::tests::fixture::free, config::Limits, memory::HeldFor};

    fn series(number: usize, bytes: usize) -> BlockSeries {
        let chunk = Chunk {
            encoding: Encoding::Xor,
            min: Timestamp(0),
            max: Timestamp(0),
            data: vec![0; bytes].into(),
        };
        BlockSeries {
            labels: Labels::from_pairs([("i", format!("{number:06}"))]),
            chunks: vec![chunk],
        }
    }

    #[test]
    fn a_window_that_is_full_gives_up_the_last_ones_and_never_the_first() {
        let budget = RequestBudget::of_test(Limits::default());
        let mut window = Window::new(4, budget.hold(HeldFor::Order));
        let eighths = |n: usize| n * WINDOW_BYTES / 8;
        window.put(2, series(2, eighths(3)));
        window.put(0, series(0, eighths(4)));
        assert_eq!(window.series.len(), 4);
        // The last is empty; the third goes, too.
        window.put(1, series(1, eighths(2)));
        assert_eq!(window.series.len(), 2);
        window.put(3, series(3, 1));
        assert_eq!(window.series.len(), 2);
        window.put(0, series(0, eighths(20)));
        assert_eq!(window.series.len(), 1);
        assert!(budget.most_held() > WINDOW_BYTES as u64);
        drop(window);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn the_first_series_are_found_pass_by_pass_and_no_more_than_may_be_is_held() {
        let budget = free();
        let labels = Arc::new(FinalLabels::default());
        let mut first = FirstSeries::new(labels, budget.hold(HeldFor::Order));
        // In no order, and each label set twice.
        let all: Vec<usize> = (0..200).map(|i| i * 7 % 100).collect();
        let (mut got, mut passes) = (Vec::new(), 0);
        loop {
            for (number, i) in all.iter().enumerate() {
                first.offer(series(*i, 0).labels, number, 400);
            }
            let (found, more) = first.take();
            got.extend(found);
            passes += 1;
            first.release();
            if !more {
                break;
            }
        }
        assert_eq!(passes, (200 * 479_usize).div_ceil(FIRST_BYTES));
        assert!(budget.most_held() <= FIRST_BYTES as u64);
        let mut expected: Vec<_> = all.iter().enumerate().collect();
        expected.sort_by_key(|(number, i)| (**i, *number));
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(number, i)| (series(*i, 0).labels, number))
            .collect();
        assert!(got == expected);
    }

    #[test]
    fn windows_grow_slowly_and_shrink_at_once() {
        assert_eq!(next_series(64, 64, 1000), 256);
        assert_eq!(next_series(2048, 2048, 1000), MOST_SERIES);
        assert_eq!(next_series(256, 100, WINDOW_BYTES), 75);
        assert_eq!(next_series(4, 1, 100 * WINDOW_BYTES), 1);
    }

    #[test]
    fn batches_are_cut_by_bytes_and_none_is_empty() {
        let all = [1, 2, 30, 1, 1].map(|quarters| series(0, quarters * BATCH_BYTES / 4));
        let lens: Vec<usize> = batches(all.into()).iter().map(Vec::len).collect();
        assert_eq!(lens, [2, 1, 2]);
        assert!(batches(Vec::new()).is_empty());
    }
}
