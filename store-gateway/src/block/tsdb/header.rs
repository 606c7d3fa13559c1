//! The header of a block's index: opened from the disk, or built from the bucket.

use std::{
    io::Write,
    ops::{Range, RangeInclusive},
    path::Path,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tsdb::{HeaderIdentity, HeaderRoot, HeaderWriter, IndexHeader, Toc};

use super::{BlockError, BlockSource, CatalogBlock, INDEX_GAP, TsdbBlock, damaged};
use crate::{
    catalog::stamp,
    fetch::{ListedObject, Piece, Wanted},
    usage::DataKind,
};

/// The part of an index that is read first at either end, if it is too large to be read whole. It usually has the
/// symbols and the postings offset table.
const ENDS_SHARE: u64 = 32;
/// The least and the most of that, in bytes.
const FIRST: RangeInclusive<u64> = 64 << 10..=1 << 20;
/// Bytes of a section that are fetched at once.
const PIECE: u64 = 4 << 20;
/// Pieces that are fetched at once.
const AT_ONCE: usize = 4;

/// An index in the bucket from which a header is built.
struct Source<'a> {
    block: &'a CatalogBlock,
    source: &'a BlockSource,
    index: &'a ListedObject,
    toc: Toc,
    /// The parts that have been read, in order.
    known: Vec<Piece>,
}

/// A header and its origin.
pub(super) struct OpenedHeader {
    pub(super) header: IndexHeader,
    pub(super) origin: Origin,
}

/// The origin of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was on the disk.
    Disk,
    /// It was just built from the bucket.
    Bucket,
}

/// The header of a block's index.
pub(super) async fn open(
    block: &CatalogBlock,
    source: &BlockSource,
    index: &ListedObject,
) -> Result<OpenedHeader, BlockError> {
    let metrics = &source.headers.metrics;
    let started = Instant::now();
    metrics.lazy_loads.inc();
    let opened = match kept(block, source, index).await {
        Ok(Some(header)) => Ok(OpenedHeader {
            header,
            origin: Origin::Disk,
        }),
        Ok(None) => make(block, source, index).await.map(|header| OpenedHeader {
            header,
            origin: Origin::Bucket,
        }),
        Err(error) => Err(error),
    };
    match &opened {
        Ok(_) => metrics
            .lazy_load_duration
            .observe(started.elapsed().as_secs_f64()),
        Err(_) => {
            metrics.lazy_load_failures.inc();
        }
    }
    opened
}

/// The header on the disk, if there is one.
async fn kept(
    block: &CatalogBlock,
    source: &BlockSource,
    index: &ListedObject,
) -> Result<Option<IndexHeader>, BlockError> {
    let made_of = identity(block, index)?;
    let (headers, pages) = (Arc::clone(&source.headers), Arc::clone(&source.pages));
    let id = block.id;
    let started = Instant::now();
    let open = move || headers.open(id, made_of, &pages);
    let header = source.headers.on_disk(open).await;
    if header.is_some() {
        let took = started.elapsed().as_secs_f64();
        source.headers.metrics.load_duration.observe(took);
    }
    Ok(header)
}

/// Builds the header: on the disk if possible, else in memory.
async fn make(
    block: &CatalogBlock,
    source: &BlockSource,
    index: &ListedObject,
) -> Result<IndexHeader, BlockError> {
    let started = Instant::now();
    let from = Source::new(block, source, index).await?;
    let headers = Arc::clone(&source.headers);
    let id = block.id;
    let create = move || headers.create(id);
    let created = source.headers.on_disk(create).await;
    if let Some((new, out)) = created {
        match from.write(out, &new.path).await {
            Ok(_) => {
                let headers = Arc::clone(&source.headers);
                source.headers.on_disk(move || headers.keep(&new)).await;
                let took = started.elapsed().as_secs_f64();
                source.headers.metrics.download_duration.observe(took);
                if let Some(header) = kept(block, source, index).await? {
                    return Ok(header);
                }
            }
            Err(BlockError::Tsdb {
                source: error @ tsdb::Error::Io { .. },
                ..
            }) => source.headers.refused(&new.path, &error),
            Err(error) => return Err(error),
        }
    }
    let (bytes, root) = from.write(Vec::new(), index.key.as_ref().as_ref()).await?;
    let took = started.elapsed().as_secs_f64();
    source.headers.metrics.download_duration.observe(took);
    Ok(IndexHeader::new(root, Arc::new(Bytes::from(bytes))))
}

