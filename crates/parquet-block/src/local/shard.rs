//! A shard in local files.

use std::path::Path;

use model::{AggregateSet, Labels, ParquetShard, TimeRange};
use rayon::prelude::*;
use tsdb::Chunk;

use super::file::LocalFile;
use crate::{
    error::Error,
    layout::contents::Contents,
    query::{
        labels::Projection,
        lookup::{Lookup, ShardFile, Step},
        shard::Shard,
    },
};

/// A shard whose files are on a local disk.
#[derive(Debug)]
pub struct LocalShard {
    shard: Shard,
    labels: LocalFile,
    chunks: LocalFile,
}

impl LocalShard {
    /// Opens shard `number` of the block in `dir`. Where `listed`, which is the shard's part of `meta.json`, tells what the
    /// footers of the files are, they are compared; the default tells nothing.
    ///
    /// # Errors
    /// When a file cannot be read; when it or its footer is not the one that was written; when the files do not make a
    /// shard ([`Shard::open`]), or one of other contents.
    pub fn open(
        dir: &Path,
        number: u32,
        contents: Contents,
        listed: &ParquetShard,
    ) -> Result<Self, Error> {
        let [labels, chunks] = contents.files(number).map(|name| dir.join(name));
        let (labels, chunks) = (LocalFile::open(&labels)?, LocalFile::open(&chunks)?);
        let shard = Shard::open(
            labels.footer(listed.labels_sum().as_ref())?,
            chunks.footer(listed.chunks_sum().as_ref())?,
        )?;
        if shard.contents() != contents {
            let (expected, found) = (contents.name(), shard.contents().name());
            let reason = format!("{expected} expected, found {found}");
            return Err(shard.chunks_file().invalid(reason));
        }
        Ok(Self {
            shard,
            labels,
            chunks,
        })
    }

    /// The shard, from which lookups are made.
    #[must_use]
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Answers a lookup.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub fn answer<L: Lookup>(&self, mut lookup: L) -> Result<L::Answer, Error> {
        loop {
            match lookup.next()? {
                Step::Done(answer) => return Ok(answer),
                Step::Fetch { file, ranges } => lookup.supply(self.file(file).read(&ranges)?)?,
            }
        }
    }

    /// Compares all that no page's own checksum covers, and a reader of rows does not ask for, with its checksum: the
    /// headers of pages, and bloom filters. Values are not read.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub fn check_heads(&self) -> Result<(), Error> {
        let files = [
            (&self.labels, self.shard.labels_file()),
            (&self.chunks, self.shard.chunks_file()),
        ];
        for (file, footer) in files {
            let groups = (0..footer.row_groups().len()).into_par_iter();
            groups.try_for_each(|group| {
                let mut columns = 0..footer.columns().len();
                columns.try_for_each(|column| file.check_heads(footer, group, column))
            })?;
        }
        Ok(())
    }

    /// All rows in order, with their labels and all their chunks, or all their aggregates; as the lookups give them.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub fn read_all(&self) -> Result<Vec<(Labels, Vec<Chunk>)>, Error> {
        let mut all = Vec::new();
        for (group, rows) in self.shard.everything() {
            let labels = self.shard.labels(group, rows.clone(), Projection::All);
            let chunks = self
                .shard
                .chunks(group, rows, TimeRange::ALL, AggregateSet::ALL);
            let (labels, chunks) = (self.answer(labels)?, self.answer(chunks)?);
            all.extend(labels.into_iter().zip(chunks));
        }
        Ok(all)
    }

    pub(super) fn file(&self, file: ShardFile) -> &LocalFile {
        match file {
            ShardFile::Labels => &self.labels,
            ShardFile::Chunks => &self.chunks,
        }
    }
}
