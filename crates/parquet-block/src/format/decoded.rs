//! Decoded pages of a file that are kept for other lookups, so that each is checked and decompressed once.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;

use super::{fault::Fault, footer::Footer, page::Page};

/// A page whose checksum is right, decompressed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DecodedPage {
    pub(crate) page: Page,
    pub(crate) role: PageRole,
}

/// What the footer says that a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageRole {
    Dictionary,
    Data { rows: usize, optional: bool },
}

/// Where the decoded pages of one version of one file are kept.
pub trait DecodedPages: fmt::Debug + Send + Sync {
    /// The page whose bytes are in this range of the file, if it is kept.
    fn get(&self, range: &Range<u64>) -> Option<DecodedPage>;

    /// Keeps a page, or does not. `stored` are the bytes of the range, which the page may share.
    fn put(&self, range: &Range<u64>, stored: &Bytes, page: &DecodedPage);
}

impl DecodedPage {
    /// Whether the page has parts of `stored` in it.
    #[must_use]
    pub fn shares(&self, stored: &Bytes) -> bool {
        let within = stored.as_ptr_range();
        let mut parts = std::iter::once(&self.page.data).chain(&self.page.levels);
        parts.any(|part| !part.is_empty() && within.contains(&part.as_ptr()))
    }

    /// Its size in bytes, those that it shares with the stored page included.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        let levels = self.page.levels.as_ref().map_or(0, Bytes::len);
        self.page.data.len() + levels + size_of::<Self>()
    }
}

impl Footer {
    /// The same footer; lookups take decoded pages from `pages`, and give them what they decode.
    #[must_use]
    pub fn with_decoded(mut self, pages: Arc<dyn DecodedPages>) -> Self {
        self.decoded = Some(pages);
        self
    }

    /// The page of `role` in `range`, whose bytes are `stored`: a kept one, or what `decode` gives.
    pub(crate) fn page(
        &self,
        range: &Range<u64>,
        stored: &Bytes,
        role: PageRole,
        decode: impl FnOnce() -> Result<Page, Fault>,
    ) -> Result<Page, Fault> {
        let Some(pages) = &self.decoded else {
            return decode();
        };
        if let Some(kept) = pages.get(range)
            && kept.role == role
        {
            return Ok(kept.page);
        }
        let page = DecodedPage {
            page: decode()?,
            role,
        };
        pages.put(range, stored, &page);
        Ok(page.page)
    }
}