fn identity(block: &CatalogBlock, index: &ListedObject) -> Result<HeaderIdentity, BlockError> {
    let files = &block.objects.files;
    let version = files.get("index").ok_or_else(|| BlockError::Missing {
        key: index.key.to_string(),
    })?;
    Ok(HeaderIdentity {
        index_size: version.size,
        stamp: stamp(version),
    })
}

impl TsdbBlock {
    /// The current header.
    pub(super) fn header(&self) -> Arc<IndexHeader> {
        Arc::clone(&self.header.read())
    }

    /// Does `work` with the header: on the CPU pool, or, if the pages for it are not all in memory, on a thread that may
    /// wait for the disk. If the header turns out to be damaged, it is rebuilt and the work repeated.
    pub(super) async fn with_header<T: Send + 'static>(
        &self,
        work: impl Fn(&IndexHeader) -> tsdb::Result<T> + Send + Sync + 'static,
    ) -> Result<T, BlockError> {
        let work = Arc::new(work);
        let run = async |header: &Arc<IndexHeader>| {
            let (of_pool, in_memory) = (Arc::clone(&work), header.in_memory());
            match self.source.pool.run(move || of_pool(&in_memory)).await {
                Err(error) if error.would_block() => {
                    let (work, header) = (Arc::clone(&work), Arc::clone(header));
                    self.source.headers.on_disk(move || work(&header)).await
                }
                done => done,
            }
        };
        let header = self.header();
        match run(&header).await {
            Err(error @ tsdb::Error::Header(_)) => {
                let header = self.made_anew(&header, error).await?;
                run(&header)
                    .await
                    .map_err(|source| damaged(&self.block, source))
            }
            done => done.map_err(|source| damaged(&self.block, source)),
        }
    }

    /// The header that replaces a damaged one.
    async fn made_anew(
        &self,
        old: &Arc<IndexHeader>,
        error: tsdb::Error,
    ) -> Result<Arc<IndexHeader>, BlockError> {
        // Others that find it damaged wait for the same one.
        let _making = self.making.lock().await;
        let current = self.header();
        if !Arc::ptr_eq(&current, old) {
            return Ok(current);
        }
        let (headers, id) = (Arc::clone(&self.source.headers), self.block.id);
        let discard = move || headers.discard(id, &error);
        self.source.headers.on_disk(discard).await;
        let header = Arc::new(make(&self.block, &self.source, &self.index).await?);
        *self.header.write() = Arc::clone(&header);
        Ok(header)
    }
}

impl<'a> Source<'a> {
    async fn new(
        block: &'a CatalogBlock,
        source: &'a BlockSource,
        index: &'a ListedObject,
    ) -> Result<Self, BlockError> {
        let size = identity(block, index)?.index_size;
        let known = match source.fetcher.fetch_searched(index).await? {
            Some(bytes) => vec![Piece { start: 0, bytes }],
            None => {
                let first = (size / ENDS_SHARE).clamp(*FIRST.start(), *FIRST.end());
                // If the two ends are all of it, they are read as one.
                let between = size.saturating_sub(2 * first);
                let start = if between > 0 { first } else { size };
                let mut ends = vec![0..start, start + between..size];
                ends.retain(|end| !end.is_empty());
                let bytes = fetch(source, index, &ends, 0).await?;
                let pieces = ends.into_iter().zip(bytes);
                let pieces = pieces.map(|(range, bytes)| Piece {
                    start: range.start,
                    bytes,
                });
                pieces.collect()
            }
        };
        let end = known.iter().find_map(|piece| piece.get(&Toc::range(size)));
        let toc = Toc::decode(&end.unwrap_or_default(), size);
        Ok(Self {
            block,
            source,
            index,
            toc: toc.map_err(|source| damaged(block, source))?,
            known,
        })
    }

