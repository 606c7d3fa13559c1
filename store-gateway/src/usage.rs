//! What requests read, by the kind of data.

use std::sync::atomic::{AtomicU64, Ordering};

/// What bytes of a block are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataKind {
    /// Opening a block: the tables of an index, footers.
    Header,
    /// Finding series: posting lists, and label pages that a search reads.
    Postings,
    /// The labels of series: entries of an index, and label pages of found rows.
    Series,
    /// Chunks, and pages of them.
    Chunks,
}

/// What one request has read. The counts order no other memory.
#[derive(Debug, Default)]
pub(crate) struct Usage([OfKind; 4]);

/// What one request has read of one kind.
#[derive(Debug, Default)]
pub(crate) struct OfKind {
    touched: AtomicU64,
    touched_bytes: AtomicU64,
    fetched: AtomicU64,
    fetched_bytes: AtomicU64,
}

/// Numbers of items and of their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) items: u64,
    pub(crate) bytes: u64,
}

impl DataKind {
    /// All, in the order of their numbers.
    pub(crate) const ALL: [Self; 4] = [Self::Header, Self::Postings, Self::Series, Self::Chunks];

    /// Those that a request reads of an open block.
    pub(crate) const OF_REQUESTS: [Self; 3] = [Self::Postings, Self::Series, Self::Chunks];

    /// The value of the label `data_type`.
    pub(crate) const fn data_type(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Postings => "postings",
            Self::Series => "series",
            Self::Chunks => "chunks",
        }
    }

    /// The value of the label `item_type`.
    pub(crate) const fn item_type(self) -> &'static str {
        match self {
            Self::Header => "Header",
            Self::Postings => "Postings",
            Self::Series => "Series",
            Self::Chunks => "Chunks",
        }
    }
}

impl Usage {
    /// Counts items that the request works with, wherever they come from.
    pub(crate) fn touch(&self, kind: DataKind, amount: Amount) {
        let of = self.of(kind);
        of.touched.fetch_add(amount.items, Ordering::Relaxed);
        of.touched_bytes.fetch_add(amount.bytes, Ordering::Relaxed);
    }

    /// Counts what is read from the bucket.
    pub(crate) fn fetch(&self, kind: DataKind, amount: Amount) {
        let of = self.of(kind);
        of.fetched.fetch_add(amount.items, Ordering::Relaxed);
        of.fetched_bytes.fetch_add(amount.bytes, Ordering::Relaxed);
    }

    pub(crate) fn touched(&self, kind: DataKind) -> Amount {
        let of = self.of(kind);
        Amount {
            items: of.touched.load(Ordering::Relaxed),
            bytes: of.touched_bytes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn fetched(&self, kind: DataKind) -> Amount {
        let of = self.of(kind);
        Amount {
            items: of.fetched.load(Ordering::Relaxed),
            bytes: of.fetched_bytes.load(Ordering::Relaxed),
        }
    }

    const fn of(&self, kind: DataKind) -> &OfKind {
        let Self([header, postings, series, chunks]) = self;
        match kind {
            DataKind::Header => header,
            DataKind::Postings => postings,
            DataKind::Series => series,
            DataKind::Chunks => chunks,
        }
    }
}