    /// Writes a header to `out`; `path` is for errors.
    async fn write<W: Write + Send + 'static>(
        &self,
        out: W,
        path: &Path,
    ) -> Result<(W, HeaderRoot), BlockError> {
        let ranges = self.toc.header_ranges();
        let head = self.piece(ranges.head).await?;
        let stamp = identity(self.block, self.index)?.stamp;
        let (toc, path) = (self.toc, path.to_owned());
        let start = move || HeaderWriter::new(out, &path, toc, stamp, &head);
        let mut writer = self.on_disk(start).await?;
        let mut rest = self.pieces(ranges.symbols);
        rest.extend(self.pieces(ranges.postings_table));
        let rest = rest.into_iter().map(|range| self.piece(range));
        let mut rest = stream::iter(rest).buffered(AT_ONCE);
        while let Some(bytes) = rest.try_next().await? {
            let push = move || writer.push(&bytes).map(|()| writer);
            writer = self.on_disk(push).await?;
        }
        self.on_disk(move || writer.finish()).await
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> tsdb::Result<T> + Send + 'static,
    ) -> Result<T, BlockError> {
        let done = self.source.headers.on_disk(work).await;
        done.map_err(|source| damaged(self.block, source))
    }

    /// A section in pieces. Each has been read or is small enough to be read at once.
    fn pieces(&self, section: Range<u64>) -> Vec<Range<u64>> {
        let mut parts = Vec::new();
        let mut at = section.start;
        for known in self.known.iter().map(Piece::range) {
            let within = known.start.clamp(at, section.end.max(at))
                ..known.end.clamp(at, section.end.max(at));
            parts.extend(pieces(at..within.start));
            at = within.end;
            parts.push(within);
        }
        parts.extend(pieces(at..section.end));
        parts.retain(|part| !part.is_empty());
        parts
    }

    async fn piece(&self, range: Range<u64>) -> Result<Bytes, BlockError> {
        if let Some(bytes) = self.known.iter().find_map(|piece| piece.get(&range)) {
            return Ok(bytes);
        }
        let bytes = fetch(
            self.source,
            self.index,
            std::slice::from_ref(&range),
            INDEX_GAP,
        )
        .await?;
        Ok(bytes.into_iter().next().unwrap_or_default())
    }
}

async fn fetch(
    source: &BlockSource,
    index: &ListedObject,
    ranges: &[Range<u64>],
    gap: u64,
) -> Result<Vec<Bytes>, BlockError> {
    let wanted = Wanted {
        object: index,
        ranges,
        gap,
        kind: DataKind::Header,
        budget: None,
    };
    source.fetcher.fetch(wanted).await
}

/// A range in pieces.
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut left = range;
    std::iter::from_fn(move || {
        let end = left.end.min(left.start.saturating_add(PIECE));
        let piece = left.start..end;
        left.start = end;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread::{self, ThreadId},
    };

    use tsdb::HeaderPages;

    use super::*;
    use crate::block::tests::fixture::{FLOATS, Fixture};

    /// Pages of which none is in memory, how many were read, and the thread of the runtime.
    #[derive(Debug)]
    struct OnDisk(Bytes, AtomicUsize, ThreadId);

    #[test]
    fn a_section_is_fetched_in_pieces_that_leave_nothing_out() {
        let all = |range| pieces(range).collect::<Vec<_>>();
        assert_eq!(all(7..7), []);
        assert_eq!(all(7..8), vec![7..8]);
        assert_eq!(all(0..PIECE), vec![0..PIECE]);
        assert_eq!(
            all(5..2 * PIECE + 6),
            [
                5..PIECE + 5,
                PIECE + 5..2 * PIECE + 5,
                2 * PIECE + 5..2 * PIECE + 6
            ]
        );
    }

    impl HeaderPages for OnDisk {
        fn page(&self, range: Range<u64>) -> tsdb::Result<Bytes> {
            let thread = thread::current();
            let name = thread.name().unwrap_or_default();
            let is_worker = thread.id() == self.2 || name.starts_with("test-");
            assert!(!is_worker, "{name} waits for a disk");
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.page(range)
        }

        fn page_in_memory(&self, _: Range<u64>) -> tsdb::Result<Option<Bytes>> {
            Ok(None)
        }

        fn name(&self) -> &str {
            "on the disk"
        }

        fn heap_size(&self) -> usize {
            0
        }
    }

    #[tokio::test]
    async fn threads_for_the_cpu_do_not_wait_for_pages_on_the_disk() {
        let fixture = Fixture::new();
        let block = Arc::new(fixture.tsdb(FLOATS[0]).await);
        let block = TsdbBlock::open(block, fixture.source.clone())
            .await
            .unwrap();
        let names = async || block.with_header(IndexHeader::label_names).await.unwrap();
        let expected = names().await;
        assert!(expected.len() > 3);
        let from = Source::new(&block.block, &block.source, &block.index).await;
        let written = from.unwrap().write(Vec::new(), "header".as_ref()).await;
        let (bytes, root) = written.unwrap();
        let pages = Arc::new(OnDisk(
            bytes.into(),
            AtomicUsize::new(0),
            thread::current().id(),
        ));
        *block.header.write() = Arc::new(IndexHeader::new(root, Arc::clone(&pages) as _));
        assert_eq!(names().await, expected);
        assert!(pages.1.load(Ordering::Relaxed) > 0);
    }
}
